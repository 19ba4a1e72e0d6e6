// SPDX-License-Identifier: Apache-2.0
#include "kvferry/base/storage_kind.hpp"

namespace kvferry {

std::string to_string(StorageKind kind) {
  switch (kind.type) {
    case StorageKind::Type::kSystem: return "System";
    case StorageKind::Type::kPinned: return "Pinned";
    case StorageKind::Type::kDevice: return "Device(" + std::to_string(kind.id) + ")";
    case StorageKind::Type::kDisk: return "Disk(" + std::to_string(kind.id) + ")";
  }
  return "unknown";
}

}  // namespace kvferry
