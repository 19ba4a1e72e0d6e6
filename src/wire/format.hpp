// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

// The numbers of formats A and B, shared by the encoder and the decoder.
// Source: docs/spec/wire-format.md, sections 1.2 to 1.4.

namespace kvferry::wire::format {

/// How many variants each enum has; an index from here on is refused.
inline constexpr std::uint32_t kInnerShapes = 3;
inline constexpr std::uint32_t kStorageKinds = 4;
inline constexpr std::uint32_t kMemTypes = 6;
inline constexpr std::uint32_t kLayoutTypes = 2;
inline constexpr std::uint32_t kBlockFormats = 1;
inline constexpr std::uint32_t kBlockDimensions = 2;
inline constexpr std::uint32_t kLogicalTypes = 4;    // B
inline constexpr std::uint32_t kKvBlockLayouts = 6;  // B
inline constexpr std::uint32_t kBlockDims = 4;       // B

/// Variant indices that something is written after.
inline constexpr std::uint32_t kFullyContiguous = 0;

/// The least bytes that an element takes, with each integer and name as short as it can be. What
/// is left of a message bounds the counts that it may announce.
inline constexpr std::size_t kRegionBytesMin = 2;                // addr, size
inline constexpr std::size_t kLayoutBytesMinA = 1                // handle
                                                + 1 + 7 + 1 + 1  // version, config, shape, location
                                                + 3              // name length, mem type, device
                                                + 1 + 2;         // region count, details
inline constexpr std::size_t kLayoutBytesMinB = kLayoutBytesMinA + 2;  // tier, order of the block
static_assert(kLayoutBytesMinA == 17 && kLayoutBytesMinB == 19);

}  // namespace kvferry::wire::format
