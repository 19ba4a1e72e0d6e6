// SPDX-License-Identifier: Apache-2.0
#include "transfer/claims.hpp"

#include <string>

#include "kvferry/base/try.hpp"

namespace kvferry::transfer {
namespace {

std::uint64_t bit_of(BlockId block) { return std::uint64_t{1} << (block.value() % 64); }

}  // namespace

Result<void> ClaimTable::claim(std::span<const BlockId> blocks) {
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const std::uint64_t bit = bit_of(blocks[i]);
    // Acquire: what the last transfer wrote into the block is seen before it is written again.
    const std::uint64_t before =
        words_[blocks[i].value() / 64].fetch_or(bit, std::memory_order_acquire);
    if ((before & bit) != 0) {
      release(blocks.first(i));
      return Error{ErrorCode::kBusy, "destination block " + std::to_string(blocks[i].value()) +
                                         " is claimed by another transfer"};
    }
  }
  return {};
}

void ClaimTable::release(std::span<const BlockId> blocks) noexcept {
  for (const BlockId block : blocks) {
    words_[block.value() / 64].fetch_and(~bit_of(block), std::memory_order_release);
  }
}

Result<Claims> Claims::take(std::shared_ptr<ClaimTable> table, BlockGuardsPtr guards,
                            std::span<const BlockId> blocks) {
  KVFERRY_RETURN_IF_ERROR(table->claim(blocks));
  for (std::size_t i = 0; guards != nullptr && i < blocks.size(); ++i) {
    auto begun = guards->begin_write(blocks[i]);
    if (!begun) {
      table->release(blocks.subspan(i));
      const Claims undone{std::move(table), std::move(guards), blocks.first(i)};
      return std::move(begun).error().with_context("destination");
    }
  }
  return Claims{std::move(table), std::move(guards), blocks};
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
