// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/mutex.hpp"
#include "kvferry/base/ids.hpp"
#include "kvferry/base/result.hpp"
#include "kvferry/transfer/block_guards.hpp"

namespace kvferry::transfer {

/// Which blocks of one layout are being written. It grows with what is claimed: how many blocks a
/// peer says that it has costs nothing.
///
/// Threads: any.
class ClaimTable {
 public:
  /// Takes all of `blocks`, none of which is there twice, or none of them.
  ///
  /// Errors: kBusy naming the first block that another transfer has.
  [[nodiscard]] Result<void> claim(std::span<const BlockId> blocks);
  void release(std::span<const BlockId> blocks) noexcept;

 private:
  void take_back(std::span<const BlockId> blocks) noexcept KVFERRY_REQUIRES(mutex_);

  Mutex mutex_;
  /// One bit for each of 64 neighbours, which are often claimed together; none of them is 0.
  std::unordered_map<std::uint64_t, std::uint64_t> words_ KVFERRY_GUARDED_BY(mutex_);
};

/// The blocks that one transfer has claimed, until it releases them. Their guards, if there are
/// any, say as long that they are being written.
class Claims {
 public:
  Claims() noexcept = default;
  /// Takes all of `blocks` or none; `guards` may be null.
  ///
  /// Errors: kBusy naming the first block that another transfer has or that is being written.
  [[nodiscard]] static Result<Claims> take(std::shared_ptr<ClaimTable> table, BlockGuardsPtr guards,
                                           std::span<const BlockId> blocks);
  Claims(Claims&& other) noexcept
      : table_{std::exchange(other.table_, nullptr)},
        guards_{std::move(other.guards_)},
        blocks_{std::move(other.blocks_)} {}
  Claims& operator=(Claims&& other) noexcept {
    std::swap(table_, other.table_);
    std::swap(guards_, other.guards_);
    std::swap(blocks_, other.blocks_);
    return *this;
  }
  Claims(const Claims&) = delete;
  Claims& operator=(const Claims&) = delete;
  ~Claims() { release(); }

  void release() noexcept;

 private:
  Claims(std::shared_ptr<ClaimTable> table, BlockGuardsPtr guards,
         std::vector<BlockId> blocks) noexcept
      : table_{std::move(table)}, guards_{std::move(guards)}, blocks_{std::move(blocks)} {}

  std::shared_ptr<ClaimTable> table_;  // shared: with the registered layout, which may go first
  BlockGuardsPtr guards_;
  std::vector<BlockId> blocks_;
};

}  // namespace kvferry::transfer
