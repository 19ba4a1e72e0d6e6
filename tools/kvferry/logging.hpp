// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

#include "kvferry/base/log.hpp"

namespace kvferry::tool {

/// The level that `word` names: debug, info, warn or error.
[[nodiscard]] std::optional<LogLevel> parse_log_level(std::string_view word);

/// Takes $KVFERRY_LOG for the level below which log_to_stderr() says nothing. Says so on stderr
/// when it names none; then, and when it is not set, the level is warn. Before the first thread.
void set_up_logging();

/// The log hook of every library object of the tool.
void log_to_stderr(LogLevel level, std::string_view message);

}  // namespace kvferry::tool
