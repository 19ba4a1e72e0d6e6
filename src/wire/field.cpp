// SPDX-License-Identifier: Apache-2.0
#include "wire/field.hpp"

#include <fmt/format.h>

#include <string_view>

namespace kvferry::wire {
namespace {

/// The path of a field; `{0}` stands for the layout's index, `{1}` for the region's.
fmt::string_view pattern_of(Field field) noexcept {
  switch (field) {
    case Field::kMessage: return "message";
    case Field::kWorkerId: return "worker_address.worker_id";
    case Field::kWorkerAgentName: return "worker_address.nixl_agent_name";
    case Field::kBlob: return "nixl_metadata";
    case Field::kLayouts: return "layouts";
    case Field::kHandle: return "layouts[{0}].handle";
    case Field::kLogicalType: return "layouts[{0}].logical_type";
    case Field::kVersion: return "layouts[{0}].layout.version";
    case Field::kNumBlocks: return "layouts[{0}].layout.layout_config.num_blocks";
    case Field::kNumLayers: return "layouts[{0}].layout.layout_config.num_layers";
    case Field::kOuterDim: return "layouts[{0}].layout.layout_config.outer_dim";
    case Field::kPageSize: return "layouts[{0}].layout.layout_config.page_size";
    case Field::kInnerDim: return "layouts[{0}].layout.layout_config.inner_dim";
    case Field::kAlignment: return "layouts[{0}].layout.layout_config.alignment";
    case Field::kDtypeWidthBytes: return "layouts[{0}].layout.layout_config.dtype_width_bytes";
    case Field::kInnerShape: return "layouts[{0}].layout.layout_config.inner_shape";
    case Field::kNumHeads: return "layouts[{0}].layout.layout_config.num_heads";
    case Field::kLayoutConfig: return "layouts[{0}].layout.layout_config";
    case Field::kLocation: return "layouts[{0}].layout.location";
    case Field::kDevice: return "layouts[{0}].layout.location.Device";
    case Field::kDisk: return "layouts[{0}].layout.location.Disk";
    case Field::kAgentName: return "layouts[{0}].layout.nixl_metadata.agent_name";
    case Field::kMemType: return "layouts[{0}].layout.nixl_metadata.mem_type";
    case Field::kDeviceId: return "layouts[{0}].layout.nixl_metadata.device_id";
    case Field::kRegions: return "layouts[{0}].layout.memory_descriptors";
    case Field::kRegion: return "layouts[{0}].layout.memory_descriptors[{1}]";
    case Field::kRegionAddress: return "layouts[{0}].layout.memory_descriptors[{1}].addr";
    case Field::kRegionSize: return "layouts[{0}].layout.memory_descriptors[{1}].size";
    case Field::kDetails: return "layouts[{0}].layout.layout_type_details";
    case Field::kBlockFormat:
      return "layouts[{0}].layout.layout_type_details.FullyContiguous.block_format";
    case Field::kBlockDim: return "layouts[{0}].layout.layout_type_details.LayerSeparate.block_dim";
    case Field::kContiguousOrder:
      return "layouts[{0}].layout.layout_type_details.FullyContiguous.kv_block_layout";
    case Field::kSeparateOrder:
      return "layouts[{0}].layout.layout_type_details.LayerSeparate.kv_block_layout";
  }
  return "unknown";
}

}  // namespace

std::string to_string(const FieldPath& path) {
  return fmt::format(fmt::runtime(pattern_of(path.field)), path.layout, path.region);
}

}  // namespace kvferry::wire
