// SPDX-License-Identifier: Apache-2.0
#include "kvferry/wire/metadata.hpp"

#include <fmt/format.h>

namespace kvferry::wire {

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

KvBlockLayout kv_block_layout_of(layout::InnerShape shape) noexcept {
  switch (shape) {
    case layout::InnerShape::kUnknown: break;
    case layout::InnerShape::kNhd: return {KvBlockLayout::Type::kOperationalNhd, {}};
    case layout::InnerShape::kHnd: return {KvBlockLayout::Type::kOperationalHnd, {}};
  }
  return {};
}

Result<layout::LayoutConfig> told_config(layout::LayoutConfig config,
                                         const LayoutTypeDetails& details) {
  const std::optional<KvBlockLayout>& order = kv_block_layout_of(details);
  if (!order) {
    return config;
  }
  switch (order->type) {
    case KvBlockLayout::Type::kOperationalNhd:
      config.inner_shape = layout::InnerShape::kNhd;
      return config;
    case KvBlockLayout::Type::kOperationalHnd:
      config.inner_shape = layout::InnerShape::kHnd;
      return config;
    case KvBlockLayout::Type::kUnknown: return config;
    case KvBlockLayout::Type::kUniversalTp:
    case KvBlockLayout::Type::kUniversalPp:
    case KvBlockLayout::Type::kCustom: break;
  }
  if (std::holds_alternative<LayerSeparateDetails>(details)) {
    return config;
  }
  return Error{ErrorCode::kIncompatible,
               fmt::format("kv_block_layout: {}, and only blocks in NHD or HND can be moved",
                           to_string(order->type))};
}

}  // namespace kvferry::wire
