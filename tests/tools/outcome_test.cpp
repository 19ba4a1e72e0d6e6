// SPDX-License-Identifier: Apache-2.0
// Goal: errors of the library end the tool with the documented exit codes.
// Method: every error code; usage and invalid beside them.
#include "outcome.hpp"

#include <gtest/gtest.h>

#include <array>

namespace kvferry::tool {
namespace {

struct Row {
  ErrorCode code;
  int exit_code;
};

TEST(Failure, OfEveryErrorCodeHasItsExitCode) {
  constexpr std::array<Row, 10> kRows{{{ErrorCode::kInvalidArgument, 3},
                                       {ErrorCode::kIncompatible, 3},
                                       {ErrorCode::kCorrupt, 3},
                                       {ErrorCode::kRefused, 4},
                                       {ErrorCode::kUnavailable, 4},
                                       {ErrorCode::kStale, 4},
                                       {ErrorCode::kBusy, 4},
                                       {ErrorCode::kDeadline, 5},
                                       {ErrorCode::kCancelled, 5},
                                       {ErrorCode::kWrongBytes, 6}}};
  for (const Row& row : kRows) {
    const Failure failure{Error{row.code, "why"}};
    EXPECT_EQ(failure.exit_code, row.exit_code) << to_string(row.code);
    EXPECT_EQ(failure.message, "why");
  }
}

TEST(Failure, TellsAWrongCommandLineFromAWrongValue) {
  EXPECT_EQ(usage("word").exit_code, 2);
  EXPECT_EQ(invalid("value").exit_code, 3);
}

TEST(Outcome, IsAValueOrAFailure) {
  const Outcome<int> value{7};
  ASSERT_TRUE(value);
  EXPECT_EQ(*value, 7);
  const Outcome<int> failure{Error{ErrorCode::kBusy, "later"}};
  ASSERT_FALSE(failure);
  EXPECT_EQ(failure.error().message, "later");
}

}  // namespace
}  // namespace kvferry::tool
