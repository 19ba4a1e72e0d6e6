// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "kvferry/base/result.hpp"
#include "kvferry/base/run.hpp"
#include "kvferry/transfer/block_guards.hpp"
#include "transfer/executor.hpp"

namespace kvferry::transfer {

/// Blocks of one side of a transfer, in the order in which their tokens are paired.
struct GuardedBlocks {
  std::span<const BlockId> source;
  std::uint64_t source_page{0};  ///< tokens in a block
  std::span<const BlockId> destination;
  std::uint64_t destination_page{0};
};

/// The sequence numbers of the source blocks of one transfer, read before and after its bytes, and
/// what they say of the destination blocks.
///
/// Threads: one at a time.
class GuardCheck {
 public:
  /// Most numbers of one read.
  static constexpr std::size_t kMostOfRead = 4096;

  using Numbers = std::vector<std::uint64_t>;

  /// `expected` is empty or has a number for each source block. `reader` copies numbers from
  /// region 0, where all guards of the layout lie, to region 0, which is `numbers`.
  ///
  /// Errors: kInvalidArgument when `expected` has another length.
  [[nodiscard]] static Result<std::unique_ptr<GuardCheck>> create(
      const GuardedBlocks& blocks, std::span<const std::uint64_t> expected);

  /// What reads the numbers into buffer(); to be given before anything else.
  void set_reader(std::unique_ptr<const Executor> reader) { reader_ = std::move(reader); }
  [[nodiscard]] const Executor& reader() const noexcept { return *reader_; }
  /// Where the reader puts the numbers, as many as there are source blocks.
  // Shared: with the reader, which outlives this where a request hangs.
  [[nodiscard]] const std::shared_ptr<Numbers>& buffer() const noexcept { return buffer_; }

  /// The runs of the next read; empty when all numbers of this round have been asked for.
  [[nodiscard]] std::span<const Run> next_runs();

  /// Ends the round before the copy: the numbers read are those from before.
  ///
  /// Errors: kStale naming the first block whose number is not the expected one.
  [[nodiscard]] Result<void> end_before();

  /// Ends a round after the copy, or after a part of it.
  ///
  /// Errors: kStale naming the first source block that changed meanwhile, or was being written;
  ///         changed() then names the destination blocks.
  [[nodiscard]] Result<void> end_after();

  /// Destination blocks that a changed source block feeds, ascending.
  [[nodiscard]] const std::vector<BlockId>& changed() const noexcept { return changed_; }

 private:
  GuardCheck() = default;

  std::vector<BlockId> sources_;
  std::vector<BlockId> destinations_;
  std::uint64_t source_page_{0};
  std::uint64_t destination_page_{0};
  Numbers expected_;
  Numbers before_;
  std::shared_ptr<Numbers> buffer_;
  std::unique_ptr<const Executor> reader_;
  std::size_t asked_{0};
  std::vector<Run> runs_;
  std::vector<BlockId> changed_;
};

/// Reads numbers of a layout of this process.
[[nodiscard]] std::unique_ptr<const Executor> make_guard_reader(
    BlockGuardsPtr guards, std::shared_ptr<GuardCheck::Numbers> buffer);

}  // namespace kvferry::transfer
