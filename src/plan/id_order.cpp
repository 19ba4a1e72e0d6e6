// SPDX-License-Identifier: Apache-2.0
#include "plan/id_order.hpp"

#include <algorithm>
#include <bit>
#include <memory>
#include <numeric>
#include <string>

namespace kvferry::plan::detail {
namespace {

constexpr std::uint64_t kWordBits = 64;

/// Blocks for each id up to which looking through all blocks costs less than sorting: one word of
/// bits for each id.
constexpr std::uint64_t kSparse = kWordBits;

Error named_twice(BlockId id) {
  return Error{ErrorCode::kInvalidArgument,
               "destination block " + std::to_string(id.value()) + " is named twice"};
}

/// Whether `ids` go up from each one to the next; then no id can stand there twice.
bool ascending(std::span<const BlockId> ids) {
  return std::adjacent_find(ids.begin(), ids.end(), [](BlockId a, BlockId b) { return a >= b; }) ==
         ids.end();
}

/// Notes the place of each id in a table of all blocks, then reads the table in order.
Result<std::vector<std::size_t>> by_table(std::span<const BlockId> ids, std::uint64_t blocks) {
  std::vector<std::uint64_t> named(blocks / kWordBits + 1);
  // Most of it is never touched: only the places of ids that are named are written and read.
  const auto place_of = std::make_unique_for_overwrite<std::size_t[]>(blocks);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const std::uint64_t id = ids[i].value();
    const std::uint64_t bit = std::uint64_t{1} << (id % kWordBits);
    if ((named[id / kWordBits] & bit) != 0) {
      return named_twice(ids[i]);
    }
    named[id / kWordBits] |= bit;
    place_of[id] = i;
  }
  std::vector<std::size_t> places(ids.size());
  std::size_t count = 0;
  for (std::size_t word = 0; word < named.size(); ++word) {
    for (std::uint64_t bits = named[word]; bits != 0; bits &= bits - 1) {
      const auto bit = static_cast<std::uint64_t>(std::countr_zero(bits));
      places[count++] = place_of[word * kWordBits + bit];
    }
  }
  return places;
}

Result<std::vector<std::size_t>> by_sorting(std::span<const BlockId> ids) {
  std::vector<std::size_t> places(ids.size());
  std::iota(places.begin(), places.end(), std::size_t{0});
  std::sort(places.begin(), places.end(),
            [ids](std::size_t a, std::size_t b) { return ids[a] < ids[b]; });
  const auto twice =
      std::adjacent_find(places.begin(), places.end(),
                         [ids](std::size_t a, std::size_t b) { return ids[a] == ids[b]; });
  if (twice != places.end()) {
    return named_twice(ids[*twice]);
  }
  return places;
}

}  // namespace

Result<std::vector<std::size_t>> ascending_places(std::span<const BlockId> ids,
                                                  std::uint64_t blocks) {
  if (ascending(ids)) {
    return std::vector<std::size_t>{};
  }
  // Engines name blocks in any order. Sorting would then cost more than all else that planning
  // does for them.
  return blocks / kSparse <= ids.size() ? by_table(ids, blocks) : by_sorting(ids);
}

}  // namespace kvferry::plan::detail
