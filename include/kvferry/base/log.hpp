// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string_view>

namespace kvferry {

enum class LogLevel { kDebug, kInfo, kWarn, kError };

/// Receives what the library has to say; the library itself never prints. Called on any thread,
/// must not call back into kvferry and must not throw. An empty hook drops everything.
using LogHook = std::function<void(LogLevel level, std::string_view message)>;

}  // namespace kvferry
