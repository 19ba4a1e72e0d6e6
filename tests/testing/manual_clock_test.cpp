// SPDX-License-Identifier: Apache-2.0
// Goal: the clock moves when told to, and only then.
// Method: look, advance, look.
#include "kvferry/testing/manual_clock.hpp"

#include <gtest/gtest.h>

namespace kvferry::testing {
namespace {

TEST(ManualClock, MovesOnlyWhenTold) {
  ManualClock clock;
  const TimePoint start = clock.now();
  EXPECT_EQ(clock.now(), start);
  clock.advance(std::chrono::seconds{5});
  clock.advance(Duration{1});
  EXPECT_EQ(clock.now() - start, std::chrono::seconds{5} + Duration{1});
}

}  // namespace
}  // namespace kvferry::testing
