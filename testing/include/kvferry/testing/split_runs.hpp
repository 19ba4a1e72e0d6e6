// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kvferry/base/run.hpp"

namespace kvferry::testing {

struct SplitRuns {
  std::vector<Run> before;
  std::vector<Run> after;
};

/// Cuts runs after their first `bytes`, in the order in which they copy; a piece is cut in two if
/// need be. All are before where `bytes` is their total or more.
[[nodiscard]] SplitRuns split_runs(std::span<const Run> runs, std::uint64_t bytes);

/// How many bytes `runs` copy.
[[nodiscard]] std::uint64_t total_bytes(std::span<const Run> runs) noexcept;

}  // namespace kvferry::testing
