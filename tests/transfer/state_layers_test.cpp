// SPDX-License-Identifier: Apache-2.0
// Goal: a layer is told to have arrived when all of it has and not before, also with guards, and
//       whoever waits for one hears of a failure, of a deadline, and of its own impatience.
// Method: transfers carried on step by step, with a backend that keeps requests until it is told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

#include "kvferry/testing/manual_clock.hpp"
#include "kvferry/testing/matchers.hpp"
#include "rig.hpp"

namespace kvferry::transfer {
namespace {

using namespace std::chrono_literals;
using testing::FailsWith;
using testing::FakeBackend;
using testing::ids_from;
using testing::IsOk;
using testing::ManualClock;
using testing::Rig;
using testing::standard_config;
using Does = FakeBackend::Does;
using Step = TransferState::Step;

/// Every other block, so that a layer takes several posts.
constexpr std::uint64_t kBlocks = 100;

class LayeredTransfer : public ::testing::Test {
 protected:
  LayeredTransfer() { rig_.by_layer = true; }

  void start(Duration timeout = 10s) {
    auto started = rig_.start(from_, to_, timeout);
    ASSERT_THAT(started, IsOk());
    state_ = *started;
    transfer_ = Rig::as_transfer(state_);
  }
  /// Carries the transfer on to its end, and ends every request as soon as it is there.
  TransferReport finish() {
    while (state_->step() != Step::kFinished) {
      rig_.backend->complete_all();
    }
    return state_->wait();
  }
  [[nodiscard]] Result<bool> has(std::uint64_t layer) const {
    return transfer_->wait_for_layer(layer, 0s);
  }
  void change(std::uint64_t block) {
    EXPECT_THAT(rig_.source_guards->begin_write(BlockId{block}), IsOk());
    EXPECT_THAT(rig_.source_guards->end_write(BlockId{block}), IsOk());
  }
  /// What moved of a layer, in blocks.
  [[nodiscard]] std::uint64_t arrived_of(std::uint64_t layer) const {
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < from_.size(); ++i) {
      count +=
          rig_.destination.holds_block(to_[i], rig_.source, from_[i], {layer, layer + 1}) ? 1 : 0;
    }
    return count;
  }

  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>();
  Rig rig_{standard_config(2 * kBlocks), clock_, {{0, 1}, {1, 2}}};
  std::vector<BlockId> from_ = ids_from(0, kBlocks, 2);
  std::vector<BlockId> to_ = ids_from(1, kBlocks, 2);
  std::shared_ptr<TransferState> state_;
  std::optional<Transfer> transfer_;
};

TEST_F(LayeredTransfer, TellsALayerWhenAllOfItHasArrived) {
  rig_.backend->script = [](std::size_t) { return Does::kPend; };
  start();
  std::uint64_t steps_before_first = 0;
  while (!*has(0)) {
    ++steps_before_first;
    static_cast<void>(state_->step());
    rig_.backend->complete_all();
    EXPECT_FALSE(*has(1)) << "the second layer comes later";
  }
  EXPECT_GT(steps_before_first, 2U) << "a layer of one post shows nothing";
  EXPECT_EQ(arrived_of(0), kBlocks);
  EXPECT_LT(arrived_of(1), kBlocks);
  EXPECT_FALSE(state_->poll().has_value());
  EXPECT_TRUE(finish().ok());
  EXPECT_TRUE(*has(1));
  EXPECT_TRUE(*has(7)) << "all that move have arrived";
}

TEST_F(LayeredTransfer, WithGuardsTellsALayerWhenItsBlocksDidNotChange) {
  rig_.source_guards = *BlockGuards::allocate(2 * kBlocks);
  start();
  while (!*has(0)) {
    EXPECT_EQ(state_->step(), Step::kMore);
  }
  EXPECT_EQ(arrived_of(0), kBlocks);
  EXPECT_EQ(arrived_of(1), 0U) << "the guards are asked before the next layer begins";
  EXPECT_TRUE(finish().ok());
  EXPECT_TRUE(*has(1));
}

TEST_F(LayeredTransfer, WithGuardsThatChangeTellsNoLayerAndNamesTheBlocksAtTheEnd) {
  rig_.source_guards = *BlockGuards::allocate(2 * kBlocks);
  rig_.backend->script = [this](std::size_t number) {
    if (number == 1) {
      change(4);
    }
    return Does::kCopy;
  };
  start();
  bool told{false};
  while (state_->step() != Step::kFinished) {
    told = told || state_->has_layer(0);
  }
  EXPECT_FALSE(told);
  EXPECT_EQ(arrived_of(1), kBlocks) << "the other blocks are worth the rest";
  EXPECT_EQ(state_->wait().bad_blocks, block_ids({5}));
  EXPECT_THAT(has(0), FailsWith(ErrorCode::kStale, "source block 4 changed"));
}

TEST_F(LayeredTransfer, OfTheSecondLayerFailsAndTheFirstStaysTold) {
  std::size_t posts_of_first = 0;
  rig_.backend->script = [this, &posts_of_first](std::size_t number) {
    if (state_->has_layer(0) && posts_of_first == 0) {
      posts_of_first = number;
    }
    return posts_of_first != 0 && number > posts_of_first ? Does::kFail : Does::kCopy;
  };
  start();
  while (state_->step() == Step::kMore) {
  }
  EXPECT_TRUE(*has(0));
  EXPECT_THAT(has(1), FailsWith(ErrorCode::kWrongBytes, "the script says so"));
  const TransferReport report = state_->wait();
  EXPECT_GT(report.bytes_moved, state_->total_bytes() / 2);
  EXPECT_LT(report.bytes_moved, state_->total_bytes());
  EXPECT_FALSE(report.bad_blocks.empty());
  EXPECT_EQ(arrived_of(0), kBlocks);
}

TEST_F(LayeredTransfer, WakesWhoWaitsForALayer) {
  rig_.backend->script = [](std::size_t) { return Does::kPend; };
  start();
  std::atomic<bool> told{false};
  std::jthread waiter{[&] { told = *transfer_->wait_for_layer(0, 30s); }};
  while (!state_->has_layer(0)) {
    static_cast<void>(state_->step());
    rig_.backend->complete_all();
  }
  waiter.join();
  EXPECT_TRUE(told);
  EXPECT_FALSE(state_->poll().has_value()) << "the transfer goes on";
  EXPECT_TRUE(finish().ok());
}

TEST_F(LayeredTransfer, EndsTheWaitAtItsDeadline) {
  rig_.backend->script = [](std::size_t) { return Does::kPend; };
  start(5s);
  EXPECT_EQ(state_->step(), Step::kWaiting);
  EXPECT_FALSE(*has(0));
  clock_->advance(6s);
  EXPECT_THAT(transfer_->wait_for_layer(0, 30s), FailsWith(ErrorCode::kDeadline, "deadline"));
}

}  // namespace
}  // namespace kvferry::transfer
