// SPDX-License-Identifier: Apache-2.0
// Goal: a Result is exactly one of value and error, moves both, and asserts on the wrong side.
// Method: values that copy, values that only move, no value; death tests for the wrong side.
#include "kvferry/base/result.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace kvferry {
namespace {

Error busy() { return Error{ErrorCode::kBusy, "block 4 is claimed"}; }

TEST(Result, HoldsAValue) {
  Result<int> result{7};
  ASSERT_TRUE(result.has_value());
  EXPECT_TRUE(static_cast<bool>(result));
  EXPECT_EQ(*result, 7);
  EXPECT_EQ(result.value(), 7);
  *result = 8;
  const Result<int>& view = result;
  EXPECT_EQ(*view, 8);
  EXPECT_EQ(view.value(), 8);
}

TEST(Result, HoldsAnError) {
  Result<int> result{busy()};
  ASSERT_FALSE(result.has_value());
  EXPECT_FALSE(static_cast<bool>(result));
  EXPECT_EQ(result.error(), busy());
  const Result<int>& view = result;
  EXPECT_EQ(view.error().code, ErrorCode::kBusy);
}

TEST(Result, ReachesMembersOfTheValue) {
  Result<std::string> result{"llama"};
  EXPECT_EQ(result->size(), 5U);
  result->push_back('!');
  const Result<std::string>& view = result;
  EXPECT_EQ(view->back(), '!');
}

TEST(Result, GivesAwayAValueThatOnlyMoves) {
  Result<std::unique_ptr<int>> result{std::make_unique<int>(3)};
  const std::unique_ptr<int> taken = *std::move(result);
  EXPECT_EQ(*taken, 3);

  Result<std::unique_ptr<int>> second{std::make_unique<int>(4)};
  EXPECT_EQ(*std::move(second).value(), 4);
}

TEST(Result, GivesAwayItsError) {
  Result<int> result{busy()};
  const Error taken = std::move(result).error();
  EXPECT_EQ(taken, busy());
}

TEST(Result, OfAnythingButAnErrorIsAValue) {
  // A code alone is a value here: nothing converts into an Error by accident.
  const Result<ErrorCode> result{ErrorCode::kStale};
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(*result, ErrorCode::kStale);
}

TEST(ResultOfVoid, IsSuccessByDefault) {
  const Result<void> result;
  EXPECT_TRUE(result.has_value());
  EXPECT_TRUE(static_cast<bool>(result));
}

TEST(ResultOfVoid, HoldsAnError) {
  Result<void> result{busy()};
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error(), busy());
  const Result<void>& view = result;
  EXPECT_EQ(view.error(), busy());
  const Error taken = std::move(result).error();
  EXPECT_EQ(taken, busy());
}

TEST(ResultDeathTest, AssertsOnTheWrongSide) {
  Result<int> failed{busy()};
  const Result<int> fine{1};
  Result<void> fine_void;
  EXPECT_DEATH((void)failed.value(), "");
  EXPECT_DEATH((void)*failed, "");
  EXPECT_DEATH((void)failed.operator->(), "");
  EXPECT_DEATH((void)fine.error(), "");
  EXPECT_DEATH((void)fine_void.error(), "");
}

}  // namespace
}  // namespace kvferry
