// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kvferry/layout/view.hpp"
#include "kvferry/plan/plan.hpp"

namespace kvferry::plan::detail {

/// Tokens of one block pair that move together.
struct TokenRange {
  std::uint64_t source_token{0};
  std::uint64_t destination_token{0};
  std::uint64_t tokens{0};
};

/// Moves one end of a run on by `count` places of `axis`.
void advance(RunEnd& end, const layout::LayoutView& view, layout::Axis axis, std::uint64_t count);

/// The loops that copy `tokens` of `blocks` consecutive block pairs, over all layers, outers and
/// heads of two views of equal extents: what is contiguous on both sides is one piece, and the
/// loops that are left run from the block down to the smallest step of the destination.
[[nodiscard]] Nest make_nest(const layout::LayoutView& source,
                             const layout::LayoutView& destination, const TokenRange& tokens,
                             std::uint64_t blocks);

/// How many contiguous pieces one (block pair, layer, outer) has.
[[nodiscard]] std::uint64_t pieces_of_one_outer(const layout::LayoutView& source,
                                                const layout::LayoutView& destination,
                                                const TokenRange& tokens);

}  // namespace kvferry::plan::detail
