// SPDX-License-Identifier: Apache-2.0
// Goal: many transfers at a time are all told, a large one does not hold up small ones, more than
//       the bound are refused, and the statistics add up.
// Method: managers with memory, a file and a peer; callbacks that count.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "tier_cache.hpp"
#include "workers.hpp"

namespace kvferry::manager {
namespace {

using namespace std::chrono_literals;
using layout::Arrangement;
using testing::FailsWith;
using testing::ids_from;
using testing::IsOk;
using testing::TierCache;

/// 512 KiB a block: more than the caller copies itself.
layout::LayoutConfig large_blocks(std::uint64_t num_blocks) {
  layout::LayoutConfig config = testing::standard_config(num_blocks);
  config.inner_dim = 4096;
  return config;
}

class ManyTransfers : public ::testing::Test {
 protected:
  void wait_until(const std::atomic<std::uint64_t>& count, std::uint64_t wanted) {
    const auto end = std::chrono::steady_clock::now() + 60s;
    while (count < wanted && std::chrono::steady_clock::now() < end) {
      std::this_thread::yield();
    }
    EXPECT_EQ(count, wanted);
  }

  testing::TemporaryDirectory directory_;
};

TEST_F(ManyTransfers, DoNotWaitForALargeOne) {
  constexpr std::uint64_t kLarge = 1024;
  constexpr std::uint64_t kSmall = 40;
  const auto manager = testing::make_manager({.worker_id = WorkerId{7}, .copy_threads = 1});
  TierCache source{large_blocks(kLarge), Arrangement::kFullyContiguous, 1, {}};
  TierCache destination{large_blocks(kLarge + kSmall), Arrangement::kFullyContiguous, 2, {}};
  const LayoutHandle from = *manager->register_layout(source.layout());
  const LayoutHandle to = *manager->register_layout(destination.layout());
  const auto large = manager->execute_transfer(from, ids_from(0, kLarge), to, ids_from(0, kLarge));
  ASSERT_THAT(large, IsOk());
  std::atomic<std::uint64_t> ended{0};
  for (std::uint64_t i = 0; i < kSmall; ++i) {
    const auto small = manager->execute_transfer(from, ids_from(i, 1), to, ids_from(kLarge + i, 1));
    ASSERT_THAT(small, IsOk());
    ASSERT_THAT(small->on_complete([&ended](const transfer::TransferReport& report) {
      EXPECT_TRUE(report.ok());
      ++ended;
    }),
                IsOk());
  }
  wait_until(ended, kSmall);
  EXPECT_FALSE(large->poll().has_value()) << "the small ones had their turns";
  EXPECT_TRUE(large->wait().ok());
}

TEST_F(ManyTransfers, AreRefusedAboveTheBound) {
  constexpr std::uint64_t kBound = 8;
  testing::Worker owner{directory_, 1, "owner"};
  const auto theirs =
      testing::shared_layout(testing::standard_config(16), Arrangement::kFullyContiguous, 3);
  ASSERT_THAT(owner.manager->register_layout(theirs), IsOk());
  const auto agent = testing::Worker::make_agent(directory_, "reader", std::nullopt);
  const auto manager =
      testing::make_manager({.worker_id = WorkerId{2}, .agent = agent, .max_in_flight = kBound});
  const auto handles = manager->import_metadata(*owner.manager->export_envelope());
  ASSERT_THAT(handles, IsOk());
  TierCache memory{testing::standard_config(16), Arrangement::kFullyContiguous, 1, {}};
  const LayoutHandle mine = *manager->register_layout(memory.layout(), {.access = Access::kNone});
  owner.manager.reset();  // Nobody tells digests: what is verified waits for them.
  const auto pull = [&](std::uint64_t block) {
    return manager->execute_transfer(handles->front(), ids_from(block, 1), mine, ids_from(block, 1),
                                     {.verify = transfer::Verify::kChecksum});
  };
  std::vector<transfer::Transfer> started;
  for (std::uint64_t i = 0; i < kBound; ++i) {
    const auto one = pull(i);
    ASSERT_THAT(one, IsOk());
    started.push_back(*one);
  }
  EXPECT_EQ(manager->statistics().in_flight, kBound);
  EXPECT_THAT(pull(kBound), FailsWith(ErrorCode::kBusy, "max_in_flight: 8 transfers"));
  EXPECT_EQ(started.front().cancel().error->code, ErrorCode::kCancelled);
  const auto next = pull(kBound);
  ASSERT_THAT(next, IsOk());
  started.push_back(*next);
  for (std::size_t i = 1; i < started.size(); ++i) {
    EXPECT_EQ(started[i].cancel().error->code, ErrorCode::kCancelled);
  }
  const transfer::Statistics all = manager->statistics();
  ASSERT_EQ(all.routes.size(), 1U);
  EXPECT_EQ(all.routes[0].good, 0U);
  EXPECT_EQ(all.routes[0].failed.at(ErrorCode::kCancelled), kBound + 1);
  EXPECT_EQ(all.routes[0].bad_blocks, kBound + 1);
  EXPECT_EQ(all.refused.at(ErrorCode::kBusy), 1U);
  EXPECT_EQ(all.quarantined, 0U);
}

TEST_F(ManyTransfers, OfAllRoutesAreCounted) {
  const testing::Worker owner{directory_, 1, "owner"};
  const testing::Worker reader{directory_, 2, "reader"};
  const auto theirs =
      testing::shared_layout(testing::standard_config(4), Arrangement::kFullyContiguous, 3);
  ASSERT_THAT(owner.manager->register_layout(theirs), IsOk());
  const auto handles = reader.manager->import_metadata(*owner.manager->export_envelope());
  ASSERT_THAT(handles, IsOk());
  TierCache memory{testing::standard_config(4), Arrangement::kFullyContiguous, 1, {}};
  TierCache file{
      testing::standard_config(4), Arrangement::kFullyContiguous, 2, {directory_.path() + "/tier"}};
  const LayoutHandle mine = *reader.manager->register_layout(memory.layout());
  const LayoutHandle disk =
      *reader.manager->register_layout(file.layout(), {.access = Access::kNone});
  const auto move = [&](LayoutHandle from, LayoutHandle to, std::uint64_t block) {
    const auto moved =
        reader.manager->execute_transfer(from, ids_from(block, 1), to, ids_from(block + 1, 1));
    return moved && moved->wait().ok();
  };
  EXPECT_TRUE(move(mine, mine, 0));
  EXPECT_TRUE(move(handles->front(), mine, 0));
  EXPECT_TRUE(move(handles->front(), mine, 1));
  EXPECT_TRUE(move(mine, disk, 0));
  EXPECT_TRUE(move(handles->front(), disk, 0));
  EXPECT_FALSE(move(mine, handles->front(), 7));
  const transfer::Statistics all = reader.manager->statistics();
  std::vector<std::string> names;
  for (const transfer::RouteStatistics& route : all.routes) {
    names.push_back(route.route + " " + std::to_string(route.good));
    EXPECT_EQ(route.bytes_moved, route.good * 16'384);
    EXPECT_EQ(route.bytes_planned, route.bytes_moved);
    EXPECT_GE(route.requests, route.good);
    EXPECT_GT(route.transfer_time, Duration::zero());
    EXPECT_TRUE(route.failed.empty());
  }
  EXPECT_EQ(names,
            (std::vector<std::string>{"file 1", "host copy 1", "shm read 2", "shm read + file 1"}));
  EXPECT_EQ(all.refused.size(), 1U);
  EXPECT_EQ(all.in_flight, 0U);
}

TEST_F(ManyTransfers, GoOnFromTheirCallbacks) {
  constexpr std::uint64_t kBlocks = 300;
  const auto manager = testing::make_manager({.worker_id = WorkerId{7}});
  TierCache source{large_blocks(4), Arrangement::kFullyContiguous, 1, {}};
  TierCache file{
      large_blocks(kBlocks), Arrangement::kFullyContiguous, 2, {directory_.path() + "/tier"}};
  const LayoutHandle from = *manager->register_layout(source.layout());
  const LayoutHandle to = *manager->register_layout(file.layout(), {.access = Access::kNone});
  std::atomic<std::uint64_t> ended{0};
  std::function<void(std::uint64_t)> start = [&](std::uint64_t block) {
    const auto one =
        manager->execute_transfer(from, ids_from(block % 4, 1), to, ids_from(block, 1));
    ASSERT_THAT(one, IsOk());
    ASSERT_THAT(one->on_complete([&, block](const transfer::TransferReport& report) {
      EXPECT_TRUE(report.ok());
      if (block + 3 < kBlocks) {
        start(block + 3);
      }
      ++ended;
    }),
                IsOk());
  };
  for (std::uint64_t chain = 0; chain < 3; ++chain) {
    start(chain);
  }
  wait_until(ended, kBlocks);
  EXPECT_EQ(manager->statistics().routes.at(0).good, kBlocks);
}

}  // namespace
}  // namespace kvferry::manager
