// SPDX-License-Identifier: Apache-2.0
#include "logging.hpp"

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>

#include "output.hpp"

namespace kvferry::tool {
namespace {

constexpr std::array<std::string_view, 4> kNames{"debug", "info", "warn", "error"};

// A log hook is a function of no object.
LogLevel least_level{LogLevel::kWarn};

}  // namespace

std::optional<LogLevel> parse_log_level(std::string_view word) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == word) {
      return static_cast<LogLevel>(i);
    }
  }
  return std::nullopt;
}

void set_up_logging() {
  least_level = LogLevel::kWarn;
  const char* const word = std::getenv("KVFERRY_LOG");
  if (word == nullptr || *word == '\0') {
    return;
  }
  const std::optional<LogLevel> level = parse_log_level(word);
  if (!level) {
    print_error(fmt::format("kvferry: KVFERRY_LOG: {} is not debug, info, warn or error\n",
                            printable(word)));
  }
  least_level = level.value_or(least_level);
}

void log_to_stderr(LogLevel level, std::string_view message) {
  if (level >= least_level) {
    print_error(fmt::format("kvferry: {}: {}\n", kNames[static_cast<std::size_t>(level)], message));
  }
}

}  // namespace kvferry::tool
