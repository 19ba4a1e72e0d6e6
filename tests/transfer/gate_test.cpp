// SPDX-License-Identifier: Apache-2.0
// Goal: once a gate is closed, nobody is inside and nobody gets in; a close that gives up leaves
//       the gate as it was for the others.
// Method: passes taken and left by hand; several closers at once, ordered by a clock of the test.
#include "transfer/gate.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "kvferry/testing/manual_clock.hpp"

namespace kvferry::transfer {
namespace {

using namespace std::chrono_literals;
using testing::ManualClock;

TEST(Gate, LetsInUntilItIsClosedAndAgainWhenItIsOpened) {
  const SteadyClock clock;
  const auto gate = std::make_shared<Gate>();
  EXPECT_TRUE(GatePass{gate}.entered());
  EXPECT_TRUE(gate->close(clock, clock.now())) << "the pass was left at once";
  EXPECT_FALSE(GatePass{gate}.entered());
  gate->open();
  EXPECT_TRUE(GatePass{gate}.entered());
}

TEST(Gate, OpensAgainWhenSomebodyStaysInsidePastTheDeadline) {
  const SteadyClock clock;
  const auto gate = std::make_shared<Gate>();
  const GatePass stays{gate};
  EXPECT_FALSE(gate->close(clock, clock.now() + 30ms));
  EXPECT_TRUE(GatePass{gate}.entered());
}

TEST(Gate, CloseDoesNotWaitForADeadlineOfLongAgo) {
  const SteadyClock clock;
  const auto gate = std::make_shared<Gate>();
  const GatePass stays{gate};
  EXPECT_FALSE(gate->close(clock, deadline_after(clock.now(), Duration::min())));
  EXPECT_FALSE(gate->close(clock, TimePoint::min()));
}

TEST(Gate, CloseWaitsForTheLastOneToLeave) {
  const SteadyClock clock;
  const auto gate = std::make_shared<Gate>();
  GatePass one{gate};
  GatePass two{gate};
  std::atomic<bool> left{false};
  std::thread closer{[&] {
    EXPECT_TRUE(gate->close(clock, clock.now() + 30s));
    EXPECT_TRUE(left);
  }};
  while (GatePass{gate}.entered()) {  // Until the closer is there.
    std::this_thread::yield();
  }
  one.leave();
  left = true;
  two.leave();
  closer.join();
}

TEST(Gate, CloserThatGivesUpDoesNotOpenItForAnotherThatWaits) {
  const ManualClock clock;
  const auto gate = std::make_shared<Gate>();
  GatePass inside{gate};
  std::atomic<bool> closed{false};
  std::thread patient{[&] {
    EXPECT_TRUE(gate->close(clock, clock.now() + 1h));
    closed = true;
  }};
  while (GatePass{gate}.entered()) {
    std::this_thread::yield();
  }
  EXPECT_FALSE(gate->close(clock, clock.now())) << "no time at all";
  EXPECT_FALSE(GatePass{gate}.entered()) << "the other one still closes it";
  inside.leave();
  patient.join();
  EXPECT_TRUE(closed);
  EXPECT_FALSE(GatePass{gate}.entered());
}

TEST(GatePass, LeavesOnceWhateverHappensToTheObject) {
  const SteadyClock clock;
  const auto gate = std::make_shared<Gate>();
  {
    GatePass first{gate};
    GatePass second{std::move(first)};
    GatePass third;
    EXPECT_FALSE(third.entered());
    third = std::move(second);
    EXPECT_TRUE(third.entered());
    EXPECT_FALSE(gate->close(clock, clock.now()));
    third.leave();
    EXPECT_FALSE(third.entered());
  }
  EXPECT_TRUE(gate->close(clock, clock.now()));
}

TEST(Gate, NobodyIsInsideOnceItIsClosed) {
  const SteadyClock clock;
  for (int round = 0; round < 200; ++round) {
    const auto gate = std::make_shared<Gate>();
    std::atomic<bool> closed{false};
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&] {
        for (int turn = 0; turn < 100; ++turn) {
          const GatePass pass{gate};
          EXPECT_FALSE(pass.entered() && closed);
        }
      });
    }
    EXPECT_TRUE(gate->close(clock, clock.now() + 30s));
    closed = true;
    for (std::thread& thread : threads) {
      thread.join();
    }
  }
}

}  // namespace
}  // namespace kvferry::transfer
