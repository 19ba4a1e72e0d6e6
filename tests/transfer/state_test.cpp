// SPDX-License-Identifier: Apache-2.0
// Goal: a transfer ends exactly once, its report tells the truth about every block, and what it
//       holds (claims, gates) is given back when nothing can touch the destination any more.
// Method: single transfers carried on step by step by the test, with a clock and a backend that do
//         what the test says at an exact place; blocks are compared byte by byte.
#include "transfer/state.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "kvferry/testing/manual_clock.hpp"
#include "kvferry/testing/matchers.hpp"
#include "rig.hpp"

namespace kvferry::transfer {
namespace {

using namespace std::chrono_literals;
using ::testing::Each;
using testing::FailsWith;
using testing::FakeBackend;
using testing::GuardedCache;
using testing::ids_from;
using testing::IsOk;
using ::testing::Le;
using testing::ManualClock;
using testing::Rig;
using testing::standard_config;
using Does = FakeBackend::Does;
using Step = TransferState::Step;

/// Every other block, so that none merges with its neighbour: a step then moves 32 blocks.
constexpr std::uint64_t kBlocks = 100;
constexpr std::uint64_t kBlockBytes = 16'384;
constexpr std::uint64_t kBlocksOfStep = 32;

class TransferStateTest : public ::testing::Test {
 protected:
  std::shared_ptr<TransferState> start(Duration timeout = 10s) {
    auto state = rig_.start(from_, to_, timeout);
    EXPECT_THAT(state, IsOk());
    return *state;
  }

  static Step run_to_end(TransferState& state) {
    Step step = Step::kMore;
    while (step == Step::kMore) {
      step = state.step();
    }
    return step;
  }

  GuardedCache::Bytes expected() const {
    return rig_.destination.expected_after(rig_.source, {from_, to_});
  }

  /// The destination blocks that do not hold their source's bytes, ascending.
  std::vector<BlockId> wrong_blocks() const {
    std::vector<BlockId> wrong;
    for (std::size_t i = 0; i < to_.size(); ++i) {
      if (!rig_.destination.holds_block(to_[i], rig_.source, from_[i])) {
        wrong.push_back(to_[i]);
      }
    }
    std::sort(wrong.begin(), wrong.end());
    return wrong;
  }

  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>();
  Rig rig_{standard_config(2 * kBlocks), clock_};
  std::vector<BlockId> from_ = ids_from(0, kBlocks, 2);
  std::vector<BlockId> to_ = ids_from(1, kBlocks, 2);
};

TEST_F(TransferStateTest, MovesEveryByteAndNothingElse) {
  const auto after = expected();
  const auto state = start();
  EXPECT_EQ(run_to_end(*state), Step::kFinished);
  const auto report = state->poll();
  ASSERT_TRUE(report.has_value());
  EXPECT_TRUE(report->ok());
  EXPECT_TRUE(report->quiet);
  EXPECT_TRUE(report->bad_blocks.empty());
  EXPECT_EQ(report->bytes_moved, kBlocks * kBlockBytes);
  EXPECT_EQ(state->total_bytes(), kBlocks * kBlockBytes);
  EXPECT_EQ(report->route, "fake");
  EXPECT_TRUE(rig_.destination.holds(after));
  EXPECT_TRUE(rig_.all_given_back());
}

TEST_F(TransferStateTest, LooksAtCancelAndDeadlineAtLeastEveryMebibyte) {
  const auto state = start();
  run_to_end(*state);
  EXPECT_GT(rig_.backend->posts().size(), 1U);
  EXPECT_THAT(rig_.backend->posts(), Each(Le(std::uint64_t{1} << 20U)));
}

TEST_F(TransferStateTest, KeepsToTheLargestRequestOfTheBackend) {
  for (const std::uint64_t largest : {1U, 3U, 1000U, 16'384U}) {
    Rig rig{standard_config(8), clock_};
    rig.backend->largest_post_bytes = largest;
    const auto from = ids_from(0, 2, 2);
    const auto to = ids_from(4, 2, 2);
    const auto after = rig.destination.expected_after(rig.source, {from, to});
    const auto state = *rig.start(from, to, 10s);
    run_to_end(*state);
    EXPECT_TRUE(state->poll()->ok()) << largest;
    EXPECT_THAT(rig.backend->posts(), Each(Le(largest)));
    EXPECT_TRUE(rig.destination.holds(after)) << largest;
  }
}

TEST_F(TransferStateTest, BlocksAreGoodWhenTheyAreWholeInEveryPlan) {
  for (std::size_t fails = 0; fails < 5; ++fails) {
    Rig rig{standard_config(2 * kBlocks), clock_, {{1, 2}, {2, 2}, {0, 1}}};
    rig.backend->script = [=](std::size_t number) {
      return number == fails ? Does::kFail : Does::kCopy;
    };
    const auto state = *rig.start(from_, to_, 10s);
    EXPECT_EQ(state->total_bytes(), kBlocks * kBlockBytes);
    run_to_end(*state);
    const auto report = state->poll();
    ASSERT_TRUE(report.has_value());
    EXPECT_EQ(report->ok(), fails == 4) << "each of two plans with bytes takes two posts";
    EXPECT_EQ(report->bytes_moved < kBlocks * kBlockBytes, fails < 4);
    std::vector<BlockId> wrong;
    for (std::size_t i = 0; i < to_.size(); ++i) {
      if (!rig.destination.holds_block(to_[i], rig.source, from_[i])) {
        wrong.push_back(to_[i]);
      }
    }
    EXPECT_EQ(report->bad_blocks, wrong) << fails;
    EXPECT_EQ(wrong.empty(), fails == 4);
    EXPECT_EQ(wrong.size() < kBlocks, fails > 2) << "the last plan makes blocks whole";
    EXPECT_TRUE(rig.all_given_back());
  }
}

/// Nobody but the waiter is there.
TEST_F(TransferStateTest, WhoWaitsForACopyMakesIt) {
  rig_.use_host_executor();
  const auto all = expected();
  const auto state = start();
  EXPECT_FALSE(state->wait_until(clock_->now()).has_value()) << "a look is no wait";
  EXPECT_EQ(wrong_blocks().size(), kBlocks);
  const auto report = state->wait();
  EXPECT_TRUE(report.ok() && report.quiet);
  EXPECT_TRUE(rig_.destination.holds(all));
  EXPECT_TRUE(rig_.all_given_back());
  EXPECT_EQ(state->step_unless_busy(), Step::kFinished) << "as the engine sees it";
}

TEST_F(TransferStateTest, WhoWaitsForACancelledCopyEndsIt) {
  rig_.use_host_executor();
  const auto state = start();
  EXPECT_EQ(state->step(), Step::kMore);
  state->request_cancel();
  const auto report = state->wait();
  ASSERT_TRUE(report.error.has_value());
  EXPECT_EQ(report.error->code, ErrorCode::kCancelled);
  EXPECT_GT(report.bytes_moved, 0U);
  EXPECT_EQ(report.bad_blocks, wrong_blocks());
  EXPECT_TRUE(rig_.all_given_back());
}

TEST_F(TransferStateTest, EndsAtOnceWithNothingToMove) {
  const auto state = *rig_.start({}, {}, 10s);
  EXPECT_EQ(state->step(), Step::kFinished);
  EXPECT_TRUE(state->poll()->ok());
  EXPECT_EQ(state->poll()->bytes_moved, 0U);
}

TEST_F(TransferStateTest, DeadlineInThePastMovesNothing) {
  const auto before = rig_.destination.bytes();
  const auto state = start(-1s);
  EXPECT_EQ(state->step(), Step::kFinished);
  const auto report = state->poll();
  ASSERT_TRUE(report.has_value() && report->error.has_value());
  EXPECT_EQ(report->error->code, ErrorCode::kDeadline);
  EXPECT_EQ(report->bytes_moved, 0U);
  EXPECT_EQ(report->bad_blocks, to_);
  EXPECT_TRUE(rig_.backend->posts().empty());
  EXPECT_TRUE(rig_.destination.holds(before));
  EXPECT_TRUE(rig_.all_given_back());
}

TEST_F(TransferStateTest, DeadlineInTheMiddleNamesExactlyTheBlocksThatAreNotGood) {
  const auto state = start(1s);
  EXPECT_EQ(state->step(), Step::kMore);
  EXPECT_EQ(state->step(), Step::kMore);
  EXPECT_FALSE(state->poll().has_value());
  clock_->advance(1s);
  EXPECT_EQ(state->step(), Step::kFinished);
  const auto report = state->poll();
  EXPECT_EQ(report->error->code, ErrorCode::kDeadline);
  EXPECT_EQ(report->bytes_moved, 2 * kBlocksOfStep * kBlockBytes);
  EXPECT_EQ(report->bad_blocks.size(), kBlocks - 2 * kBlocksOfStep);
  EXPECT_EQ(report->bad_blocks, wrong_blocks());
  EXPECT_TRUE(report->quiet);
  EXPECT_TRUE(rig_.all_given_back());
}

TEST_F(TransferStateTest, NothingMovesAfterTheEnd) {
  const auto state = start(1s);
  state->step();
  clock_->advance(2s);
  state->step();
  const auto at_the_end = rig_.destination.bytes();
  EXPECT_EQ(state->step(), Step::kFinished);
  EXPECT_EQ(state->step(), Step::kFinished);
  EXPECT_EQ(rig_.backend->posts().size(), 1U);
  EXPECT_TRUE(rig_.destination.holds(at_the_end));
}

TEST_F(TransferStateTest, CancelBeforeTheFirstStepMovesNothing) {
  const auto state = start();
  state->request_cancel();
  EXPECT_EQ(state->step(), Step::kFinished);
  EXPECT_EQ(state->poll()->error->code, ErrorCode::kCancelled);
  EXPECT_EQ(state->poll()->bad_blocks, to_);
  EXPECT_TRUE(rig_.backend->posts().empty());
  EXPECT_TRUE(rig_.all_given_back());
}

TEST_F(TransferStateTest, CancelBetweenStepsKeepsWhatIsWhole) {
  const auto state = start();
  state->step();
  state->request_cancel();
  EXPECT_EQ(state->step(), Step::kFinished);
  const auto report = state->poll();
  EXPECT_EQ(report->error->code, ErrorCode::kCancelled);
  EXPECT_EQ(report->bytes_moved, kBlocksOfStep * kBlockBytes);
  EXPECT_EQ(report->bad_blocks, wrong_blocks());
  EXPECT_EQ(report->bad_blocks.size(), kBlocks - kBlocksOfStep);
}

TEST_F(TransferStateTest, CancelAfterTheEndChangesNothing) {
  const auto state = start();
  run_to_end(*state);
  state->request_cancel();
  EXPECT_EQ(state->step(), Step::kFinished);
  EXPECT_TRUE(state->poll()->ok());
  EXPECT_TRUE(state->wait().ok());
}

TEST_F(TransferStateTest, TellsTheEndOnceAndWhenQuiet) {
  std::vector<std::optional<Error>> told;
  rig_.on_end = [&told](const std::optional<Error>& error) { told.push_back(error); };
  const auto good = start();
  run_to_end(*good);
  EXPECT_EQ(good->step(), Step::kFinished);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0], std::nullopt);

  rig_.backend->script = [](std::size_t) { return Does::kPend; };
  rig_.backend->obeys_cancel = false;
  const auto cancelled = start();
  run_to_end(*cancelled);
  cancelled->request_cancel();
  EXPECT_EQ(cancelled->step(), Step::kWaiting);
  EXPECT_TRUE(cancelled->poll().has_value());
  EXPECT_EQ(told.size(), 1U) << "a piece may still move";
  rig_.backend->complete_all();
  EXPECT_EQ(cancelled->step(), Step::kFinished);
  EXPECT_EQ(cancelled->step(), Step::kFinished);
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[1], cancelled->poll()->error);
}

TEST_F(TransferStateTest, CancelledRequestThatStaysPendingIsInQuarantineUntilQuiet) {
  rig_.backend->script = [](std::size_t post) { return post == 1 ? Does::kPend : Does::kCopy; };
  rig_.backend->obeys_cancel = false;
  const auto state = start();
  EXPECT_EQ(run_to_end(*state), Step::kWaiting);
  state->request_cancel();
  EXPECT_EQ(state->step(), Step::kWaiting);
  const auto report = state->poll();
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->error->code, ErrorCode::kCancelled);
  EXPECT_FALSE(report->quiet);
  EXPECT_FALSE(state->quiet());
  EXPECT_GE(rig_.backend->cancels(), 1U);
  EXPECT_EQ(report->bad_blocks.size(), kBlocks - kBlocksOfStep);
  EXPECT_THAT(rig_.claims->claim({{to_[0]}}), FailsWith(ErrorCode::kBusy, "block 1 "));
  EXPECT_FALSE(rig_.destination_gate->close(*clock_, clock_->now()));
  EXPECT_EQ(state->step(), Step::kWaiting);

  rig_.backend->complete_all();  // It wrote all the same, after the error was told.
  EXPECT_EQ(state->step(), Step::kFinished);
  EXPECT_TRUE(state->quiet());
  EXPECT_EQ(rig_.backend->unreleased(), 0U);
  EXPECT_TRUE(rig_.all_given_back());
  EXPECT_EQ(state->poll()->error->code, ErrorCode::kCancelled) << "a report never changes";
}

TEST_F(TransferStateTest, CancelledRequestThatStopsIsQuietAtOnce) {
  rig_.backend->script = [](std::size_t) { return Does::kPend; };
  const auto state = start();
  EXPECT_EQ(state->step(), Step::kWaiting);
  state->request_cancel();
  EXPECT_EQ(state->step(), Step::kFinished);
  EXPECT_TRUE(state->poll()->quiet);
  EXPECT_EQ(rig_.backend->unreleased(), 0U);
  EXPECT_TRUE(rig_.all_given_back());
}

TEST_F(TransferStateTest, PendingRequestsOneAfterTheOtherMoveEverything) {
  const auto after = expected();
  rig_.backend->script = [](std::size_t) { return Does::kPend; };
  const auto state = start();
  Step step = state->step();
  for (; step != Step::kFinished; step = state->step()) {
    rig_.backend->complete_all();
  }
  EXPECT_TRUE(state->poll()->ok());
  EXPECT_TRUE(rig_.destination.holds(after));
}

TEST_F(TransferStateTest, AllBytesInTimeAreNoFailureWhenTheDeadlineHasPassedSince) {
  rig_.backend->script = [](std::size_t post) { return post == 3 ? Does::kPend : Does::kCopy; };
  const auto state = start(1s);
  EXPECT_EQ(run_to_end(*state), Step::kWaiting);
  rig_.backend->complete_all();
  clock_->advance(2s);
  run_to_end(*state);
  EXPECT_TRUE(wrong_blocks().empty());
  EXPECT_TRUE(state->poll()->ok()) << state->poll()->error->message;
}

TEST_F(TransferStateTest, FailedPostNamesWhatItDidNotMove) {
  rig_.backend->script = [](std::size_t post) { return post == 2 ? Does::kFail : Does::kCopy; };
  const auto state = start();
  EXPECT_EQ(run_to_end(*state), Step::kFinished);
  const auto report = state->poll();
  EXPECT_EQ(report->error, rig_.backend->failure);
  EXPECT_EQ(report->bytes_moved, 2 * kBlocksOfStep * kBlockBytes);
  EXPECT_EQ(report->bad_blocks, wrong_blocks());
  EXPECT_TRUE(rig_.all_given_back());
}

TEST_F(TransferStateTest, FailedRequestThatStillWritesIsAskedToStopAndKeptInQuarantine) {
  rig_.backend->script = [](std::size_t) { return Does::kPend; };
  rig_.backend->obeys_cancel = false;
  const auto state = start();
  state->step();
  const agent::RequestId request = rig_.backend->pending().front();
  rig_.backend->fail(request, {ErrorCode::kStale, "replaced"}, /*quiet=*/false);
  EXPECT_EQ(state->step(), Step::kWaiting);
  EXPECT_EQ(state->poll()->error->code, ErrorCode::kStale);
  EXPECT_FALSE(state->poll()->quiet);
  EXPECT_EQ(state->step(), Step::kWaiting);
  EXPECT_GE(rig_.backend->cancels(), 1U) << "nobody wants it any more";
  EXPECT_FALSE(rig_.all_given_back());
  rig_.backend->complete(request);
  EXPECT_EQ(state->step(), Step::kFinished);
  EXPECT_TRUE(rig_.all_given_back());
}

TEST_F(TransferStateTest, DeadOwnerMakesEveryBlockBadEvenThoseThatArrived) {
  rig_.backend->owner_dies_after_post(2);
  const auto state = start();
  EXPECT_EQ(run_to_end(*state), Step::kFinished);
  const auto report = state->poll();
  EXPECT_EQ(report->error->code, ErrorCode::kUnavailable);
  EXPECT_GT(report->bytes_moved, 0U);
  EXPECT_LT(report->bytes_moved, kBlocks * kBlockBytes);
  EXPECT_EQ(report->bad_blocks, to_);
}

TEST_F(TransferStateTest, OwnerThatDiesWithTheLastByteIsNotTrusted) {
  rig_.backend->owner_dies_after_post(3);
  const auto state = start();
  run_to_end(*state);
  EXPECT_EQ(state->poll()->error->code, ErrorCode::kUnavailable);
  EXPECT_EQ(state->poll()->bad_blocks, to_);
}

TEST_F(TransferStateTest, ClaimedDestinationIsRefusedAndItsHolderUntouched) {
  const auto first = start();
  EXPECT_THAT(rig_.start(ids_from(0, 2), ids_from(0, 2), 10s),
              FailsWith(ErrorCode::kBusy, "block 1 "));
  EXPECT_THAT(rig_.start(ids_from(0, 1), ids_from(0, 1), 10s), IsOk()) << "block 0 was let go";
  run_to_end(*first);
  EXPECT_TRUE(first->poll()->ok());
}

TEST_F(TransferStateTest, WaitEndsAnOverdueTransferThatNobodyCarriesOn) {
  const auto state = start(1s);
  state->step();
  clock_->advance(1s);
  const TransferReport report = state->wait();
  EXPECT_EQ(report.error->code, ErrorCode::kDeadline);
  EXPECT_TRUE(report.quiet);
  EXPECT_EQ(report.bad_blocks, wrong_blocks());
}

TEST_F(TransferStateTest, WaitUntilAMomentInThePastOnlyLooks) {
  const auto state = start();
  EXPECT_FALSE(state->wait_until(clock_->now() - 1s).has_value());
  EXPECT_FALSE(state->wait_until(clock_->now()).has_value());
  run_to_end(*state);
  EXPECT_TRUE(state->wait_until(clock_->now() - 1s).has_value());
}

TEST_F(TransferStateTest, StepThatHangsIsReportedAfterTheGraceAndKeepsItsClaims) {
  rig_.backend->script = [](std::size_t post) { return post == 1 ? Does::kHang : Does::kCopy; };
  const auto state = start(1s);
  std::thread carrier{[&] { EXPECT_EQ(run_to_end(*state), Step::kFinished); }};
  rig_.backend->wait_until_hanging();
  clock_->advance(1999ms);
  EXPECT_FALSE(state->wait_until(clock_->now()).has_value()) << "still within the grace";
  clock_->advance(1ms);
  const TransferReport report = state->wait();
  EXPECT_EQ(report.error->code, ErrorCode::kDeadline);
  EXPECT_FALSE(report.quiet);
  EXPECT_EQ(report.bytes_moved, kBlocksOfStep * kBlockBytes);
  EXPECT_EQ(report.bad_blocks.size(), kBlocks - kBlocksOfStep);
  EXPECT_FALSE(state->quiet());
  EXPECT_FALSE(rig_.all_given_back());
  rig_.backend->let_go();
  carrier.join();
  EXPECT_TRUE(state->quiet());
  EXPECT_TRUE(rig_.all_given_back());
  EXPECT_EQ(rig_.backend->posts().size(), 2U) << "nothing was started after the end";
  EXPECT_FALSE(state->wait().quiet) << "a report never changes";
}

TEST_F(TransferStateTest, CancelDoesNotWaitForATurn) {
  const auto state = start(1h);
  state->request_cancel();
  EXPECT_EQ(state->wait().error->code, ErrorCode::kCancelled);
  EXPECT_TRUE(rig_.all_given_back());
}

}  // namespace
}  // namespace kvferry::transfer
