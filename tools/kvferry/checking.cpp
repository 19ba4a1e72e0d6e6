// SPDX-License-Identifier: Apache-2.0
// What happens to blocks after they were moved: comparing them with the pattern, writing them out.
#include <algorithm>

#include "kvferry/base/try.hpp"
#include "kvferry/testing/pattern.hpp"
#include "node.hpp"

namespace kvferry::tool {
namespace {

using layout::Axis;
using layout::LayoutView;
using layout::Place;

/// Checks destination block number `index`: every stretch of its tokens that comes from one source
/// block.
Result<bool> block_is_right(const LayoutView& view, const Moved& moved, std::size_t index) {
  const std::uint64_t page = view.axis(Axis::kToken).extent;
  for (std::uint64_t token = 0; token < page;) {
    const std::uint64_t all = (index * page) + token;  // Tokens before this one, in the whole list.
    const std::uint64_t in_source = all % moved.source_page;
    const std::uint64_t count = std::min(page - token, moved.source_page - in_source);
    KVFERRY_ASSIGN_OR_RETURN(const LayoutView stretch, view.slice(Axis::kToken, token, count));
    const testing::PatternBlock block{moved.destination[index],
                                      moved.source[all / moved.source_page], in_source};
    KVFERRY_ASSIGN_OR_RETURN(const auto wrong, testing::pattern_check(stretch, bases_of(stretch),
                                                                      {&block, 1}, moved.seed));
    if (!wrong.empty()) {
      return false;
    }
    token += count;
  }
  return true;
}

}  // namespace

std::vector<std::byte*> bases_of(const LayoutView& view) {
  std::vector<std::byte*> bases;
  for (const Region& region : view.regions()) {
    bases.push_back(reinterpret_cast<std::byte*>(region.address));  // NOLINT(*-int-to-ptr)
  }
  return bases;
}

Result<std::vector<std::size_t>> check_pattern(const Moved& moved, TimePoint deadline) {
  std::vector<std::size_t> wrong;
  for (std::size_t i = 0; i < moved.destination.size(); ++i) {
    bool right = moved.parts.empty() || std::chrono::steady_clock::now() < deadline;
    for (std::size_t part = 0; right && part < moved.parts.size(); ++part) {
      KVFERRY_ASSIGN_OR_RETURN(right, block_is_right(moved.parts[part], moved, i));
    }
    if (!right) {
      wrong.push_back(i);
    }
  }
  return wrong;
}

Result<void> dump_blocks(const LayoutView& view, std::span<const BlockId> blocks,
                         OutputFile& file) {
  const std::vector<std::byte*> bases = bases_of(view);
  const std::uint64_t row = view.axis(Axis::kElement).extent * view.element_bytes();
  Place at;
  for (const BlockId block : blocks) {
    at[Axis::kBlock] = block.value();
    for (at[Axis::kLayer] = 0; at[Axis::kLayer] < view.axis(Axis::kLayer).extent;
         ++at[Axis::kLayer]) {
      for (at[Axis::kOuter] = 0; at[Axis::kOuter] < view.axis(Axis::kOuter).extent;
           ++at[Axis::kOuter]) {
        for (at[Axis::kToken] = 0; at[Axis::kToken] < view.axis(Axis::kToken).extent;
             ++at[Axis::kToken]) {
          for (at[Axis::kHead] = 0; at[Axis::kHead] < view.axis(Axis::kHead).extent;
               ++at[Axis::kHead]) {
            const layout::Location from = view.locate(at);
            KVFERRY_RETURN_IF_ERROR(file.write({bases[from.region] + from.offset_bytes, row}));
          }
        }
      }
    }
  }
  return file.commit();
}

}  // namespace kvferry::tool
