// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace kvferry {

/// Where the bytes of a region lie, with what tells two of a kind apart.
///
/// Source: docs/spec/wire-format.md, section 1.3.
struct StorageKind {
  enum class Type : std::uint8_t { kSystem = 0, kPinned = 1, kDevice = 2, kDisk = 3 };

  Type type{Type::kSystem};
  std::uint64_t id{0};  ///< device ordinal, or file descriptor of a disk; 0 for memory of the host

  [[nodiscard]] static constexpr StorageKind system() noexcept { return {Type::kSystem, 0}; }
  [[nodiscard]] static constexpr StorageKind pinned() noexcept { return {Type::kPinned, 0}; }
  [[nodiscard]] static constexpr StorageKind device(std::uint32_t ordinal) noexcept {
    return {Type::kDevice, ordinal};
  }
  [[nodiscard]] static constexpr StorageKind disk(std::uint64_t file) noexcept {
    return {Type::kDisk, file};
  }

  friend constexpr bool operator==(const StorageKind&, const StorageKind&) = default;
};

/// "System", "Pinned", "Device(3)", "Disk(5)".
[[nodiscard]] std::string to_string(StorageKind kind);

}  // namespace kvferry
