// SPDX-License-Identifier: Apache-2.0
// Goal: a wait with a deadline ends at it, whenever that is, or when it is woken.
// Method: deadlines from the beginning to the end of time, on the machine's clock and on one that
//         the test moves.
#include "base/mutex.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "kvferry/base/clock.hpp"

namespace kvferry {
namespace {

using namespace std::chrono_literals;

TEST(CondVar, DoesNotWaitForWhatIsOver) {
  Mutex mutex;
  CondVar never;
  const SteadyClock clock;
  const MutexLock lock{mutex};
  for (const TimePoint over : {TimePoint::min(), TimePoint{}, clock.now()}) {
    EXPECT_FALSE(never.wait_until(mutex, over));
    EXPECT_FALSE(never.wait_before(mutex, clock, over));
  }
}

TEST(CondVar, WaitsUntilTheDeadlineAndNoLonger) {
  Mutex mutex;
  CondVar never;
  const TimePoint begin = std::chrono::steady_clock::now();
  const MutexLock lock{mutex};
  while (never.wait_until(mutex, begin + 30ms)) {
  }
  while (never.wait_before(mutex, SteadyClock{}, begin + 60ms)) {
  }
  EXPECT_GE(std::chrono::steady_clock::now(), begin + 60ms);
}

TEST(CondVar, IsWokenHoweverLateTheDeadlineIs) {
  Mutex mutex;
  CondVar changed;
  bool done{false};
  std::thread waker;
  {
    const MutexLock lock{mutex};
    waker = std::thread{[&] {
      const MutexLock inner{mutex};
      done = true;
      changed.notify_all();
    }};
    while (!done) {
      EXPECT_TRUE(changed.wait_until(mutex, TimePoint::max()));
    }
  }
  waker.join();
}

TEST(CondVar, LooksAgainAtAClockThatIsNotTheMachines) {
  struct Frozen final : Clock {
    [[nodiscard]] TimePoint now() const noexcept override { return TimePoint{}; }
  };
  Mutex mutex;
  CondVar never;
  const TimePoint begin = std::chrono::steady_clock::now();
  const MutexLock lock{mutex};
  EXPECT_TRUE(never.wait_before(mutex, Frozen{}, TimePoint::max()));
  EXPECT_LT(std::chrono::steady_clock::now(), begin + 10s);
}

}  // namespace
}  // namespace kvferry
