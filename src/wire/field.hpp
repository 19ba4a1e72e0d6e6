// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace kvferry::wire {

/// The fields of a message, so that an error can say where it is without a path being kept while
/// all is well.
enum class Field : std::uint8_t {
  kMessage,
  kWorkerId,
  kWorkerAgentName,
  kBlob,
  kLayouts,
  kHandle,
  kLogicalType,
  kVersion,
  kNumBlocks,
  kNumLayers,
  kOuterDim,
  kPageSize,
  kInnerDim,
  kAlignment,
  kDtypeWidthBytes,
  kInnerShape,
  kNumHeads,
  kLayoutConfig,
  kLocation,
  kDevice,
  kDisk,
  kAgentName,
  kMemType,
  kDeviceId,
  kRegions,
  kRegion,
  kRegionAddress,
  kRegionSize,
  kDetails,
  kBlockFormat,
  kBlockDim,
  kContiguousOrder,
  kSeparateOrder,
};

/// A field with the indices that lead to it; those that do not apply are left out of the path.
struct FieldPath {
  Field field{Field::kMessage};
  std::size_t layout{0};
  std::size_t region{0};
};

/// "layouts[0].layout.memory_descriptors[3].addr": the names of the JSON form.
[[nodiscard]] std::string to_string(const FieldPath& path);

}  // namespace kvferry::wire
