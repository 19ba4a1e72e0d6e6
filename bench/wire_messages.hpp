// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "kvferry/wire/metadata.hpp"

// The messages of suite `wire`, as format B says them.

namespace kvferry::bench {

/// The message of the original's own test: one small layout, of another agent than the worker's.
[[nodiscard]] wire::RdmaLayoutDescriptors seed_message();

/// `layouts` of 80 layers with one region each, on as many devices; a blob of 2 KiB.
[[nodiscard]] wire::RdmaLayoutDescriptors layered_message(std::uint16_t layouts);

/// `layouts` of one region, one after the other in system memory.
[[nodiscard]] wire::RdmaLayoutDescriptors contiguous_message(std::uint16_t layouts);

}  // namespace kvferry::bench
