// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kvferry/base/result.hpp"
#include "kvferry/base/run.hpp"

namespace kvferry::memory {

/// Whether every piece of `runs` lies inside the region that it names, on both sides.
///
/// Shape:  `source_bytes` and `destination_bytes` hold the size of each region of a side.
/// Errors: kInvalidArgument naming the first run and end that does not.
[[nodiscard]] Result<void> check_runs(std::span<const Run> runs,
                                      std::span<const std::uint64_t> source_bytes,
                                      std::span<const std::uint64_t> destination_bytes);

/// Copies the bytes of `runs` between regions that begin at the given addresses. The one place
/// where kvferry's processors copy a user's bytes; it neither allocates nor checks: check_runs()
/// did.
///
/// Shape:    `sources` and `destinations` hold the first byte of each region of a side;
///           `transfer_bytes` is how much the transfer moves in all that the runs are a part of,
///           as far as it is told: a large one goes past the caches.
/// Threads:  any; what is copied is the caller's to synchronize. Source and destination pieces
///           share no byte.
void copy_runs(std::span<const Run> runs, std::span<std::byte* const> sources,
               std::span<std::byte* const> destinations, std::uint64_t transfer_bytes = 0) noexcept;

}  // namespace kvferry::memory
