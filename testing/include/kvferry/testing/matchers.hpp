// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gmock/gmock.h>

#include <ostream>
#include <string>

#include "kvferry/base/result.hpp"

namespace kvferry {

/// Lets GoogleTest print errors: "Refused: the memory is not sealed".
inline void PrintTo(const Error& error, std::ostream* out) {
  *out << to_string(error.code) << ": " << error.message;
}

/// Lets GoogleTest print results: what went wrong, not the bytes of a variant.
template <class T>
void PrintTo(const Result<T>& result, std::ostream* out) {
  if (result.has_value()) {
    *out << "a value";
  } else {
    PrintTo(result.error(), out);
  }
}

}  // namespace kvferry

namespace kvferry::testing {

/// Matches a Result that holds a value.
MATCHER(IsOk, "is ok") { return arg.has_value(); }

/// Matches a Result that holds an error with this code, whose message contains `substring`.
MATCHER_P2(FailsWith, code, substring,
           "fails with " + std::string{to_string(code)} + ": \"..." + std::string{substring} +
               "...\"") {
  return !arg.has_value() && arg.error().code == code &&
         arg.error().message.find(substring) != std::string::npos;
}

}  // namespace kvferry::testing
