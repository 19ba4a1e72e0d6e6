// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace kvferry {

/// One contiguous byte range: an address (or a file offset) and a size.
struct Region {
  std::uint64_t address{0};
  std::uint64_t size_bytes{0};

  friend constexpr bool operator==(const Region&, const Region&) = default;
};

/// One end of a Run: a region of that side's list, where the first piece starts in it, and how
/// far apart the pieces lie.
struct RunEnd {
  std::uint32_t region{0};        ///< index in the side's list of regions
  std::uint64_t offset_bytes{0};  ///< of the first piece, from the region's start
  std::uint64_t stride_bytes{0};  ///< from piece to piece; 0 when there is one piece

  friend constexpr bool operator==(const RunEnd&, const RunEnd&) = default;
};

/// `count` equal copies of `bytes` each: what a plan is made of and what executors and agents
/// carry out.
struct Run {
  RunEnd source;
  RunEnd destination;
  std::uint64_t bytes{0};  ///< of one piece, contiguous on both sides
  std::uint64_t count{0};  ///< pieces

  [[nodiscard]] constexpr std::uint64_t total_bytes() const noexcept { return bytes * count; }
  friend constexpr bool operator==(const Run&, const Run&) = default;
};

}  // namespace kvferry
