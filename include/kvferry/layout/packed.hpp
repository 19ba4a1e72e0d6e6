// SPDX-License-Identifier: Apache-2.0
#pragma once

// Layouts without padding, as messages and most engines describe them: a config, an arrangement,
// an order of the axes inside a block, and which part of the whole model it is.
//
//   auto heads = layout::heads_of({.rank = 1, .ranks = 4}, 8);           // heads 2 and 3
//   config.num_heads = heads->extent;  config.inner_dim = heads->extent * 128;
//   auto view = layout::packed_view({.config = config, .heads = *heads}, regions);

#include <array>
#include <cstdint>
#include <vector>

#include "kvferry/base/result.hpp"
#include "kvferry/base/run.hpp"
#include "kvferry/layout/config.hpp"
#include "kvferry/layout/layout.hpp"
#include "kvferry/layout/view.hpp"

namespace kvferry::layout {

/// The axes inside a block, outermost first: layer, outer, token and head, each once. The block is
/// outside of them, the elements of a head inside.
using BlockAxes = std::array<Axis, 4>;

inline constexpr BlockAxes kNhd{Axis::kLayer, Axis::kOuter, Axis::kToken, Axis::kHead};
inline constexpr BlockAxes kHnd{Axis::kLayer, Axis::kOuter, Axis::kHead, Axis::kToken};
/// All of one head together, so that a rank of another tensor parallel size takes one piece.
inline constexpr BlockAxes kUniversalTp{Axis::kHead, Axis::kLayer, Axis::kOuter, Axis::kToken};
/// All of one head of one layer together.
inline constexpr BlockAxes kUniversalPp{Axis::kLayer, Axis::kHead, Axis::kOuter, Axis::kToken};

/// Some neighbours of an axis of the whole model.
struct Part {
  std::uint64_t origin{0};  ///< place of the first one
  std::uint64_t extent{0};
  std::uint64_t whole{0};  ///< how many the model has

  friend constexpr bool operator==(const Part&, const Part&) = default;
};

/// One of the workers that share a model.
struct Rank {
  std::uint64_t rank{0};
  std::uint64_t ranks{1};

  friend constexpr bool operator==(const Rank&, const Rank&) = default;
};

/// The KV heads that a rank of tensor parallelism holds. Up to as many ranks as heads divide them,
/// as evenly as it goes; more ranks than that repeat each head on as many of them.
///
/// Errors: kInvalidArgument for a rank that is none of them, no heads, or more ranks than heads and
///         no multiple of them.
/// Source: docs/spec/layouts.md, section 6.
[[nodiscard]] Result<Part> heads_of(const Rank& rank, std::uint64_t heads);

/// The layers that a rank of pipeline parallelism holds.
///
/// Errors: kInvalidArgument for a rank that is none of them, or more ranks than layers.
/// Source: docs/spec/layouts.md, section 6.
[[nodiscard]] Result<Part> layers_of(const Rank& rank, std::uint64_t layers);

/// A layout without padding.
struct PackedLayout {
  LayoutConfig config;  ///< of what it holds; its inner_shape is not looked at
  Arrangement arrangement{Arrangement::kFullyContiguous};
  BlockAxes order{kNhd};  ///< with a region for each layer, of outer, token and head alone
  Part layers{};          ///< whole 0: all that the model has
  Part heads{};           ///< whole 0: all that the model has
};

/// The view of `packed` over `regions`, of which there is one, or one for each layer.
///
/// Errors: those of LayoutConfig::validate() and LayoutView::create(); kInvalidArgument when the
///         config tells no heads, the order does not name each axis once or cannot be had with a
///         region for each layer, or a part has another extent than the config.
/// Source: docs/spec/layouts.md, sections 2 and 3.
[[nodiscard]] Result<LayoutView> packed_view(const PackedLayout& packed,
                                             std::vector<Region> regions);

}  // namespace kvferry::layout
