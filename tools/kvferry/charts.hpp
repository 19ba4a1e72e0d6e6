// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// Charts of measurements in a page of html.hpp. Two sides differ in colour, in dash and in mark.

namespace kvferry::tool {

/// Rates of both sides for one size.
struct RatePoint {
  std::uint64_t bytes{0};
  double ours{0};      ///< GB/s
  double baseline{0};  ///< GB/s
};

/// How rates change with size; `points` ascend and are not empty.
struct RateChart {
  std::string title;
  std::vector<RatePoint> points;
};

/// All charts, on one scale of rates so that they can be compared, one beside the other.
[[nodiscard]] std::string html_rates(const std::vector<RateChart>& charts);

/// How times spread, and where they should end.
struct TimeSpread {
  std::string title;
  double min{0};
  double q1{0};
  double median{0};
  double q3{0};
  double bar{0};
};

/// One line for each, from the minimum to the third quartile, with the bar as a mark.
[[nodiscard]] std::string html_spreads(const std::vector<TimeSpread>& spreads,
                                       std::string_view unit);

}  // namespace kvferry::tool
