// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "report.hpp"

namespace kvferry::tool {

/// One transfer of the demo, and between which layouts.
struct Act {
  std::string title;
  std::string from;
  std::string to;
  TransferStory story;
};

/// The first transfer beside memcpy of as many bytes, in turns.
struct Race {
  TransferStory median;  ///< of all rounds
  double memcpy_gb_per_s{0};
  double ratio{0};  ///< of the rates, round by round; the median
};

struct DemoProcess {
  pid_t pid{0};
  std::string role;
  std::vector<std::string> layouts;
};

/// What the demo did.
struct Demo {
  std::string geometry;
  std::uint64_t blocks{0};  ///< of each layout
  std::vector<DemoProcess> processes;
  std::uint64_t message_bytes{0};  ///< of format A
  Race race;
  std::vector<Act> acts;
  double seconds{0};

  [[nodiscard]] bool ok() const {
    return std::all_of(acts.begin(), acts.end(),
                       [](const Act& act) { return act.story.report.ok(); });
  }
};

[[nodiscard]] nlohmann::ordered_json json_of(const Demo& demo);

/// For a terminal.
[[nodiscard]] std::string text_of(const Demo& demo);

/// One document that needs nothing beside it.
[[nodiscard]] std::string html_of(const Demo& demo);

}  // namespace kvferry::tool
