// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "kvferry/base/ids.hpp"
#include "kvferry/base/result.hpp"

namespace kvferry::transfer {

/// Which blocks of one layout are being written.
///
/// Threads: any.
class ClaimTable {
 public:
  explicit ClaimTable(std::uint64_t num_blocks) : words_((num_blocks + 63) / 64) {}

  /// Takes all of `blocks`, each below num_blocks and none twice, or none of them.
  ///
  /// Errors: kBusy naming the first block that another transfer has.
  [[nodiscard]] Result<void> claim(std::span<const BlockId> blocks);
  void release(std::span<const BlockId> blocks) noexcept;

 private:
  std::vector<std::atomic<std::uint64_t>> words_;
};

/// The blocks that one transfer has claimed, until it releases them.
class Claims {
 public:
  Claims() noexcept = default;
  /// Lifetime: `blocks`, which were claimed, outlive this.
  Claims(std::shared_ptr<ClaimTable> table, std::span<const BlockId> blocks) noexcept
      : table_{std::move(table)}, blocks_{blocks} {}
  Claims(Claims&& other) noexcept
      : table_{std::exchange(other.table_, nullptr)}, blocks_{other.blocks_} {}
  Claims& operator=(Claims&& other) noexcept {
    std::swap(table_, other.table_);
    std::swap(blocks_, other.blocks_);
    return *this;
  }
  Claims(const Claims&) = delete;
  Claims& operator=(const Claims&) = delete;
  ~Claims() { release(); }

  void release() noexcept {
    if (const auto table = std::exchange(table_, nullptr); table != nullptr) {
      table->release(blocks_);
    }
  }

 private:
  std::shared_ptr<ClaimTable> table_;  // shared: with the registered layout, which may go first
  std::span<const BlockId> blocks_;
};

}  // namespace kvferry::transfer
