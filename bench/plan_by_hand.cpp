// SPDX-License-Identifier: Apache-2.0
#include "plan_by_hand.hpp"

namespace kvferry::bench {
namespace {

using layout::Axis;
using layout::AxisSpan;
using layout::LayoutView;

/// How each axis steps on one side. A region is a step of its own, which no offset can reach.
struct Steps {
  explicit Steps(const LayoutView& view)
      : block{of(view.axis(Axis::kBlock))},
        layer{of(view.axis(Axis::kLayer))},
        outer{of(view.axis(Axis::kOuter))},
        token{of(view.axis(Axis::kToken))},
        head{of(view.axis(Axis::kHead))} {}

  static std::uint64_t of(const AxisSpan& span) {
    return span.stride_bytes + (std::uint64_t{span.region_step} << 40U);
  }

  std::uint64_t block;
  std::uint64_t layer;
  std::uint64_t outer;
  std::uint64_t token;
  std::uint64_t head;
};

}  // namespace

void plan_by_hand(const LayoutView& source, const LayoutView& destination,
                  const plan::BlockPairs& blocks, Grain grain, Tally& tally) {
  const Steps from{source};
  const Steps to{destination};
  const std::uint64_t layers = source.axis(Axis::kLayer).extent;
  const std::uint64_t outers = source.axis(Axis::kOuter).extent;
  const std::uint64_t tokens = grain == Grain::kOuter ? 1 : source.axis(Axis::kToken).extent;
  const std::uint64_t heads = grain == Grain::kHead ? source.axis(Axis::kHead).extent : 1;
  const std::uint64_t bytes =
      source.page_size() * source.inner_dim() * source.element_bytes() / (tokens * heads);
  const std::uint64_t first =
      (source.axis(Axis::kHead).origin - destination.axis(Axis::kHead).origin) * to.head;
  Tally mine;
  for (std::size_t pair = 0; pair < blocks.source.size(); ++pair) {
    const std::uint64_t from_block = blocks.source[pair].value() * from.block;
    const std::uint64_t to_block = first + blocks.destination[pair].value() * to.block;
    for (std::uint64_t layer = 0; layer < layers; ++layer) {
      for (std::uint64_t outer = 0; outer < outers; ++outer) {
        const std::uint64_t from_outer = from_block + layer * from.layer + outer * from.outer;
        const std::uint64_t to_outer = to_block + layer * to.layer + outer * to.outer;
        for (std::uint64_t token = 0; token < tokens; ++token) {
          for (std::uint64_t head = 0; head < heads; ++head) {
            mine.add(from_outer + token * from.token + head * from.head,
                     to_outer + token * to.token + head * to.head, bytes);
          }
        }
      }
    }
  }
  tally.add(mine);
}

}  // namespace kvferry::bench
