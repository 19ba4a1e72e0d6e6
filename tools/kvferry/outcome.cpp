// SPDX-License-Identifier: Apache-2.0
#include "outcome.hpp"

#include <cstdio>
#include <nlohmann/json.hpp>

namespace kvferry::tool {

Failure signatures_left_out() {
  return Error{ErrorCode::kUnavailable,
               "signatures: this build leaves them out; configure one with -DKVFERRY_TRUST=ON, "
               "which needs libsodium"};
}

int fail(const Failure& failure, bool json) {
  if (json && failure.exit_code != kExitUsage) {
    print_json({{"ok", false},
                {"error", {{"code", to_string(failure.code)}, {"message", failure.message}}}});
    std::fflush(stdout);  // Standard error may be where this process ends.
  }
  print_error("kvferry: " + failure.message + "\n");
  return failure.exit_code;
}

}  // namespace kvferry::tool
