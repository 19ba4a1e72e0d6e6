// SPDX-License-Identifier: Apache-2.0
#include "kvferry/wire/metadata.hpp"

#include <algorithm>

namespace kvferry::wire {
namespace {

using layout::Axis;

/// By the numbers of BlockDim.
constexpr std::array<Axis, 4> kAxisOfDim{Axis::kLayer, Axis::kOuter, Axis::kToken, Axis::kHead};

struct KnownOrder {
  KvBlockLayout::Type type;
  layout::BlockAxes axes;
};
constexpr std::array<KnownOrder, 4> kKnownOrders{
    {{KvBlockLayout::Type::kUniversalTp, layout::kUniversalTp},
     {KvBlockLayout::Type::kUniversalPp, layout::kUniversalPp},
     {KvBlockLayout::Type::kOperationalHnd, layout::kHnd},
     {KvBlockLayout::Type::kOperationalNhd, layout::kNhd}}};

}  // namespace

std::string_view to_string(MessageFormat format) noexcept {
  return format == MessageFormat::kA ? "A" : "B";
}

std::string_view to_string(MemType type) noexcept {
  switch (type) {
    case MemType::kDram: return "Dram";
    case MemType::kVram: return "Vram";
    case MemType::kBlock: return "Block";
    case MemType::kObject: return "Object";
    case MemType::kFile: return "File";
    case MemType::kUnknown: return "Unknown";
  }
  return "unknown";
}

MemType mem_type_of(StorageKind kind) noexcept {
  switch (kind.type) {
    case StorageKind::Type::kSystem:
    case StorageKind::Type::kPinned: return MemType::kDram;
    case StorageKind::Type::kDevice: return MemType::kVram;
    case StorageKind::Type::kDisk: return MemType::kFile;
  }
  return MemType::kUnknown;
}

std::string_view to_string(BlockFormat format) noexcept {
  switch (format) {
    case BlockFormat::kOperational: return "Operational";
  }
  return "unknown";
}

std::string_view variant_name(layout::BlockDimension dimension) noexcept {
  switch (dimension) {
    case layout::BlockDimension::kBlockIsFirstDim: return "BlockIsFirstDim";
    case layout::BlockDimension::kBlockIsSecondDim: return "BlockIsSecondDim";
  }
  return "unknown";
}

std::string_view to_string(BlockDim dim) noexcept {
  switch (dim) {
    case BlockDim::kLayer: return "Layer";
    case BlockDim::kOuter: return "Outer";
    case BlockDim::kPage: return "Page";
    case BlockDim::kHead: return "Head";
  }
  return "unknown";
}

std::string_view to_string(KvBlockLayout::Type type) noexcept {
  switch (type) {
    case KvBlockLayout::Type::kUniversalTp: return "UniversalTP";
    case KvBlockLayout::Type::kUniversalPp: return "UniversalPP";
    case KvBlockLayout::Type::kOperationalHnd: return "OperationalHND";
    case KvBlockLayout::Type::kOperationalNhd: return "OperationalNHD";
    case KvBlockLayout::Type::kCustom: return "Custom";
    case KvBlockLayout::Type::kUnknown: return "Unknown";
  }
  return "unknown";
}

std::string_view to_string(LogicalType type) noexcept {
  switch (type) {
    case LogicalType::kG1: return "G1";
    case LogicalType::kG2: return "G2";
    case LogicalType::kG3: return "G3";
    case LogicalType::kG4: return "G4";
  }
  return "unknown";
}

layout::Arrangement arrangement_of(const LayoutTypeDetails& details) noexcept {
  const auto* separate = std::get_if<LayerSeparateDetails>(&details);
  return separate == nullptr ? layout::Arrangement::kFullyContiguous
                             : layout::layer_separate(separate->block_dim);
}

LayoutTypeDetails details_of(layout::Arrangement arrangement) noexcept {
  switch (arrangement) {
    case layout::Arrangement::kFullyContiguous: break;
    case layout::Arrangement::kLayerSeparateBlockFirst:
      return LayerSeparateDetails{layout::BlockDimension::kBlockIsFirstDim};
    case layout::Arrangement::kLayerSeparateBlockSecond:
      return LayerSeparateDetails{layout::BlockDimension::kBlockIsSecondDim};
  }
  return FullyContiguousDetails{};
}

const std::optional<KvBlockLayout>& kv_block_layout_of(const LayoutTypeDetails& details) noexcept {
  if (const auto* separate = std::get_if<LayerSeparateDetails>(&details)) {
    return separate->kv_block_layout;
  }
  return std::get_if<FullyContiguousDetails>(&details)->kv_block_layout;
}

KvBlockLayout kv_block_layout_of(const std::optional<layout::BlockAxes>& order) noexcept {
  if (!order) {
    return {};
  }
  for (const KnownOrder& known : kKnownOrders) {
    if (*order == known.axes) {
      return {known.type, {}};
    }
  }
  KvBlockLayout custom{KvBlockLayout::Type::kCustom, {}};
  for (std::size_t i = 0; i < order->size(); ++i) {
    const auto* const found = std::ranges::find(kAxisOfDim, (*order)[i]);
    custom.custom[i] = static_cast<BlockDim>(found - kAxisOfDim.begin());
  }
  return custom;
}

layout::PackedLayout told_layout(const layout::LayoutConfig& config,
                                 const LayoutTypeDetails& details) {
  layout::PackedLayout told = layout::packed_layout(config, arrangement_of(details));
  const std::optional<KvBlockLayout>& order = kv_block_layout_of(details);
  if (!order) {
    return told;
  }
  const auto* const known = std::ranges::find(kKnownOrders, order->type, &KnownOrder::type);
  std::optional<layout::BlockAxes> axes;
  if (known != kKnownOrders.end()) {
    axes = known->axes;
  } else if (order->type == KvBlockLayout::Type::kCustom) {
    axes.emplace();
    std::ranges::transform(order->custom, axes->begin(),
                           [](BlockDim dim) { return kAxisOfDim[static_cast<std::size_t>(dim)]; });
  }
  const bool separate = std::holds_alternative<LayerSeparateDetails>(details);
  if (axes && (!separate || *axes == layout::kNhd || *axes == layout::kHnd)) {
    told.order = axes;
  }
  return told;
}

}  // namespace kvferry::wire
