// SPDX-License-Identifier: Apache-2.0
// Goal: matchers match what they say, and failures print the error.
// Method: match results of each kind; print them.
#include "kvferry/testing/matchers.hpp"

#include <gtest/gtest.h>

#include <string>

namespace kvferry::testing {
namespace {

const Result<int> kValue{3};
const Result<int> kBusy{Error{ErrorCode::kBusy, "8 of 8"}};

TEST(Matchers, MatchWhatTheySay) {
  EXPECT_THAT(kValue, IsOk());
  EXPECT_THAT(Result<void>{}, IsOk());
  EXPECT_THAT(kBusy, ::testing::Not(IsOk()));
  EXPECT_THAT(kBusy, FailsWith(ErrorCode::kBusy, "of 8"));
  EXPECT_THAT(kBusy, FailsWith(ErrorCode::kBusy, ""));
  EXPECT_THAT(kBusy, ::testing::Not(FailsWith(ErrorCode::kStale, "of 8")));
  EXPECT_THAT(kBusy, ::testing::Not(FailsWith(ErrorCode::kBusy, "of 9")));
  EXPECT_THAT(kValue, ::testing::Not(FailsWith(ErrorCode::kBusy, "")));
}

TEST(Matchers, PrintTheError) {
  EXPECT_EQ(::testing::PrintToString(kBusy), "Busy: 8 of 8");
  EXPECT_EQ(::testing::PrintToString(kValue), "a value");
  EXPECT_EQ(::testing::PrintToString(kBusy.error()), "Busy: 8 of 8");
}

}  // namespace
}  // namespace kvferry::testing
