// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "kvferry/exchange/exchange.hpp"
#include "outcome.hpp"

namespace kvferry::tool {

/// The exchange that is used when none is named: $KVFERRY_EXCHANGE, else a directory `kvferry`
/// under $XDG_RUNTIME_DIR, else /tmp/kvferry-UID.
[[nodiscard]] std::string default_exchange();

/// Opens `dir:PATH`, making the directory if it is missing; empty text is the default.
///
/// Errors: usage for another kind; not there when the directory is none or not private.
[[nodiscard]] Outcome<std::unique_ptr<exchange::Exchange>> open_exchange(std::string_view text);

/// As open_exchange(), but makes nothing: null when the directory is not there, though its parents
/// are.
///
/// Errors: as of open_exchange().
[[nodiscard]] Outcome<std::unique_ptr<exchange::Exchange>> find_exchange(std::string_view text);

/// Until when one look into the exchange may take. It is a directory of this machine, locked for
/// milliseconds: whoever waits longer waits for a stopped process.
[[nodiscard]] TimePoint exchange_deadline();

}  // namespace kvferry::tool
