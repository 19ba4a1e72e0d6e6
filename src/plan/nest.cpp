// SPDX-License-Identifier: Apache-2.0
#include "plan/nest.hpp"

#include <limits>
#include <utility>

namespace kvferry::plan::detail {
namespace {

using layout::Axis;
using layout::LayoutView;

bool crosses_regions(const Loop& loop) {
  return loop.source_region_step != 0 || loop.destination_region_step != 0;
}

Loop loop_over(Axis axis, std::uint64_t extent, const LayoutView& source,
               const LayoutView& destination) {
  const layout::AxisSpan& from = source.axis(axis);
  const layout::AxisSpan& to = destination.axis(axis);
  return Loop{axis, extent, from.stride_bytes, to.stride_bytes, from.region_step, to.region_step};
}

void add_loop(Nest& nest, const Loop& loop) {
  if (loop.extent != 1) {
    nest.loops[nest.depth++] = loop;
  }
}

void remove_loop(Nest& nest, std::size_t index) {
  for (std::size_t i = index + 1; i < nest.depth; ++i) {
    nest.loops[i - 1] = nest.loops[i];
  }
  --nest.depth;
}

/// Makes every loop part of the piece that only goes on where the piece ends, on both sides.
void absorb_contiguous_loops(Nest& nest) {
  for (std::size_t i = 0; i < nest.depth;) {
    const Loop& loop = nest.loops[i];
    if (!crosses_regions(loop) && loop.source_stride == nest.piece_bytes &&
        loop.destination_stride == nest.piece_bytes) {
      nest.piece_bytes *= loop.extent;
      remove_loop(nest, i);
      i = 0;  // A larger piece may end where a loop that was passed over begins.
    } else {
      ++i;
    }
  }
}

/// Puts loops that cross regions outside and the smallest steps of the destination inside, so that
/// the destination is written in the order of its addresses. The block, if it is left, stays
/// outermost: a transfer that is cut short has then finished as many whole blocks as it could.
void order_loops(Nest& nest) {
  const auto rank = [](const Loop& loop) {
    constexpr std::uint64_t kLast = std::numeric_limits<std::uint64_t>::max();
    if (loop.axis == Axis::kBlock) {
      return kLast;
    }
    return crosses_regions(loop) ? kLast - 1 : loop.destination_stride;
  };
  // By insertion: it keeps equals in order, and std::stable_sort allocates.
  for (std::size_t i = 1; i < nest.depth; ++i) {
    for (std::size_t k = i; k > 0 && rank(nest.loops[k]) > rank(nest.loops[k - 1]); --k) {
      std::swap(nest.loops[k], nest.loops[k - 1]);
    }
  }
}

/// Whether the loops finish one block before they begin the next: the block is the outermost of
/// them, or the outermost part of one single piece.
bool goes_block_by_block(const Nest& nest, const Loop& block) {
  if (block.extent == 1) {
    return true;
  }
  if (nest.depth != 0) {
    return nest.loops[0].axis == Axis::kBlock;
  }
  const std::uint64_t share = nest.piece_bytes / block.extent;
  return block.source_stride == share && block.destination_stride == share;
}

/// Joins neighbouring loops that together make equal steps on both sides.
void join_loops(Nest& nest) {
  for (std::size_t i = nest.depth; i-- > 1;) {
    Loop& outer = nest.loops[i - 1];
    const Loop& inner = nest.loops[i];
    if (!crosses_regions(outer) && !crosses_regions(inner) &&
        outer.source_stride == inner.source_stride * inner.extent &&
        outer.destination_stride == inner.destination_stride * inner.extent) {
      outer.source_stride = inner.source_stride;
      outer.destination_stride = inner.destination_stride;
      outer.extent *= inner.extent;
      remove_loop(nest, i);
    }
  }
}

Nest start_nest(const LayoutView& source, const LayoutView& destination, const TokenRange& tokens) {
  Nest nest;
  nest.piece_bytes = source.axis(Axis::kElement).extent * source.element_bytes();
  nest.source.region = source.first_region();
  nest.destination.region = destination.first_region();
  nest.source.offset_bytes = source.offset_bytes();
  nest.destination.offset_bytes = destination.offset_bytes();
  advance(nest.source, source, Axis::kToken, tokens.source_token);
  advance(nest.destination, destination, Axis::kToken, tokens.destination_token);
  return nest;
}

}  // namespace

void advance(RunEnd& end, const LayoutView& view, Axis axis, std::uint64_t count) {
  end.region += static_cast<std::uint32_t>(count * view.axis(axis).region_step);
  end.offset_bytes += count * view.axis(axis).stride_bytes;
}

std::uint64_t Nest::pieces() const noexcept {
  std::uint64_t product = 1;
  for (std::size_t i = 0; i < depth; ++i) {
    product *= loops[i].extent;
  }
  return product;
}

Nest make_nest(const LayoutView& source, const LayoutView& destination, const TokenRange& tokens,
               std::uint64_t blocks) {
  Nest nest = start_nest(source, destination, tokens);
  const Loop block = loop_over(Axis::kBlock, blocks, source, destination);
  add_loop(nest, block);
  for (const Axis axis : {Axis::kLayer, Axis::kOuter}) {
    add_loop(nest, loop_over(axis, source.axis(axis).extent, source, destination));
  }
  add_loop(nest, loop_over(Axis::kToken, tokens.tokens, source, destination));
  add_loop(nest, loop_over(Axis::kHead, source.axis(Axis::kHead).extent, source, destination));
  absorb_contiguous_loops(nest);
  order_loops(nest);
  join_loops(nest);
  nest.block_by_block = goes_block_by_block(nest, block);
  nest.strided = nest.depth != 0 && !crosses_regions(nest.loops[nest.depth - 1]);
  return nest;
}

std::uint64_t pieces_of_one_outer(const LayoutView& source, const LayoutView& destination,
                                  const TokenRange& tokens) {
  Nest nest = start_nest(source, destination, tokens);
  add_loop(nest, loop_over(Axis::kToken, tokens.tokens, source, destination));
  add_loop(nest, loop_over(Axis::kHead, source.axis(Axis::kHead).extent, source, destination));
  absorb_contiguous_loops(nest);
  return nest.pieces();
}

}  // namespace kvferry::plan::detail
