// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "kvferry/base/ids.hpp"
#include "kvferry/base/result.hpp"
#include "kvferry/base/run.hpp"
#include "kvferry/memory/memory.hpp"

namespace kvferry::transfer {

/// A sequence number for each block of a layout, in memory that peers can read: odd while the block
/// is written, and larger by two after each time. Who copies a block looks before and after; other
/// numbers, or an odd one, tell that the copy holds bytes of two times.
///
///   guards->begin_write(block);   // by the engine, before it recycles a block
///   ... writes the block ...
///   guards->end_write(block);
///
/// Transfers do the same with the blocks that they write.
///
/// Threads: any, all methods; one writer of a block at a time, which begin_write() sees to.
/// Source:  docs/design/0009-life-cycle.md.
class BlockGuards {
 public:
  /// Errors: kInvalidArgument for no blocks; those of memory::allocate_system().
  [[nodiscard]] static Result<std::shared_ptr<BlockGuards>> allocate(std::uint64_t num_blocks);

  /// Tells that the block's bytes change from now on.
  ///
  /// Errors: kInvalidArgument for a block out of range; kBusy for one that is being written.
  [[nodiscard]] Result<void> begin_write(BlockId block);

  /// Tells that the block's bytes stay as they are.
  ///
  /// Errors: kInvalidArgument for a block out of range, or one that is not being written.
  Result<void> end_write(BlockId block);

  /// The number of a block, now.
  ///
  /// Errors: kInvalidArgument for a block out of range.
  [[nodiscard]] Result<std::uint64_t> sequence(BlockId block) const;

  [[nodiscard]] std::uint64_t num_blocks() const noexcept { return num_blocks_; }
  [[nodiscard]] const memory::MemoryPtr& memory() const noexcept { return memory_; }
  /// Where the numbers lie, in the order of the blocks.
  [[nodiscard]] Region region() const noexcept;

 private:
  BlockGuards(memory::MemoryPtr memory, std::uint64_t num_blocks)
      : memory_{std::move(memory)}, num_blocks_{num_blocks} {}

  [[nodiscard]] Result<std::uint64_t*> number_of(BlockId block) const;

  memory::MemoryPtr memory_;
  std::uint64_t num_blocks_;
};

// Shared: the layout, the engine that writes its blocks, transfers in flight.
using BlockGuardsPtr = std::shared_ptr<BlockGuards>;

}  // namespace kvferry::transfer
