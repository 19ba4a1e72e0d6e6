// SPDX-License-Identifier: Apache-2.0
// Goal: a broken invariant reaches the host's handler, and never returns to the broken code.
// Method: handlers that throw (caught here), and death tests for the ones that terminate.
#include "kvferry/base/assert.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace kvferry {
namespace {

void throw_what_failed(std::string_view condition, std::string_view message) {
  throw std::runtime_error{std::string{condition} + " | " + std::string{message}};
}

void return_as_no_handler_may(std::string_view /*condition*/, std::string_view /*message*/) {}

// Puts a handler in place for the life of one test.
class HandlerScope {
 public:
  explicit HandlerScope(AssertionHandler handler) : before_{set_assertion_handler(handler)} {}
  ~HandlerScope() { set_assertion_handler(before_); }
  HandlerScope(const HandlerScope&) = delete;
  HandlerScope& operator=(const HandlerScope&) = delete;

 private:
  AssertionHandler before_;
};

TEST(Assert, HandsConditionAndMessageToTheHandler) {
  const HandlerScope scope{&throw_what_failed};
  const int blocks = 4;
  try {
    KVFERRY_ASSERT(blocks == 5, "five blocks");
    FAIL() << "the assertion held";
  } catch (const std::runtime_error& failure) {
    EXPECT_STREQ(failure.what(), "blocks == 5 | five blocks");
  }
}

TEST(Assert, DoesNothingWhenTheConditionHolds) {
  const HandlerScope scope{&throw_what_failed};
  EXPECT_NO_THROW(KVFERRY_ASSERT(1 + 1 == 2, "sums"));
}

TEST(Assert, EvaluatesTheConditionOnce) {
  int evaluations = 0;
  KVFERRY_ASSERT(++evaluations == 1, "first");
  EXPECT_EQ(evaluations, 1);
}

TEST(Assert, GivesBackTheHandlerBefore) {
  const HandlerScope outer{&throw_what_failed};
  EXPECT_EQ(set_assertion_handler(&return_as_no_handler_may), &throw_what_failed);
  EXPECT_EQ(set_assertion_handler(&throw_what_failed), &return_as_no_handler_may);
}

TEST(AssertDeathTest, TerminatesWithTheDefaultHandler) {
  EXPECT_DEATH(KVFERRY_ASSERT(false, "always"), "");
}

TEST(AssertDeathTest, TerminatesWhenTheHandlerIsNull) {
  const HandlerScope scope{nullptr};
  EXPECT_DEATH(KVFERRY_ASSERT(false, "always"), "");
}

TEST(AssertDeathTest, TerminatesWhenTheHandlerReturns) {
  const HandlerScope scope{&return_as_no_handler_may};
  EXPECT_DEATH(KVFERRY_ASSERT(false, "always"), "");
}

}  // namespace
}  // namespace kvferry
