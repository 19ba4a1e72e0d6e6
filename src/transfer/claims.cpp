// SPDX-License-Identifier: Apache-2.0
#include "transfer/claims.hpp"

#include <string>

#include "kvferry/base/try.hpp"

namespace kvferry::transfer {
namespace {

std::uint64_t bit_of(BlockId block) { return std::uint64_t{1} << (block.value() % 64); }

}  // namespace

Result<void> ClaimTable::claim(std::span<const BlockId> blocks) {
  const MutexLock lock{mutex_};
  std::size_t taken{0};
  try {
    for (; taken < blocks.size(); ++taken) {
      const std::uint64_t bit = bit_of(blocks[taken]);
      std::uint64_t& word = words_[blocks[taken].value() / 64];
      if ((word & bit) != 0) {
        break;
      }
      word |= bit;
    }
  } catch (...) {  // No memory.
    take_back(blocks.first(taken));
    throw;
  }
  if (taken == blocks.size()) {
    return {};
  }
  take_back(blocks.first(taken));
  return Error{ErrorCode::kBusy, "destination block " + std::to_string(blocks[taken].value()) +
                                     " is claimed by another transfer"};
}

void ClaimTable::release(std::span<const BlockId> blocks) noexcept {
  const MutexLock lock{mutex_};
  take_back(blocks);
}

void ClaimTable::take_back(std::span<const BlockId> blocks) noexcept {
  for (const BlockId block : blocks) {
    const auto word = words_.find(block.value() / 64);
    word->second &= ~bit_of(block);
    if (word->second == 0) {
      words_.erase(word);
    }
  }
}

Result<Claims> Claims::take(std::shared_ptr<ClaimTable> table, BlockGuardsPtr guards,
                            std::span<const BlockId> blocks) {
  std::vector<BlockId> copy{blocks.begin(), blocks.end()};  // Before there is what could be lost.
  KVFERRY_RETURN_IF_ERROR(table->claim(blocks));
  for (std::size_t i = 0; guards != nullptr && i < blocks.size(); ++i) {
    auto begun = guards->begin_write(blocks[i]);
    if (!begun) {
      table->release(blocks.subspan(i));
      copy.resize(i);
      const Claims undone{std::move(table), std::move(guards), std::move(copy)};
      return std::move(begun).error().with_context("destination");
    }
  }
  return Claims{std::move(table), std::move(guards), std::move(copy)};
}

void Claims::release() noexcept {
  const auto table = std::exchange(table_, nullptr);
  if (table == nullptr) {
    return;
  }
  for (std::size_t i = 0; guards_ != nullptr && i < blocks_.size(); ++i) {
    static_cast<void>(guards_->end_write(blocks_[i]));  // It was begun by take().
  }
  table->release(blocks_);
}

}  // namespace kvferry::transfer
