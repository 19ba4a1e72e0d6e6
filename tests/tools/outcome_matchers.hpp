// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gmock/gmock.h>

#include <string>

#include "outcome.hpp"

namespace kvferry::tool {

/// Matches an Outcome that is a failure with this exit code and a message that holds `substring`.
MATCHER_P2(EndsWith, exit_code, substring,
           "ends with " + std::to_string(exit_code) + ": \"..." + std::string{substring} +
               "...\"") {
  if (arg.has_value()) {
    *result_listener << "has a value";
    return false;
  }
  *result_listener << arg.error().exit_code << ": " << arg.error().message;
  return arg.error().exit_code == exit_code &&
         arg.error().message.find(substring) != std::string::npos;
}

}  // namespace kvferry::tool
