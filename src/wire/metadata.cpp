// SPDX-License-Identifier: Apache-2.0
#include "kvferry/wire/metadata.hpp"

namespace kvferry::wire {

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

}  // namespace kvferry::wire
