// SPDX-License-Identifier: Apache-2.0
// Goal: whoever does not wait for a transfer hears of its end once, also when the transfer is
//       forgotten, hangs, ended before it was asked for, or the engine ends.
// Method: transfers of a scripted backend, carried on step by step or by an engine; event
//         descriptors are looked at with poll().
#include "transfer/completion.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <thread>

#include "kvferry/testing/manual_clock.hpp"
#include "kvferry/testing/matchers.hpp"
#include "rig.hpp"
#include "transfer/engine.hpp"

namespace kvferry::transfer {
namespace {

using namespace std::chrono_literals;
using testing::FakeBackend;
using testing::ids_from;
using testing::IsOk;
using testing::ManualClock;
using testing::Rig;
using testing::standard_config;
using Does = FakeBackend::Does;
using Step = TransferState::Step;

constexpr std::uint64_t kBlocks = 64;

bool is_readable(int descriptor) {
  pollfd look{descriptor, POLLIN, 0};
  return ::poll(&look, 1, 0) == 1;
}

class Completions : public ::testing::Test {
 protected:
  void start(Duration timeout = 10s) {
    auto started = rig_.start(ids_from(0, kBlocks), ids_from(kBlocks, kBlocks), timeout);
    ASSERT_THAT(started, IsOk());
    state_ = *started;
    transfer_ = Rig::as_transfer(state_);
  }
  void finish() {
    while (state_->step() != Step::kFinished) {
      rig_.backend->complete_all();
    }
  }
  /// Counts its calls and keeps what it was told.
  [[nodiscard]] auto counting() {
    return [this](const TransferReport& report) {
      last_ = report;
      ++calls_;
    };
  }
  [[nodiscard]] bool is_called() const {
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (calls_ == 0 && std::chrono::steady_clock::now() < end) {
      std::this_thread::yield();
    }
    return calls_ != 0;
  }

  Rig rig_{standard_config(2 * kBlocks)};
  std::shared_ptr<TransferState> state_;
  std::optional<Transfer> transfer_;
  TransferReport last_;
  std::atomic<int> calls_{0};
};

TEST_F(Completions, TellOnceAtTheEndAndAtOnceAfterIt) {
  rig_.backend->script = [](std::size_t) { return Does::kPend; };
  start();
  const auto event = transfer_->event_fd();
  ASSERT_THAT(event, IsOk());
  ASSERT_THAT(transfer_->on_complete(counting()), IsOk());
  EXPECT_EQ(state_->step(), Step::kWaiting);
  EXPECT_EQ(calls_, 0);
  EXPECT_FALSE(is_readable(*event));
  finish();
  EXPECT_EQ(calls_, 1);
  EXPECT_TRUE(last_.ok());
  EXPECT_EQ(last_.bytes_moved, state_->total_bytes());
  EXPECT_TRUE(is_readable(*event));
  EXPECT_TRUE(is_readable(*event)) << "it stays readable";
  EXPECT_EQ(*transfer_->event_fd(), *event);
  ASSERT_THAT(transfer_->on_complete(counting()), IsOk());
  EXPECT_EQ(calls_, 2);
}

TEST_F(Completions, TellOfATransferThatHasEndedBefore) {
  start();
  finish();
  const auto event = transfer_->event_fd();
  ASSERT_THAT(event, IsOk());
  EXPECT_TRUE(is_readable(*event));
}

TEST_F(Completions, TellThoughTheTransferIsForgotten) {
  rig_.backend->script = [](std::size_t) { return Does::kPend; };
  start();
  ASSERT_THAT(transfer_->on_complete(counting()), IsOk());
  const std::weak_ptr<TransferState> left = state_;
  transfer_.reset();
  std::shared_ptr<TransferState> carried = std::exchange(state_, nullptr);
  EXPECT_EQ(carried->step(), Step::kWaiting);
  rig_.backend->complete_all();
  while (carried->step() != Step::kFinished) {
    rig_.backend->complete_all();
  }
  EXPECT_EQ(calls_, 1);
  EXPECT_TRUE(last_.ok());
  carried.reset();
  EXPECT_TRUE(left.expired()) << "nothing keeps what has ended";
}

TEST_F(Completions, AreOnAThreadThatMayStartOthersAndIsNotTheCallers) {
  rig_.notifier = std::make_shared<Notifier>();
  rig_.backend->script = [](std::size_t) { return Does::kPend; };
  start();
  std::promise<std::thread::id> ran_on;
  ASSERT_THAT(transfer_->on_complete([&](const TransferReport&) {
    EXPECT_TRUE(transfer_->poll().has_value());
    EXPECT_THAT(transfer_->on_complete(counting()), IsOk());
    ran_on.set_value(std::this_thread::get_id());
  }),
              IsOk());
  finish();
  EXPECT_NE(ran_on.get_future().get(), std::this_thread::get_id());
  EXPECT_TRUE(is_called());
  rig_.notifier->close();
}

TEST_F(Completions, EndATransferThatHangsThoughNobodyWaitsForIt) {
  rig_.notifier = std::make_shared<Notifier>();
  rig_.backend->script = [](std::size_t) { return Does::kHang; };
  start(50ms);
  const auto event = transfer_->event_fd();
  ASSERT_THAT(event, IsOk());
  ASSERT_THAT(transfer_->on_complete(counting()), IsOk());
  std::jthread hangs{[this] { static_cast<void>(state_->step()); }};
  rig_.backend->wait_until_hanging();
  EXPECT_TRUE(is_called());
  ASSERT_FALSE(last_.ok());
  EXPECT_EQ(last_.error->code, ErrorCode::kDeadline);
  EXPECT_FALSE(last_.quiet);
  EXPECT_TRUE(is_readable(*event));
  EXPECT_EQ(rig_.meter->statistics().quarantined, 1U);
  rig_.backend->let_go();
  hangs.join();
  finish();
  EXPECT_TRUE(transfer_->quiet());
  EXPECT_EQ(rig_.meter->statistics().quarantined, 0U);
  EXPECT_EQ(calls_, 1);
  rig_.notifier->close();
}

TEST_F(Completions, EndAtTheirDeadlineByAnyClock) {
  const auto clock = std::make_shared<ManualClock>();
  Rig rig{standard_config(2 * kBlocks), clock};
  rig.notifier = std::make_shared<Notifier>();
  rig.backend->script = [](std::size_t) { return Does::kPend; };
  const auto state = rig.start(ids_from(0, kBlocks), ids_from(kBlocks, kBlocks), 5s);
  ASSERT_THAT(state, IsOk());
  ASSERT_THAT(Rig::as_transfer(*state).on_complete(counting()), IsOk());
  EXPECT_EQ((*state)->step(), Step::kWaiting);
  clock->advance(6s);
  EXPECT_TRUE(is_called());
  EXPECT_EQ(last_.error->code, ErrorCode::kDeadline);
  rig.notifier->close();
}

TEST_F(Completions, AreToldBeforeAnEngineIsGone) {
  auto engine = *Engine::create({.copy_threads = 1, .shutdown_timeout = 5s});
  rig_.notifier = engine->notifier();
  rig_.backend->script = [](std::size_t) { return Does::kPend; };
  for (int i = 0; i < 3; ++i) {
    const std::uint64_t from = static_cast<std::uint64_t>(i) * 20;
    const auto state = rig_.start(ids_from(from, 20), ids_from(kBlocks + from, 20), 10s);
    ASSERT_THAT(state, IsOk());
    engine->start(*state);
    ASSERT_THAT(Rig::as_transfer(*state).on_complete(counting()), IsOk());
  }
  rig_.backend->wait_for_posts(3);
  engine.reset();
  EXPECT_EQ(calls_, 3);
  EXPECT_EQ(last_.error->code, ErrorCode::kCancelled);
}

TEST_F(Completions, OfManyEachAreToldOnce) {
  constexpr int kMany = 200;
  auto engine = *Engine::create({.copy_threads = 2, .shutdown_timeout = 5s});
  rig_.notifier = engine->notifier();
  rig_.backend->script = [](std::size_t number) {
    return number % 3 == 0 ? Does::kPend : Does::kCopy;
  };
  for (int i = 0; i < kMany; ++i) {
    auto state =
        rig_.start(ids_from(0, 1), ids_from(kBlocks + static_cast<std::uint64_t>(i) % 60, 1), 10s);
    while (!state) {  // Its block is claimed by an earlier one.
      rig_.backend->complete_all();
      state = rig_.start(ids_from(0, 1), ids_from(kBlocks + static_cast<std::uint64_t>(i) % 60, 1),
                         10s);
    }
    ASSERT_THAT(Rig::as_transfer(*state).on_complete(counting()), IsOk());
    engine->start(*state);
  }
  const auto end = std::chrono::steady_clock::now() + 20s;
  while (calls_ < kMany && std::chrono::steady_clock::now() < end) {
    rig_.backend->complete_all();
  }
  EXPECT_EQ(calls_, kMany);
  EXPECT_EQ(rig_.meter->statistics().routes.at(0).good, static_cast<std::uint64_t>(kMany));
  EXPECT_EQ(rig_.meter->statistics().in_flight, 0U);
}

}  // namespace
}  // namespace kvferry::transfer
