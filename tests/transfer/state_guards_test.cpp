// SPDX-License-Identifier: Apache-2.0
// Goal: a transfer from a layout with guards calls no block good that changed while it was copied,
//       and all others; nothing moves when the numbers are not the expected ones.
// Method: transfers carried on step by step, with a backend that changes blocks at an exact post.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "kvferry/testing/matchers.hpp"
#include "rig.hpp"

namespace kvferry::transfer {
namespace {

using namespace std::chrono_literals;
using testing::FailsWith;
using testing::FakeBackend;
using testing::GuardedCache;
using testing::ids_from;
using ::testing::IsEmpty;
using testing::IsOk;
using testing::Rig;
using testing::standard_config;
using Does = FakeBackend::Does;
using Step = TransferState::Step;

/// Every other block, so that none merges with its neighbour: a step then moves 32 blocks.
constexpr std::uint64_t kBlocks = 100;

class GuardedTransfer : public ::testing::Test {
 protected:
  GuardedTransfer() { rig_.source_guards = *BlockGuards::allocate(2 * kBlocks); }

  /// Runs a transfer to its end; `at_post` is called before the bytes of each post move.
  TransferReport run(const std::function<void(std::size_t)>& at_post = {}) {
    rig_.backend->script = [at_post](std::size_t number) {
      if (at_post) {
        at_post(number);
      }
      return Does::kCopy;
    };
    auto state = rig_.start(from_, to_, 10s);
    EXPECT_THAT(state, IsOk());
    while ((*state)->step() == Step::kMore) {
    }
    return (*state)->wait();
  }
  void change(std::uint64_t block) {
    EXPECT_THAT(rig_.source_guards->begin_write(BlockId{block}), IsOk());
    EXPECT_THAT(rig_.source_guards->end_write(BlockId{block}), IsOk());
  }

  Rig rig_{standard_config(2 * kBlocks)};
  std::vector<BlockId> from_ = ids_from(0, kBlocks, 2);
  std::vector<BlockId> to_ = ids_from(1, kBlocks, 2);
};

TEST_F(GuardedTransfer, IsGoodWhenNothingChanges) {
  const GuardedCache::Bytes expected = rig_.destination.expected_after(rig_.source, {from_, to_});
  const TransferReport report = run([this](std::size_t) { change(1); });  // Not of the transfer.
  EXPECT_TRUE(report.ok());
  EXPECT_THAT(report.bad_blocks, IsEmpty());
  EXPECT_TRUE(rig_.destination.holds(expected));
  EXPECT_TRUE(rig_.all_given_back());
}

TEST_F(GuardedTransfer, BlockThatChangesInTheMiddleIsBadAndTheOthersAreGood) {
  const TransferReport report = run([this](std::size_t number) {
    if (number == 1) {
      change(4);    // Copied already.
      change(150);  // Not yet.
    }
  });
  ASSERT_TRUE(report.error.has_value());
  EXPECT_EQ(report.error->code, ErrorCode::kStale);
  EXPECT_EQ(report.bad_blocks, block_ids({5, 151}));
  EXPECT_TRUE(rig_.destination.holds_block(BlockId{3}, rig_.source, BlockId{2}));
  EXPECT_TRUE(report.quiet);
  EXPECT_TRUE(rig_.all_given_back());
}

TEST_F(GuardedTransfer, BlockThatIsBeingWrittenAllTheTimeIsBad) {
  ASSERT_THAT(rig_.source_guards->begin_write(BlockId{8}), IsOk());
  const TransferReport report = run();
  ASSERT_TRUE(report.error.has_value());
  EXPECT_EQ(report.bad_blocks, block_ids({9}));
}

TEST_F(GuardedTransfer, OtherNumbersThanExpectedMoveNothing) {
  rig_.expected.assign(kBlocks, 0);
  change(10);
  const TransferReport report = run();
  ASSERT_TRUE(report.error.has_value());
  EXPECT_EQ(report.error->code, ErrorCode::kStale);
  EXPECT_EQ(report.bytes_moved, 0U);
  EXPECT_EQ(report.bad_blocks, to_);
  EXPECT_THAT(rig_.backend->posts(), IsEmpty());
  rig_.expected[5] = 2;
  EXPECT_TRUE(run().ok());
}

TEST_F(GuardedTransfer, EveryBlockIsBadWhenTheNumbersCouldNotBeReadAgain) {
  rig_.backend->script = [](std::size_t number) { return number == 2 ? Does::kFail : Does::kCopy; };
  auto state = rig_.start(from_, to_, 10s);
  ASSERT_THAT(state, IsOk());
  while ((*state)->step() == Step::kMore) {
  }
  const TransferReport report = (*state)->wait();
  EXPECT_GT(report.bytes_moved, 0U);
  EXPECT_LT(report.bytes_moved, (*state)->total_bytes());
  EXPECT_EQ(report.bad_blocks, to_) << "nobody knows which of them changed";
}

TEST_F(GuardedTransfer, WritesItsDestinationAsAnEngineDoes) {
  rig_.destination_guards = *BlockGuards::allocate(2 * kBlocks);
  std::uint64_t during = 0;
  const TransferReport report =
      run([&](std::size_t) { during = *rig_.destination_guards->sequence(to_[3]); });
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(during, 1U);
  EXPECT_EQ(*rig_.destination_guards->sequence(to_[3]), 2U);
  EXPECT_EQ(*rig_.destination_guards->sequence(BlockId{0}), 0U);
}

TEST_F(GuardedTransfer, DestinationInQuarantineIsSaidToBeWritten) {
  rig_.destination_guards = *BlockGuards::allocate(2 * kBlocks);
  rig_.backend->script = [](std::size_t) { return Does::kPend; };
  rig_.backend->obeys_cancel = false;
  auto state = rig_.start(from_, to_, 10s);
  ASSERT_THAT(state, IsOk());
  while ((*state)->step() == Step::kMore) {
  }
  (*state)->request_cancel();
  EXPECT_FALSE((*state)->wait().quiet);
  EXPECT_EQ(*rig_.destination_guards->sequence(to_[0]), 1U);
  rig_.backend->complete_all();
  EXPECT_EQ((*state)->step(), Step::kFinished);
  EXPECT_EQ(*rig_.destination_guards->sequence(to_[0]), 2U);
}

}  // namespace
}  // namespace kvferry::transfer
