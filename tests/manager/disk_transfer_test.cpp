// SPDX-License-Identifier: Apache-2.0
// Goal: blocks move between memory and files, and between files, as they do between memories: the
//       right bytes, all of them, and nothing else.
// Method: every pair of arrangements and tiers through the manager; all bytes of the destination
//         are compared with what the reference copier makes of them, read from the file here.
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "tier_cache.hpp"
#include "workers.hpp"

namespace kvferry::manager {
namespace {

using disk::Direct;
using disk::Through;
using layout::Arrangement;
using layout::LayoutConfig;
using testing::FailsWith;
using testing::ids_from;
using testing::IsOk;
using testing::kAllArrangements;
using testing::standard_config;
using testing::TierCache;

enum class Tier : std::uint8_t { kMemory, kDisk };

/// Where one end of a move lies, and how.
struct End {
  LayoutConfig config;
  Arrangement arrangement{};
  Tier tier{};
  Direct direct{Direct::kAuto};

  [[nodiscard]] disk::FileOptions file(const std::string& path) const {
    return {tier == Tier::kDisk ? path : "", direct};
  }
};

/// A manager and two caches in it.
struct Move {
  Move(const End& from, const End& to, const ManagerOptions& options)
      : source{from.config, from.arrangement, 1, from.file(directory.path() + "/source")},
        destination{to.config, to.arrangement, 2, to.file(directory.path() + "/destination")},
        manager{testing::make_manager(options)},
        source_handle{*manager->register_layout(source.layout())},
        destination_handle{*manager->register_layout(destination.layout())} {
    source.fill(11);
  }

  transfer::TransferReport move(const std::vector<BlockId>& from, const std::vector<BlockId>& to,
                                const plan::LayerRange& layers = {}) {
    const auto after = destination.mirror().expected_after(source.mirror(), {from, to}, layers);
    const auto before = source.mirror().bytes();
    transfer::TransferOptions options;
    options.layers = layers;
    auto transfer = manager->execute_transfer(source_handle, from, destination_handle, to, options);
    EXPECT_THAT(transfer, IsOk());
    if (!transfer) {
      return {};
    }
    transfer::TransferReport report = transfer->wait();
    EXPECT_TRUE(report.ok()) << report.error->message;
    EXPECT_EQ(report.bytes_moved, report.plan.bytes_moved);
    EXPECT_TRUE(report.quiet);
    destination.refresh();
    source.refresh();
    EXPECT_TRUE(destination.mirror().holds(after)) << "destination differs from the reference";
    EXPECT_TRUE(source.mirror().holds(before)) << "source was written";
    return report;
  }

  testing::TemporaryDirectory directory;
  TierCache source;
  TierCache destination;
  std::unique_ptr<TransportManager> manager;
  LayoutHandle source_handle;
  LayoutHandle destination_handle;
};

const char* route_of(Tier from, Tier to) {
  if (from == Tier::kMemory && to == Tier::kMemory) {
    return "host copy";
  }
  return from == Tier::kDisk && to == Tier::kDisk ? "file + file" : "file";
}

using Pair = std::tuple<Arrangement, Tier, Arrangement, Tier>;

class TierPairs : public ::testing::TestWithParam<Pair> {
 protected:
  [[nodiscard]] static Move make(const LayoutConfig& from, const LayoutConfig& to,
                                 const ManagerOptions& options = {.worker_id = WorkerId{7}},
                                 Direct direct = Direct::kAuto) {
    const auto& [source, source_tier, destination, destination_tier] = GetParam();
    return {
        {from, source, source_tier, direct}, {to, destination, destination_tier, direct}, options};
  }
  [[nodiscard]] static const char* route() {
    return route_of(std::get<1>(GetParam()), std::get<3>(GetParam()));
  }
};

INSTANTIATE_TEST_SUITE_P(All, TierPairs,
                         ::testing::Combine(::testing::ValuesIn(kAllArrangements),
                                            ::testing::Values(Tier::kMemory, Tier::kDisk),
                                            ::testing::ValuesIn(kAllArrangements),
                                            ::testing::Values(Tier::kMemory, Tier::kDisk)));

TEST_P(TierPairs, MoveTheRightBytesAndNothingElse) {
  auto pair = make(standard_config(4), standard_config(4));
  const auto report = pair.move(block_ids({0, 1}), block_ids({2, 3}));
  EXPECT_EQ(report.bytes_moved, 2U * 16'384);
  EXPECT_EQ(report.route, route());
  pair.move(block_ids({3}), block_ids({0}), {.first = 1, .end = 2});
}

TEST_P(TierPairs, MoveWithoutDirectFilesOrIoUring) {
  ManagerOptions options{.worker_id = WorkerId{7}};
  options.disk.through = Through::kThreads;
  options.disk.depth = 3;
  auto pair = make(standard_config(6), standard_config(6), options, Direct::kNever);
  pair.move(block_ids({4, 0, 2}), block_ids({1, 5, 3}));
}

/// Pieces of 60 bytes and less, in no step with any page.
TEST_P(TierPairs, MoveOddSizesInAnotherOrder) {
  LayoutConfig from = standard_config(5);
  from.page_size = 5;
  from.inner_dim = 30;
  from.num_heads = 3;
  LayoutConfig to = from;
  to.inner_shape = layout::InnerShape::kHnd;
  auto pair = make(from, to);
  pair.move(block_ids({4, 0, 2}), block_ids({1, 3, 4}));
}

/// Three slots of 8 KiB for blocks of 16, then slots of less than a page.
TEST_P(TierPairs, MoveThroughASmallBounce) {
  for (const std::uint64_t bytes : {24'576U, 16'384U + 100U, 5000U}) {
    ManagerOptions options{.worker_id = WorkerId{7}};
    options.bounce_bytes = bytes;
    auto pair = make(standard_config(64), standard_config(64), options);
    std::vector<BlockId> reversed = ids_from(0, 64);
    std::ranges::reverse(reversed);
    pair.move(ids_from(0, 64), reversed);
  }
}

TEST_P(TierPairs, MoveManyAtATime) {
  auto pair = make(standard_config(256), standard_config(256));
  std::vector<std::thread> threads;
  for (std::uint64_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&pair, thread] {
      for (std::uint64_t i = 0; i < 64; ++i) {
        const std::vector<BlockId> ids = block_ids({thread * 64 + i});
        const auto transfer =
            pair.manager->execute_transfer(pair.source_handle, ids, pair.destination_handle, ids);
        ASSERT_THAT(transfer, IsOk());
        const auto report = transfer->wait();
        EXPECT_TRUE(report.ok()) << report.error->message;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  pair.destination.refresh();
  const auto& mirror = pair.destination.mirror();
  const auto wrong = pattern_check(mirror.view(), mirror.physical()->region_bases(),
                                   testing::pattern_blocks(256), 11);
  ASSERT_THAT(wrong, IsOk());
  EXPECT_TRUE(wrong->empty());
}

TEST(DiskLayout, IsNobodysButItsWorkers) {
  const testing::TemporaryDirectory directory;
  const testing::Worker worker{directory, 7, "prefill-7"};
  const auto layout =
      *transfer::PhysicalLayoutBuilder{standard_config(4), Arrangement::kFullyContiguous}
           .allocate_disk({.path = directory.path() + "/blocks"})
           .build();
  EXPECT_THAT(worker.manager->register_layout(layout),
              FailsWith(ErrorCode::kInvalidArgument,
                        "access: read of a layout on disk, which peers cannot reach"));
  ASSERT_THAT(worker.manager->register_layout(layout, {.access = Access::kNone}), IsOk());
  EXPECT_EQ(worker.exported().unpack()->layouts.size(), 0U) << "a disk alone can be exported";
}

}  // namespace
}  // namespace kvferry::manager
