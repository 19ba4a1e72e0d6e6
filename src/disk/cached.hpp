// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "disk/backend.hpp"

namespace kvferry::disk {

/// Reads as much of the beginning of a read as lies in the page cache, without waiting for a disk;
/// how many bytes. Nothing of what is direct, and where the kernel or the file system does not
/// tell.
[[nodiscard]] std::uint64_t read_cached(const Operation& operation);

}  // namespace kvferry::disk
