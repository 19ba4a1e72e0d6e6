// SPDX-License-Identifier: Apache-2.0
// Goal: the two macros hand on errors untouched, and evaluate their expression once.
// Method: small functions with a counter.
#include "kvferry/base/try.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace kvferry {
namespace {

Result<std::unique_ptr<int>> make(int value, int& calls) {
  ++calls;
  if (value < 0) {
    return Error{ErrorCode::kInvalidArgument, "value " + std::to_string(value) + " below 0"};
  }
  return std::make_unique<int>(value);
}

Result<int> sum(int first, int second, int& calls) {
  KVFERRY_ASSIGN_OR_RETURN(const std::unique_ptr<int> a, make(first, calls));
  KVFERRY_ASSIGN_OR_RETURN(const std::unique_ptr<int> b, make(second, calls));
  return *a + *b;
}

Result<void> check(int value, int& calls) {
  KVFERRY_RETURN_IF_ERROR(make(value, calls));
  ++calls;
  return {};
}

TEST(AssignOrReturn, BindsTheValues) {
  int calls = 0;
  EXPECT_EQ(*sum(3, 4, calls), 7);
  EXPECT_EQ(calls, 2);
}

TEST(AssignOrReturn, ReturnsTheFirstError) {
  int calls = 0;
  EXPECT_EQ(sum(-3, -4, calls).error().message, "value -3 below 0");
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(sum(3, -4, calls).error().message, "value -4 below 0");
}

TEST(ReturnIfError, GoesOnAfterSuccess) {
  int calls = 0;
  EXPECT_TRUE(check(1, calls).has_value());
  EXPECT_EQ(calls, 2);
}

TEST(ReturnIfError, ReturnsTheError) {
  int calls = 0;
  EXPECT_EQ(check(-1, calls).error(), (Error{ErrorCode::kInvalidArgument, "value -1 below 0"}));
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace kvferry
