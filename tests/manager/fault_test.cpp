// SPDX-License-Identifier: Apache-2.0
// Goal: whatever goes wrong while a peer's blocks are pulled, the report names what is not good,
// the
//       destination is left alone or said to be in quarantine, and nothing hangs.
// Method: pulls of 4 MiB through an agent that fails, drops, delays or corrupts one piece in the
//         middle; the destination is refilled after the error and watched for a second.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <thread>
#include <vector>

#include "workers.hpp"

namespace kvferry::manager {
namespace {

using namespace std::chrono_literals;
using layout::Arrangement;
using testing::FailsWith;
using testing::Fault;
using testing::FaultKind;
using testing::ids_from;
using testing::IsOk;
using testing::standard_config;
using testing::Worker;

class Faults : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kBlocks = 256;
  static constexpr std::uint64_t kAllBytes = kBlocks * 16'384;
  /// 20 pieces of 64 KiB: inside the third step.
  static constexpr std::uint64_t kStrikesAt = 20;

  transfer::Transfer pull(const Fault& fault, Duration deadline) {
    reader_ = std::make_unique<Worker>(directory_, 8, "decode-8", fault);
    EXPECT_THAT(owner_.manager->register_layout(source_), IsOk());
    mine_ = *reader_->manager->register_layout(destination_);
    const auto handles =
        reader_->manager->import_metadata(owner_.exported(), testing::knowing_heads());
    EXPECT_THAT(handles, IsOk());
    theirs_ = handles->front();
    auto transfer =
        reader_->manager->execute_transfer(theirs_, from_, mine_, to_, {.deadline = deadline});
    EXPECT_THAT(transfer, IsOk());
    return *std::move(transfer);
  }

  [[nodiscard]] std::vector<std::size_t> wrong_blocks() const {
    std::vector<testing::PatternBlock> moved;
    for (std::size_t i = 0; i < kBlocks; ++i) {
      moved.push_back({to_[i], from_[i]});
    }
    auto wrong =
        testing::pattern_check(destination_->view(), destination_->region_bases(), moved, 11);
    EXPECT_THAT(wrong, IsOk());
    return *std::move(wrong);
  }

  /// Struck in the middle, and every block that is not right is named.
  void check_facts(const transfer::TransferReport& report) const {
    EXPECT_GT(report.bytes_moved, 0U);
    EXPECT_LT(report.bytes_moved, kAllBytes);
    for (const std::size_t wrong : wrong_blocks()) {
      EXPECT_TRUE(
          std::binary_search(report.bad_blocks.begin(), report.bad_blocks.end(), to_[wrong]));
    }
  }

  void refill() const {
    const auto filled = testing::pattern_fill(destination_->view(), destination_->region_bases(),
                                              testing::pattern_blocks(2 * kBlocks), 77);
    ASSERT_THAT(filled, IsOk());
  }
  [[nodiscard]] std::size_t changed_since_refill() const {
    const auto wrong = testing::pattern_check(destination_->view(), destination_->region_bases(),
                                              testing::pattern_blocks(2 * kBlocks), 77);
    return wrong->size();
  }
  static void watch(Duration time) {
    std::promise<void> nobody;
    nobody.get_future().wait_for(time);
  }

  testing::TemporaryDirectory directory_;
  Worker owner_{directory_, 7, "prefill-7"};
  transfer::PhysicalLayoutPtr source_ =
      testing::shared_layout(standard_config(2 * kBlocks), Arrangement::kFullyContiguous, 11);
  transfer::PhysicalLayoutPtr destination_ = testing::shared_layout(
      standard_config(2 * kBlocks), Arrangement::kLayerSeparateBlockFirst, 77);
  std::vector<BlockId> from_ = ids_from(1, kBlocks, 2);
  std::vector<BlockId> to_ = ids_from(0, kBlocks, 2);
  std::unique_ptr<Worker> reader_;
  LayoutHandle mine_;
  LayoutHandle theirs_;
};

TEST_F(Faults, FailureInTheMiddleNamesEveryBlockOfADyingOwner) {
  const auto transfer = pull({FaultKind::kFail, kStrikesAt}, 20s);
  const auto report = transfer.wait();
  ASSERT_TRUE(report.error.has_value());
  EXPECT_EQ(report.error->code, ErrorCode::kUnavailable);
  EXPECT_THAT(report.error->message, ::testing::HasSubstr("piece 20"));
  EXPECT_EQ(report.bad_blocks, to_);
  EXPECT_TRUE(report.quiet);
  check_facts(report);
  refill();
  watch(1s);
  EXPECT_EQ(changed_since_refill(), 0U);
}

TEST_F(Faults, DroppedPieceEndsAtTheDeadlineAndIsQuiet) {
  const TimePoint begin = std::chrono::steady_clock::now();
  const auto transfer = pull({FaultKind::kDrop, kStrikesAt}, 300ms);
  const auto report = transfer.wait();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 300ms + 2s);
  ASSERT_TRUE(report.error.has_value());
  EXPECT_EQ(report.error->code, ErrorCode::kDeadline);
  EXPECT_TRUE(report.quiet);
  EXPECT_LT(report.bad_blocks.size(), kBlocks) << "what came before is good";
  check_facts(report);
  refill();
  watch(1s);
  EXPECT_EQ(changed_since_refill(), 0U);
  EXPECT_EQ(reader_->manager->transfers_in_flight(), 0U);
}

TEST_F(Faults, DroppedPieceIsCancelledAtOnce) {
  const auto transfer = pull({FaultKind::kDrop, kStrikesAt}, 100s);
  EXPECT_FALSE(transfer.wait_for(50ms).has_value());
  EXPECT_THAT(reader_->manager->execute_transfer(theirs_, block_ids({0}), mine_, {{to_.back()}}),
              FailsWith(ErrorCode::kBusy, ""));
  const auto report = transfer.cancel();
  EXPECT_EQ(report.error->code, ErrorCode::kCancelled);
  EXPECT_TRUE(report.quiet);
  check_facts(report);
  // The fault has struck; the same blocks arrive now.
  const auto again = reader_->manager->execute_transfer(theirs_, from_, mine_, to_);
  ASSERT_THAT(again, IsOk());
  EXPECT_TRUE(again->wait().ok());
  EXPECT_TRUE(wrong_blocks().empty());
}

TEST_F(Faults, DelayedPieceIsInQuarantineUntilItHasArrived) {
  const auto transfer = pull({FaultKind::kDelay, kStrikesAt, 1500ms}, 200ms);
  const auto report = transfer.wait();
  EXPECT_EQ(report.error->code, ErrorCode::kDeadline);
  ASSERT_FALSE(report.quiet) << "the piece will still be written";
  EXPECT_FALSE(transfer.quiet());
  EXPECT_EQ(reader_->manager->transfers_in_flight(), 1U);
  EXPECT_THAT(reader_->manager->execute_transfer(theirs_, block_ids({0}), mine_, {{to_.back()}}),
              FailsWith(ErrorCode::kBusy, "claimed"));
  EXPECT_THAT(reader_->manager->unregister_layout(mine_, 0s),
              FailsWith(ErrorCode::kDeadline, "still used"));
  EXPECT_THAT(reader_->manager->forget_peer(WorkerId{7}, 0s),
              FailsWith(ErrorCode::kDeadline, "still used"));
  ImportOptions replace = testing::knowing_heads(4);
  replace.replace = true;
  replace.deadline = 0s;
  EXPECT_THAT(reader_->manager->import_metadata(owner_.exported(), replace),
              FailsWith(ErrorCode::kDeadline, "still used"));
  EXPECT_FALSE(transfer.wait().quiet);
  ASSERT_THAT(reader_->manager->unregister_layout(mine_, 30s), IsOk());
  EXPECT_TRUE(transfer.quiet()) << "unregister waited for the quarantine";
  refill();
  watch(1s);
  EXPECT_EQ(changed_since_refill(), 0U);
}

TEST_F(Faults, DelayedPieceThatComesInTimeIsNoFailure) {
  const auto transfer = pull({FaultKind::kDelay, kStrikesAt, 100ms}, 30s);
  EXPECT_TRUE(transfer.wait().ok());
  EXPECT_TRUE(wrong_blocks().empty());
}

TEST_F(Faults, CorruptPieceIsNotSeenWithoutVerification) {
  // What the report promises is that bytes were moved; that they are right is told by a checksum,
  // or here by the pattern: exactly one block.
  const auto transfer = pull({FaultKind::kCorrupt, kStrikesAt}, 30s);
  EXPECT_TRUE(transfer.wait().ok());
  EXPECT_EQ(wrong_blocks().size(), 1U);
}

TEST_F(Faults, DestroyingTheManagerStopsADroppedPiece) {
  const auto transfer = pull({FaultKind::kDrop, kStrikesAt}, 100s);
  const TimePoint begin = std::chrono::steady_clock::now();
  reader_->manager.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 4s);
  ASSERT_TRUE(transfer.poll().has_value());
  EXPECT_EQ(transfer.poll()->error->code, ErrorCode::kCancelled);
  EXPECT_TRUE(transfer.quiet());
}

TEST_F(Faults, ForgettingAPeerWaitsForItsTransfers) {
  const auto transfer = pull({FaultKind::kDelay, kStrikesAt, 300ms}, 30s);
  ASSERT_THAT(reader_->manager->forget_peer(WorkerId{7}, 30s), IsOk());
  EXPECT_TRUE(transfer.wait().ok());
  EXPECT_TRUE(wrong_blocks().empty());
}

}  // namespace
}  // namespace kvferry::manager
