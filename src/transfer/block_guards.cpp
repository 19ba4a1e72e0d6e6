// SPDX-License-Identifier: Apache-2.0
#include "kvferry/transfer/block_guards.hpp"

#include <atomic>
#include <limits>
#include <string>

#include "base/fence.hpp"
#include "kvferry/base/try.hpp"

namespace kvferry::transfer {
namespace {

Error about(BlockId block, ErrorCode code, const std::string& what) {
  return Error{code, "block " + std::to_string(block.value()) + what};
}

}  // namespace

Result<std::shared_ptr<BlockGuards>> BlockGuards::allocate(std::uint64_t num_blocks) {
  if (num_blocks > std::numeric_limits<std::uint64_t>::max() / sizeof(std::uint64_t)) {
    return Error{ErrorCode::kInvalidArgument,
                 "num_blocks: " + std::to_string(num_blocks) + " have no room for their guards"};
  }
  KVFERRY_ASSIGN_OR_RETURN(memory::MemoryPtr memory,
                           memory::allocate_system(num_blocks * sizeof(std::uint64_t)));
  // make_shared cannot reach the private constructor.
  return std::shared_ptr<BlockGuards>{new BlockGuards{std::move(memory), num_blocks}};
}

Result<std::uint64_t*> BlockGuards::number_of(BlockId block) const {
  if (block.value() >= num_blocks_) {
    return about(block, ErrorCode::kInvalidArgument, " of " + std::to_string(num_blocks_));
  }
  return reinterpret_cast<std::uint64_t*>(memory_->bytes().data()) + block.value();
}

Result<void> BlockGuards::begin_write(BlockId block) {
  KVFERRY_ASSIGN_OR_RETURN(std::uint64_t* const number, number_of(block));
  const std::atomic_ref<std::uint64_t> sequence{*number};
  std::uint64_t before = sequence.load(std::memory_order_relaxed);
  if (before % 2 != 0 ||
      !sequence.compare_exchange_strong(before, before + 1, std::memory_order_acquire)) {
    return about(block, ErrorCode::kBusy, " is being written");
  }
  fence<std::memory_order_release>();  // It is seen before any of the bytes written after it.
  return {};
}

Result<void> BlockGuards::end_write(BlockId block) {
  KVFERRY_ASSIGN_OR_RETURN(std::uint64_t* const number, number_of(block));
  const std::atomic_ref<std::uint64_t> sequence{*number};
  const std::uint64_t during = sequence.load(std::memory_order_relaxed);
  if (during % 2 == 0) {
    return about(block, ErrorCode::kInvalidArgument, " is not being written");
  }
  sequence.store(during + 1, std::memory_order_release);
  return {};
}

Result<std::uint64_t> BlockGuards::sequence(BlockId block) const {
  KVFERRY_ASSIGN_OR_RETURN(std::uint64_t* const number, number_of(block));
  return std::atomic_ref<std::uint64_t>{*number}.load(std::memory_order_acquire);
}

Region BlockGuards::region() const noexcept {
  return {reinterpret_cast<std::uintptr_t>(memory_->bytes().data()),
          num_blocks_ * sizeof(std::uint64_t)};
}

}  // namespace kvferry::transfer
