// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kvferry {

/// What the caller can do about a failure; the message says what happened. The values travel
/// between workers: append only, never renumber.
enum class ErrorCode : std::uint16_t {
  kInvalidArgument = 1,  ///< can never succeed as asked; fix the caller
  kIncompatible = 2,     ///< two layouts cannot hold each other's bytes; choose other layouts
  kCorrupt = 3,          ///< bytes do not decode; do not retry with the same bytes
  kRefused = 4,          ///< a policy says no: access, ownership, seal; ask whoever sets it
  kUnavailable = 5,      ///< peer, file or device is gone for now; retry with back-off
  kStale = 6,            ///< the handle or message is out of date; import again
  kBusy = 7,             ///< claimed by another transfer, or a limit is used up; wait
  kDeadline = 8,         ///< the time given is over; retry with more
  kCancelled = 9,        ///< the caller cancelled
  kWrongBytes = 10,      ///< bytes arrived that are not the ones asked for; discard them
};

/// Names `code` as in the documents: "InvalidArgument", "Incompatible", ...
[[nodiscard]] std::string_view to_string(ErrorCode code) noexcept;

/// Why something failed: a code to act on and one sentence that names field, value and bound.
struct [[nodiscard]] Error {
  ErrorCode code{ErrorCode::kInvalidArgument};
  std::string message;  ///< "block 9 of 4"

  /// The same error with "`context`: " in front of its message.
  Error with_context(std::string_view context) &&;

  friend bool operator==(const Error&, const Error&) = default;
};

}  // namespace kvferry
