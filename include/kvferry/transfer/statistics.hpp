// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "kvferry/base/clock.hpp"
#include "kvferry/base/error.hpp"

namespace kvferry::transfer {

/// Ends of transfers by their error code.
using ErrorCounts = std::map<ErrorCode, std::uint64_t>;

/// What went one way, since the beginning. A transfer from several sources counts once for each.
struct RouteStatistics {
  std::string route;            ///< "shm read"
  std::uint64_t good{0};        ///< transfers that ended well
  ErrorCounts failed{};         ///< and those that did not
  std::uint64_t bad_blocks{0};  ///< of all failed ones
  std::uint64_t bytes_planned{0};
  std::uint64_t bytes_moved{0};  ///< by requests that ended
  std::uint64_t requests{0};     ///< posted
  Duration plan_time{};          ///< checks and planning, before the first byte
  Duration transfer_time{};      ///< from the first byte to the end, verification included
  Duration verify_time{};        ///< computing digests
};

/// What a manager has done and is doing. Counters only grow.
struct Statistics {
  std::vector<RouteStatistics> routes;  ///< that were used, by name
  ErrorCounts refused{};                ///< transfers that were never started
  std::size_t in_flight{0};             ///< transfers that have not ended
  std::size_t quarantined{0};           ///< that have ended and are not quiet
};

}  // namespace kvferry::transfer
