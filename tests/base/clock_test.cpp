// SPDX-License-Identifier: Apache-2.0
// Goal: a deadline never lies in the past because a sum wrapped.
// Method: timeouts around the end of time.
#include "kvferry/base/clock.hpp"

#include <gtest/gtest.h>

namespace kvferry {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

TEST(DeadlineAfter, AddsTheTimeout) {
  const TimePoint start{seconds{100}};
  EXPECT_EQ(deadline_after(start, seconds{2}), TimePoint{seconds{102}});
  EXPECT_EQ(deadline_after(start, nanoseconds{0}), start);
}

TEST(DeadlineAfter, AcceptsATimeoutThatIsOver) {
  EXPECT_EQ(deadline_after(TimePoint{seconds{100}}, seconds{-1}), TimePoint{seconds{99}});
}

TEST(DeadlineAfter, StopsAtTheBeginningOfTime) {
  EXPECT_EQ(deadline_after(TimePoint{seconds{-1}}, Duration::min()), TimePoint::min());
  EXPECT_LT(deadline_after(TimePoint{seconds{1}}, Duration::min()), TimePoint{});
}

TEST(DeadlineAfter, StopsAtTheEndOfTime) {
  EXPECT_EQ(deadline_after(TimePoint{seconds{1}}, Duration::max()), TimePoint::max());
  EXPECT_EQ(deadline_after(TimePoint::max(), nanoseconds{1}), TimePoint::max());
  EXPECT_EQ(deadline_after(TimePoint::max() - nanoseconds{1}, nanoseconds{1}), TimePoint::max());
}

TEST(SteadyClock, NeverGoesBack) {
  const SteadyClock clock;
  TimePoint before = clock.now();
  for (int i = 0; i < 1000; ++i) {
    const TimePoint now = clock.now();
    ASSERT_LE(before, now);
    before = now;
  }
}

}  // namespace
}  // namespace kvferry
