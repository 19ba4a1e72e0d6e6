// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "kvferry/layout/packed.hpp"
#include "layout/strides.hpp"

namespace kvferry::layout {
namespace {

constexpr std::array<Arrangement, 3> kArrangements{Arrangement::kFullyContiguous,
                                                   Arrangement::kLayerSeparateBlockFirst,
                                                   Arrangement::kLayerSeparateBlockSecond};

const AxisSpan& span_of(const LayoutView::Parts& parts, Axis axis) {
  return parts.axes[static_cast<std::size_t>(axis)];
}

LayoutConfig config_of_parts(const LayoutView::Parts& parts) {
  LayoutConfig config{.num_blocks = span_of(parts, Axis::kBlock).extent,
                      .num_layers = span_of(parts, Axis::kLayer).extent,
                      .outer_dim = span_of(parts, Axis::kOuter).extent,
                      .page_size = parts.page_size,
                      .inner_dim = parts.inner_dim,
                      .dtype_width_bytes = parts.element_bytes};
  if (parts.packing.empty()) {
    config.num_heads = span_of(parts, Axis::kHead).extent;
  }
  return config;
}

/// The parts of `view`, without regions. Of an axis with one place only, no step counts.
LayoutView::Parts shape_of(const LayoutView& view) {
  LayoutView::Parts parts;
  for (std::size_t i = 0; i < kAxisCount; ++i) {
    parts.axes[i] = view.axis(static_cast<Axis>(i));
    if (parts.axes[i].extent == 1 && i != static_cast<std::size_t>(Axis::kElement)) {
      parts.axes[i].stride_bytes = 0;
      parts.axes[i].region_step = 0;
    }
  }
  parts.first_region = view.first_region();
  parts.offset_bytes = view.offset_bytes();
  parts.element_bytes = view.element_bytes();
  parts.page_size = view.page_size();
  parts.inner_dim = view.inner_dim();
  parts.packing = view.packing();
  return parts;
}

/// The orders that blocks of `view` may have, the best known first.
std::vector<std::optional<BlockAxes>> orders_of(const LayoutView& view) {
  if (view.is_opaque()) {
    return {std::nullopt, kNhd, kHnd};
  }
  std::vector<std::optional<BlockAxes>> orders{kNhd, kHnd, kUniversalTp, kUniversalPp};
  BlockAxes order{kNhd};  // In ascending order, from which all are reached.
  do {
    orders.emplace_back(order);
  } while (std::next_permutation(order.begin(), order.end()));
  return orders;
}

}  // namespace

Part part_of(const AxisSpan& span) noexcept {
  return span.origin == 0 && span.extent == span.whole ? Part{}
                                                       : Part{span.origin, span.extent, span.whole};
}

LayoutView::Parts strided_layout(const LayoutConfig& config, const Steps& steps, const Part& layers,
                                 const Part& heads) {
  const bool told = config.num_heads.has_value();
  const std::uint64_t elements =
      told ? config.inner_dim / std::max<std::uint64_t>(*config.num_heads, 1)
           : config.page_size * config.inner_dim;
  const std::uint64_t extents[] = {config.num_blocks, config.num_layers, config.outer_dim,
                                   told ? config.page_size : 1, config.num_heads.value_or(1)};
  LayoutView::Parts parts;
  for (std::size_t i = 0; i < steps.regions.size(); ++i) {
    parts.axes[i] = {extents[i], steps.stride_bytes[i], 0, extents[i], steps.regions[i]};
  }
  parts.axes.back() = {elements, config.dtype_width_bytes, 0, elements};
  for (const auto& [axis, part] :
       {std::pair{Axis::kLayer, layers}, std::pair{Axis::kHead, heads}}) {
    if (part != Part{}) {
      AxisSpan& span = parts.axes[static_cast<std::size_t>(axis)];
      span.origin = part.origin;
      span.whole = part.whole;
    }
  }
  parts.element_bytes = config.dtype_width_bytes;
  parts.page_size = config.page_size;
  parts.inner_dim = config.inner_dim;
  return parts;
}

Result<LayoutView> view_of(const Description& description, std::vector<Region> regions) {
  if (const auto* const packed = std::get_if<PackedLayout>(&description)) {
    return packed_view(*packed, std::move(regions));
  }
  LayoutView::Parts parts{std::get<LayoutView::Parts>(description)};
  parts.regions = std::move(regions);
  return LayoutView::create(std::move(parts));
}

Description describe(const LayoutView& view) {
  const LayoutView::Parts shape = shape_of(view);
  const std::vector<std::optional<BlockAxes>> orders = orders_of(view);
  for (const Arrangement arrangement : kArrangements) {
    for (const std::optional<BlockAxes>& order : orders) {
      const PackedLayout packed{.config = config_of_parts(shape),
                                .arrangement = arrangement,
                                .order = order,
                                .layers = part_of(span_of(shape, Axis::kLayer)),
                                .heads = part_of(span_of(shape, Axis::kHead))};
      const auto made = packed_view(packed, {view.regions().begin(), view.regions().end()});
      if (made && shape_of(*made) == shape) {
        return packed;
      }
    }
  }
  return shape;
}

LayoutConfig config_of(const Description& description) {
  const auto* const packed = std::get_if<PackedLayout>(&description);
  return packed != nullptr ? packed->config
                           : config_of_parts(std::get<LayoutView::Parts>(description));
}

}  // namespace kvferry::layout
