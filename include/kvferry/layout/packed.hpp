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
#include <optional>
#include <string>
#include <variant>
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

/// "NHD", "HND", "UniversalTP", "UniversalPP"; of other orders the axes, "layer, token, ...".
[[nodiscard]] std::string to_string(const BlockAxes& order);

/// Some neighbours of an axis of the whole model.
struct Part {
  std::uint64_t origin{0};  ///< place of the first one
  std::uint64_t extent{0};
  std::uint64_t whole{0};  ///< how many the model has

  friend constexpr bool operator==(const Part&, const Part&) = default;
};

/// Which part of the model `span` is; nothing said where it is all.
[[nodiscard]] Part part_of(const AxisSpan& span) noexcept;

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
  /// Nothing: not known. With a region for each layer, only token and head may change places.
  std::optional<BlockAxes> order{};
  Part layers{};  ///< whole 0: all that the model has
  Part heads{};   ///< whole 0: all that the model has

  friend bool operator==(const PackedLayout&, const PackedLayout&) = default;
};

/// How far apart the neighbours on each axis but the elements are, in the order of Axis.
struct Steps {
  std::array<std::uint64_t, kAxisCount - 1> stride_bytes{};
  std::array<std::uint32_t, kAxisCount - 1> regions{};
};

/// The axes that `config` has at `steps`, with heads told apart where it has them: a view without
/// regions, offset and packing. Whether it is one is left to LayoutView::create().
[[nodiscard]] LayoutView::Parts strided_layout(const LayoutConfig& config, const Steps& steps,
                                               const Part& layers = {}, const Part& heads = {});

/// A layout as workers tell each other of it: without padding, or with every stride said. What is
/// strided has no regions here.
using Description = std::variant<PackedLayout, LayoutView::Parts>;

/// The layout of `config`, in the order of its inner_shape.
[[nodiscard]] PackedLayout packed_layout(const LayoutConfig& config, Arrangement arrangement);

/// The order that format A can say.
[[nodiscard]] InnerShape inner_shape_of(const PackedLayout& packed) noexcept;

/// The view of `packed` over `regions`, of which there is one, or one for each layer: opaque where
/// order or heads are not told.
///
/// Errors: those of LayoutConfig::validate() and LayoutView::create(); kInvalidArgument when the
///         order does not name each axis once, cannot be had with a region for each layer, or needs
///         heads that are not told; when a part has another extent than the config, or is of heads
///         that are not told apart.
/// Source: docs/spec/layouts.md, sections 2 and 3.
[[nodiscard]] Result<LayoutView> packed_view(const PackedLayout& packed,
                                             std::vector<Region> regions);

/// The view that `description` tells of, over `regions`.
///
/// Errors: those of packed_view() and LayoutView::create().
[[nodiscard]] Result<LayoutView> view_of(const Description& description,
                                         std::vector<Region> regions);

/// How `view` is told: packed where it is without padding, which formats A and B can tell too.
[[nodiscard]] Description describe(const LayoutView& view);

/// The numbers that every description has. Those of a strided one are of its axes, alignment 1.
[[nodiscard]] LayoutConfig config_of(const Description& description);

}  // namespace kvferry::layout
