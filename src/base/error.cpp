// SPDX-License-Identifier: Apache-2.0
#include "kvferry/base/error.hpp"

#include <utility>

namespace kvferry {

std::string_view to_string(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kInvalidArgument: return "InvalidArgument";
    case ErrorCode::kIncompatible: return "Incompatible";
    case ErrorCode::kCorrupt: return "Corrupt";
    case ErrorCode::kRefused: return "Refused";
    case ErrorCode::kUnavailable: return "Unavailable";
    case ErrorCode::kStale: return "Stale";
    case ErrorCode::kBusy: return "Busy";
    case ErrorCode::kDeadline: return "Deadline";
    case ErrorCode::kCancelled: return "Cancelled";
    case ErrorCode::kWrongBytes: return "WrongBytes";
  }
  return "unknown";
}

Error Error::with_context(std::string_view context) && {
  std::string longer{context};
  longer += ": ";
  longer += message;
  return Error{code, std::move(longer)};
}

}  // namespace kvferry
