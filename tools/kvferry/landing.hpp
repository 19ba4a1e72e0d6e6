// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kvferry/base/result.hpp"
#include "kvferry/layout/view.hpp"
#include "kvferry/plan/gather.hpp"
#include "nesting.hpp"

// What of a plan fits into a drawing: the copies of its first blocks.

namespace kvferry::tool {

/// The most copies and sources of one drawing.
inline constexpr std::size_t kDrawnPieces = 128;
inline constexpr std::size_t kDrawnSources = 8;

/// A plan, and what it was made of.
struct PlannedMove {
  std::span<const layout::LayoutView> sources;
  const layout::LayoutView& destination;
  const plan::Gather& gather;
  plan::BlockPairs blocks;
  plan::LayerRange layers;
};

/// One copy.
struct LandedPiece {
  std::size_t source{0};  ///< index in PlannedMove::sources
  Extent from;
  Extent to;
};

/// How much of the first blocks is looked at.
enum class LandingScope : std::uint8_t {
  kFirstBlocks,  ///< some block pairs, whole
  kFirstPair,    ///< the first block pair, whole
  kFirstLayer,   ///< of the first block pair and of each source: its first layer, and K of that
};

/// Some copies of a plan.
struct Landing {
  LandingScope scope{LandingScope::kFirstBlocks};
  std::vector<BlockId> source_blocks;
  std::vector<BlockId> destination_blocks;
  std::vector<LandedPiece> pieces;          ///< drawn, in the order of the destination's memory
  std::uint64_t pieces_count{0};            ///< of the scope, the ones left out too
  std::vector<std::size_t> sources;         ///< of the drawn pieces
  std::size_t sources_count{0};             ///< of the scope
  std::vector<std::vector<Extent>> unsent;  ///< of each of `sources`: beside its pieces, not read
  std::vector<Extent> uncovered;            ///< of the destination: what nobody gives
};

/// Chooses the copies, from plans of the first blocks with the parts that the plan has.
[[nodiscard]] Result<Landing> landing_of(const PlannedMove& move);

/// What of `extents` is not in `taken`. Both in the order of memory, and none of `taken` overlap.
[[nodiscard]] std::vector<Extent> without(const std::vector<Extent>& extents,
                                          const std::vector<Extent>& taken);

}  // namespace kvferry::tool
