// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kvferry/layout/layout.hpp"
#include "kvferry/layout/packed.hpp"
#include "kvferry/layout/view.hpp"

namespace kvferry::layout {

/// Most regions of one layout: as many as a message may describe (docs/spec/wire-format.md).
inline constexpr std::uint64_t kMaxRegions = 65'536;

/// How far apart blocks, layers and outers lie, in bytes. Source: docs/spec/layouts.md, section 2.
struct RegionStrides {
  std::uint64_t block{0};
  std::uint64_t layer{0};  ///< 0 where each layer has a region of its own
  std::uint64_t outer{0};
  bool layer_is_region{false};
};

/// The strides of `arrangement`, for a config that validates.
[[nodiscard]] inline RegionStrides region_strides(const LayoutConfig& config,
                                                  Arrangement arrangement) noexcept {
  const std::uint64_t piece = config.region_bytes();
  switch (arrangement) {
    case Arrangement::kFullyContiguous:
      return {config.block_bytes(), config.outer_dim * piece, piece, false};
    case Arrangement::kLayerSeparateBlockFirst: return {config.outer_dim * piece, 0, piece, true};
    case Arrangement::kLayerSeparateBlockSecond: return {piece, 0, config.num_blocks * piece, true};
  }
  return {};
}

/// Gives every axis of `parts`, whose extents are there, the stride that leaves no gap: inside a
/// block in `order`, of which only token and head count where each layer has a region of its own.
void pack(LayoutView::Parts& parts, const BlockAxes& order, Arrangement arrangement);

}  // namespace kvferry::layout
