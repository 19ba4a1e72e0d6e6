// SPDX-License-Identifier: Apache-2.0
#include "kvferry/layout/packed.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "kvferry/base/try.hpp"
#include "layout/strides.hpp"

namespace kvferry::layout {
namespace {

Error invalid(std::string message) {
  return Error{ErrorCode::kInvalidArgument, std::move(message)};
}

std::string text(const Rank& rank) {
  return std::to_string(rank.rank) + "/" + std::to_string(rank.ranks);
}

Result<void> check_rank(std::string_view field, const Rank& rank) {
  if (rank.ranks == 0) {
    return invalid(std::string{field} + " " + text(rank) + ": there is at least 1 rank");
  }
  if (rank.rank >= rank.ranks) {
    return invalid(std::string{field} + " " + text(rank) +
                   ": the first of the two is a rank below " + std::to_string(rank.ranks));
  }
  return {};
}

/// What rank R of N has of `whole`, up to as many as there are ranks.
Part divided(const Rank& rank, std::uint64_t whole) {
  // 128 bits: neither factor has a bound of its own.
  const auto begin_of = [&](std::uint64_t of) {
    return static_cast<std::uint64_t>(static_cast<unsigned __int128>(of) * whole / rank.ranks);
  };
  const std::uint64_t begin = begin_of(rank.rank);
  return {begin, begin_of(rank.rank + 1) - begin, whole};
}

Result<void> check_order(const BlockAxes& order, Arrangement arrangement) {
  BlockAxes sorted{order};
  std::ranges::sort(sorted);
  if (sorted != kNhd) {
    return invalid("order: " + to_string(order) +
                   " is not layer, outer, token and head, each once");
  }
  if (arrangement != Arrangement::kFullyContiguous &&
      (order[0] != Axis::kLayer || order[1] != Axis::kOuter)) {
    return invalid("order: " + to_string(order) + " needs one region, and " +
                   std::string{to_string(arrangement)} + " has one for each layer");
  }
  return {};
}

/// Whether blocks that are one piece each can be told so.
Result<void> check_opaque(const PackedLayout& packed) {
  if (packed.order && inner_shape_of(packed) == InnerShape::kUnknown) {
    return invalid("order: " + to_string(*packed.order) + " needs the number of heads");
  }
  if (packed.heads != Part{}) {
    return invalid("heads: a part of heads that are not told apart");
  }
  return {};
}

/// All of a view but its axes.
LayoutView::Parts parts_of(const LayoutConfig& config, std::vector<Region> regions) {
  LayoutView::Parts parts;
  parts.regions = std::move(regions);
  parts.element_bytes = config.dtype_width_bytes;
  parts.page_size = config.page_size;
  parts.inner_dim = config.inner_dim;
  return parts;
}

Result<Part> part_of(std::string_view field, const Part& part, std::uint64_t extent) {
  if (part == Part{}) {
    return Part{0, extent, extent};
  }
  if (part.extent != extent) {
    return invalid(std::string{field} + ": the part has " + std::to_string(part.extent) +
                   ", the config " + std::to_string(extent));
  }
  return part;
}

/// The axes inside a region, outermost first, without the elements.
std::vector<Axis> axes_of(const BlockAxes& order, Arrangement arrangement) {
  switch (arrangement) {
    case Arrangement::kFullyContiguous: break;
    case Arrangement::kLayerSeparateBlockFirst:
      return {Axis::kBlock, Axis::kOuter, order[2], order[3]};
    case Arrangement::kLayerSeparateBlockSecond:
      return {Axis::kOuter, Axis::kBlock, order[2], order[3]};
  }
  return {Axis::kBlock, order[0], order[1], order[2], order[3]};
}

}  // namespace

std::string to_string(const BlockAxes& order) {
  constexpr std::array<std::pair<const BlockAxes*, std::string_view>, 4> kNames{
      {{&kNhd, "NHD"},
       {&kHnd, "HND"},
       {&kUniversalTp, "UniversalTP"},
       {&kUniversalPp, "UniversalPP"}}};
  for (const auto& [known, name] : kNames) {
    if (order == *known) {
      return std::string{name};
    }
  }
  std::string axes;
  for (const Axis axis : order) {
    axes.append(axes.empty() ? "" : ", ").append(to_string(axis));
  }
  return axes;
}

void pack(LayoutView::Parts& parts, const BlockAxes& order, Arrangement arrangement) {
  const auto span_of = [&parts](Axis axis) -> AxisSpan& {
    return parts.axes[static_cast<std::size_t>(axis)];
  };
  std::uint64_t stride = parts.element_bytes;
  const auto put = [&](Axis axis) {
    span_of(axis).stride_bytes = stride;
    stride *= span_of(axis).extent;
  };
  put(Axis::kElement);
  const std::vector<Axis> axes = axes_of(order, arrangement);
  std::for_each(axes.rbegin(), axes.rend(), put);
  if (arrangement != Arrangement::kFullyContiguous) {
    span_of(Axis::kLayer).region_step = 1;
  }
}

Result<Part> heads_of(const Rank& rank, std::uint64_t heads) {
  KVFERRY_RETURN_IF_ERROR(check_rank("tp", rank));
  if (heads == 0 || (rank.ranks > heads && rank.ranks % heads != 0)) {
    return invalid("tp " + text(rank) + ": " + std::to_string(rank.ranks) +
                   " ranks are more than the " + std::to_string(heads) +
                   " heads, and no multiple of them");
  }
  Part part = divided(rank, heads);
  part.extent = std::max<std::uint64_t>(part.extent, 1);
  return part;
}

Result<Part> layers_of(const Rank& rank, std::uint64_t layers) {
  KVFERRY_RETURN_IF_ERROR(check_rank("pp", rank));
  if (rank.ranks > layers) {
    return invalid("pp " + text(rank) + ": " + std::to_string(rank.ranks) +
                   " ranks are more than the " + std::to_string(layers) + " layers");
  }
  return divided(rank, layers);
}

PackedLayout packed_layout(const LayoutConfig& config, Arrangement arrangement) {
  PackedLayout packed{.config = config, .arrangement = arrangement};
  if (config.inner_shape == InnerShape::kNhd) {
    packed.order = kNhd;
  } else if (config.inner_shape == InnerShape::kHnd) {
    packed.order = kHnd;
  }
  packed.config.inner_shape = InnerShape::kUnknown;
  return packed;
}

InnerShape inner_shape_of(const PackedLayout& packed) noexcept {
  if (packed.order == kNhd) {
    return InnerShape::kNhd;
  }
  return packed.order == kHnd ? InnerShape::kHnd : InnerShape::kUnknown;
}

Result<LayoutView> packed_view(const PackedLayout& packed, std::vector<Region> regions) {
  const LayoutConfig& config = packed.config;
  KVFERRY_RETURN_IF_ERROR(config.validate());
  if (packed.order) {
    KVFERRY_RETURN_IF_ERROR(check_order(*packed.order, packed.arrangement));
  }
  KVFERRY_ASSIGN_OR_RETURN(const Part layers, part_of("layers", packed.layers, config.num_layers));
  LayoutView::Parts parts = parts_of(config, std::move(regions));
  parts.axes = {AxisSpan{config.num_blocks, 0, 0, config.num_blocks},
                AxisSpan{layers.extent, 0, layers.origin, layers.whole},
                AxisSpan{config.outer_dim, 0, 0, config.outer_dim},
                AxisSpan{},
                AxisSpan{},
                AxisSpan{}};
  if (packed.order && config.num_heads) {
    KVFERRY_ASSIGN_OR_RETURN(const Part heads, part_of("heads", packed.heads, *config.num_heads));
    const std::uint64_t elements = config.inner_dim / heads.extent;
    parts.axes[3] = AxisSpan{config.page_size, 0, 0, config.page_size};
    parts.axes[4] = AxisSpan{heads.extent, 0, heads.origin, heads.whole};
    parts.axes[5] = AxisSpan{elements, 0, 0, elements};
  } else {
    KVFERRY_RETURN_IF_ERROR(check_opaque(packed));
    const std::uint64_t elements = config.page_size * config.inner_dim;
    parts.axes[5] = AxisSpan{elements, 0, 0, elements};
    parts.packing = to_string(inner_shape_of(packed));
  }
  pack(parts, packed.order.value_or(kNhd), packed.arrangement);
  return LayoutView::create(std::move(parts));
}

Result<LayoutView> view_of(const Layout& layout) {
  return packed_view(packed_layout(layout.config(), layout.arrangement()),
                     {layout.regions().begin(), layout.regions().end()});
}

}  // namespace kvferry::layout
