// SPDX-License-Identifier: Apache-2.0
// Goal: statistics are the sums of what the reports said, by route and by error.
// Method: reports as transfers make them, in one thread and in several.
#include "transfer/meter.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>
#include <vector>

#include "kvferry/testing/matchers.hpp"

namespace kvferry::transfer {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using testing::FailsWith;
using testing::IsOk;
using ::testing::Pair;

TransferReport report(const std::string& route, std::uint64_t bytes) {
  TransferReport made;
  made.route = route;
  made.bytes_moved = bytes;
  made.plan_time = 1us;
  made.transfer_time = 5us;
  made.verify_time = 2us;
  return made;
}

TEST(Meter, SumsByRouteAndError) {
  Meter meter;
  ASSERT_THAT(meter.begin(4, 5), IsOk());
  EXPECT_THAT(meter.begin(2, 5), FailsWith(ErrorCode::kBusy, "4 transfers have not ended, of 5"));
  ASSERT_THAT(meter.begin(2, 6), IsOk());
  meter.note_end(report("shm read", 100), 100, 2);
  meter.note_end(report("file", 7), 7, 1);
  TransferReport failed = report("shm read", 40);
  failed.error = Error{ErrorCode::kDeadline, ""};
  failed.bad_blocks = block_ids({1, 2, 3});
  meter.note_end(failed, 100, 1);
  failed.error->code = ErrorCode::kCancelled;
  failed.quiet = false;
  meter.note_end(failed, 100, 1);
  meter.note_end(failed, 100, 1);
  meter.note_quiet();
  meter.note_refused(ErrorCode::kBusy);
  meter.note_refused(ErrorCode::kBusy);

  const Statistics all = meter.statistics();
  ASSERT_EQ(all.routes.size(), 2U);
  EXPECT_EQ(all.routes[0].route, "file");
  const RouteStatistics& shm = all.routes[1];
  EXPECT_EQ(shm.route, "shm read");
  EXPECT_EQ(shm.good, 1U);
  EXPECT_THAT(shm.failed,
              ElementsAre(Pair(ErrorCode::kDeadline, 1U), Pair(ErrorCode::kCancelled, 2U)));
  EXPECT_EQ(shm.bad_blocks, 9U);
  EXPECT_EQ(shm.bytes_planned, 400U);
  EXPECT_EQ(shm.bytes_moved, 220U);
  EXPECT_EQ(shm.requests, 5U);
  EXPECT_EQ(shm.plan_time, 4us);
  EXPECT_EQ(shm.transfer_time, 20us);
  EXPECT_EQ(shm.verify_time, 8us);
  EXPECT_THAT(all.refused, ElementsAre(Pair(ErrorCode::kBusy, 2U)));
  EXPECT_EQ(all.in_flight, 1U);
  EXPECT_EQ(all.quarantined, 1U);
}

TEST(Meter, LosesNothingAmongThreads) {
  Meter meter;
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&meter] {
        for (int i = 0; i < 1000; ++i) {
          EXPECT_THAT(meter.begin(1, 4), IsOk());
          meter.note_end(report("host copy", 1), 1, 1);
        }
      });
    }
  }
  EXPECT_EQ(meter.statistics().routes.at(0).good, 4000U);
  EXPECT_EQ(meter.statistics().routes.at(0).bytes_moved, 4000U);
  EXPECT_EQ(meter.statistics().in_flight, 0U);
}

}  // namespace
}  // namespace kvferry::transfer
