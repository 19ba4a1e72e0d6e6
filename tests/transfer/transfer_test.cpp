// SPDX-License-Identifier: Apache-2.0
// Goal: a handle tells the end of its transfer in every way of asking, and none of them hangs.
// Method: transfers on an engine of one thread that stops where the test says.
#include "kvferry/transfer/transfer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "kvferry/testing/matchers.hpp"
#include "rig.hpp"
#include "transfer/engine.hpp"

namespace kvferry::transfer {
namespace {

using namespace std::chrono_literals;
using testing::FakeBackend;
using testing::ids_from;
using testing::Rig;
using testing::standard_config;
using Does = FakeBackend::Does;

constexpr std::uint64_t kBlocks = 128;

class TransferTest : public ::testing::Test {
 protected:
  /// Starts a transfer whose second post does `second`, and returns when that was made.
  Transfer start(Does second, Duration timeout) {
    rig_.backend->script = [second](std::size_t post) { return post == 1 ? second : Does::kCopy; };
    auto state = *rig_.start(ids_from(0, kBlocks, 2), ids_from(0, kBlocks, 2), timeout);
    engine_->start(state);
    rig_.backend->wait_for_posts(2);
    return Rig::as_transfer(std::move(state));
  }

  Rig rig_{standard_config(2 * kBlocks)};
  std::unique_ptr<Engine> engine_ = *Engine::create({1, 5s, {}});
};

TEST_F(TransferTest, WaitForGivesNothingUntilTheEndAndDoesNotStopIt) {
  const Transfer transfer = start(Does::kHang, 100s);
  EXPECT_FALSE(transfer.poll().has_value());
  EXPECT_FALSE(transfer.wait_for(0s).has_value());
  EXPECT_FALSE(transfer.wait_for(-1s).has_value());
  const TimePoint begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(transfer.wait_for(60ms).has_value());
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 60ms);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 500ms);
  EXPECT_FALSE(transfer.quiet());
  rig_.backend->let_go();
  const auto report = transfer.wait_for(Duration::max());
  ASSERT_TRUE(report.has_value());
  EXPECT_TRUE(report->ok());
  EXPECT_TRUE(transfer.poll()->ok());
  EXPECT_TRUE(transfer.quiet());
}

TEST_F(TransferTest, CancelStopsItInTheMiddleAndNamesWhatIsNotGood) {
  const Transfer transfer = start(Does::kPend, 100s);
  const TransferReport report = transfer.cancel();
  EXPECT_EQ(report.error->code, ErrorCode::kCancelled);
  EXPECT_TRUE(report.quiet);
  EXPECT_GT(report.bytes_moved, 0U);
  EXPECT_LT(report.bytes_moved, report.plan.bytes_moved);
  for (const BlockId block : ids_from(0, kBlocks, 2)) {
    const bool bad = std::binary_search(report.bad_blocks.begin(), report.bad_blocks.end(), block);
    EXPECT_EQ(!rig_.destination.holds_block(block, rig_.source, block), bad) << block.value();
  }
  EXPECT_TRUE(rig_.all_given_back());
}

TEST_F(TransferTest, CancelOfOneThatEndedKeepsItsReport) {
  const Transfer transfer = start(Does::kCopy, 100s);
  EXPECT_TRUE(transfer.wait().ok());
  EXPECT_TRUE(transfer.cancel().ok());
  EXPECT_TRUE(transfer.wait().ok());
}

TEST_F(TransferTest, CancelOfOneThatWaitsBehindAHangingOneReturns) {
  const Transfer hangs = start(Does::kHang, 100s);
  auto state = *rig_.start(ids_from(1, 64, 2), ids_from(1, 64, 2), 100s);
  engine_->start(state);
  const Transfer queued = Rig::as_transfer(std::move(state));
  const TimePoint begin = std::chrono::steady_clock::now();
  const TransferReport report = queued.cancel();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);
  EXPECT_EQ(report.error->code, ErrorCode::kCancelled);
  EXPECT_EQ(report.bytes_moved, 0U);
  EXPECT_TRUE(report.quiet);
  rig_.backend->let_go();
  EXPECT_TRUE(hangs.wait().ok());
}

TEST_F(TransferTest, PollSeesTheDeadlineThoughEveryThreadHangs) {
  const Transfer hangs = start(Does::kHang, 100ms);
  auto state = *rig_.start(ids_from(1, 64, 2), ids_from(1, 64, 2), 100ms);
  engine_->start(state);
  const Transfer queued = Rig::as_transfer(std::move(state));
  const TimePoint begin = std::chrono::steady_clock::now();
  std::optional<TransferReport> report;
  while (!report && std::chrono::steady_clock::now() - begin < 10s) {
    std::this_thread::yield();
    report = queued.poll();
  }
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->error->code, ErrorCode::kDeadline);
  while (!(report = hangs.poll()) && std::chrono::steady_clock::now() - begin < 10s) {
    std::this_thread::yield();
  }
  ASSERT_TRUE(report.has_value());
  EXPECT_FALSE(report->quiet);
  rig_.backend->let_go();
}

TEST_F(TransferTest, ManyThreadsMayWaitForOne) {
  const Transfer transfer = start(Does::kHang, 100s);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([transfer, i] {
      EXPECT_TRUE((i % 2 == 0 ? transfer.wait() : *transfer.wait_for(100s)).ok());
    });
  }
  rig_.backend->let_go();
  for (std::thread& thread : threads) {
    thread.join();
  }
}

TEST_F(TransferTest, OutlivesTheEngine) {
  const Transfer transfer = start(Does::kPend, 100s);
  engine_.reset();
  EXPECT_EQ(transfer.wait().error->code, ErrorCode::kCancelled);
  EXPECT_TRUE(transfer.quiet());
}

}  // namespace
}  // namespace kvferry::transfer
