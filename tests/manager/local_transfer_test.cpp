// SPDX-License-Identifier: Apache-2.0
// Goal: blocks move between any two layouts of one process: the right bytes, all of them, and
//       nothing else.
// Method: every pair of arrangements through the manager; all memory of the destination, with its
//         guards, is compared with what the reference copier makes of it, and blocks with the
//         pattern.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <tuple>
#include <vector>

#include "workers.hpp"

namespace kvferry::manager {
namespace {

using layout::Arrangement;
using layout::InnerShape;
using layout::LayoutConfig;
using plan::LayerRange;
using testing::GuardedCache;
using testing::ids_from;
using testing::IsOk;
using testing::kAllArrangements;
using testing::llama_config;
using testing::standard_config;

/// A manager without an agent and two caches in it.
class TwoCaches {
 public:
  TwoCaches(const LayoutConfig& from, Arrangement source_arrangement, const LayoutConfig& to,
            Arrangement destination_arrangement)
      : source{from, source_arrangement, 1}, destination{to, destination_arrangement, 2} {
    source.fill(11);
  }

  /// Moves blocks and checks every byte of the destination; gives the report.
  transfer::TransferReport move(const std::vector<BlockId>& from, const std::vector<BlockId>& to,
                                const LayerRange& layers = {}) {
    const auto after = destination.expected_after(source, {from, to}, layers);
    const auto source_before = source.bytes();
    transfer::TransferOptions options;
    options.layers = layers;
    auto transfer = manager->execute_transfer(source_handle, from, destination_handle, to, options);
    EXPECT_THAT(transfer, IsOk());
    if (!transfer) {
      return {};
    }
    transfer::TransferReport report = transfer->wait();
    EXPECT_TRUE(report.ok());
    EXPECT_TRUE(report.bad_blocks.empty());
    EXPECT_EQ(report.bytes_moved, report.plan.bytes_moved);
    EXPECT_EQ(report.route, "host copy");
    EXPECT_TRUE(destination.holds(after)) << "destination differs from the reference";
    EXPECT_TRUE(source.holds(source_before)) << "source was written";
    return report;
  }

  GuardedCache source;
  GuardedCache destination;
  std::unique_ptr<TransportManager> manager = testing::local_manager();
  LayoutHandle source_handle = testing::register_cache(*manager, source);
  LayoutHandle destination_handle = testing::register_cache(*manager, destination);
};

class LocalPairs : public ::testing::TestWithParam<std::tuple<Arrangement, Arrangement>> {
 protected:
  [[nodiscard]] TwoCaches caches(const LayoutConfig& config) const {
    return TwoCaches{config, std::get<0>(GetParam()), config, std::get<1>(GetParam())};
  }
};

INSTANTIATE_TEST_SUITE_P(All, LocalPairs,
                         ::testing::Combine(::testing::ValuesIn(kAllArrangements),
                                            ::testing::ValuesIn(kAllArrangements)));

TEST_P(LocalPairs, MoveTheRightBytesAndNothingElse) {
  auto caches = this->caches(standard_config(4));
  const auto report = caches.move(block_ids({0, 1}), block_ids({2, 3}));
  EXPECT_EQ(report.bytes_moved, 2U * 16'384);
  EXPECT_EQ(report.plan.block_pairs, 2U);
  const std::vector<testing::PatternBlock> moved{{BlockId{2}, BlockId{0}},
                                                 {BlockId{3}, BlockId{1}}};
  const auto wrong = testing::pattern_check(
      caches.destination.view(), caches.destination.physical()->region_bases(), moved, 11);
  ASSERT_THAT(wrong, IsOk());
  EXPECT_TRUE(wrong->empty());
}

TEST_P(LocalPairs, MoveBlocksOfALargeModel) {
  auto caches = this->caches(llama_config(3));
  EXPECT_EQ(caches.move(block_ids({2}), block_ids({1})).bytes_moved, 1U << 21U);
}

TEST_P(LocalPairs, LeaveTheBlocksBesideAsTheyAre) {
  auto caches = this->caches(standard_config(6));
  caches.move(block_ids({0, 1}), block_ids({3, 4}));
  caches.move(block_ids({5}), block_ids({0}), {.first = 0, .end = 1});
}

TEST_P(LocalPairs, MoveAnyRangeOfLayers) {
  LayoutConfig config = standard_config(4);
  config.num_layers = 5;
  auto caches = this->caches(config);
  for (std::uint64_t first = 0; first <= 5; ++first) {
    for (std::uint64_t end = first; end <= 5; ++end) {
      caches.destination.set_bytes(GuardedCache{config, std::get<1>(GetParam()), first}.bytes());
      const auto report = caches.move(block_ids({0, 3}), block_ids({2, 1}), {first, end});
      EXPECT_EQ(report.bytes_moved, 2U * (end - first) * 8192) << first << ":" << end;
    }
  }
}

TEST_P(LocalPairs, LayerByLayerIsTheSameAsAllAtOnce) {
  LayoutConfig config = standard_config(4);
  config.num_layers = 4;
  auto whole = this->caches(config);
  auto layers = this->caches(config);
  whole.move(block_ids({0, 1}), block_ids({2, 3}));
  for (const std::uint64_t layer : {2U, 0U, 3U, 1U}) {
    layers.move(block_ids({0, 1}), block_ids({2, 3}), {layer, layer + 1});
  }
  EXPECT_TRUE(layers.destination.holds(whole.destination.bytes()));
}

TEST_P(LocalPairs, RoundTripThroughEveryMiddle) {
  for (const Arrangement middle_arrangement : kAllArrangements) {
    auto caches = this->caches(standard_config(4));
    GuardedCache middle{standard_config(4), middle_arrangement, 3};
    const auto handle = testing::register_cache(*caches.manager, middle);
    const auto there = caches.manager->execute_transfer(caches.source_handle, block_ids({0, 1}),
                                                        handle, block_ids({0, 1}));
    ASSERT_THAT(there, IsOk());
    ASSERT_TRUE(there->wait().ok());
    const auto back = caches.manager->execute_transfer(
        handle, block_ids({0, 1}), caches.destination_handle, block_ids({2, 3}));
    ASSERT_THAT(back, IsOk());
    ASSERT_TRUE(back->wait().ok());
    for (const std::uint64_t block : {0U, 1U}) {
      EXPECT_TRUE(
          caches.destination.holds_block(BlockId{block + 2}, caches.source, BlockId{block}));
    }
  }
}

TEST_P(LocalPairs, MoveAThousandBlocksInAnyOrder) {
  // Too many for the reference copier: each block by itself, those that stay included.
  constexpr std::uint64_t kMoved = 1024;
  auto caches = this->caches(standard_config(kMoved + 76));
  const GuardedCache before{standard_config(kMoved + 76), std::get<1>(GetParam()), 2};
  auto from = ids_from(0, kMoved + 76);
  auto to = from;
  std::mt19937_64 random{5};
  std::shuffle(from.begin(), from.end(), random);
  std::shuffle(to.begin(), to.end(), random);
  const auto transfer =
      caches.manager->execute_transfer(caches.source_handle, std::span{from}.first(kMoved),
                                       caches.destination_handle, std::span{to}.first(kMoved));
  ASSERT_THAT(transfer, IsOk());
  EXPECT_TRUE(transfer->wait().ok());
  for (std::size_t i = 0; i < to.size(); ++i) {
    EXPECT_TRUE(i < kMoved ? caches.destination.holds_block(to[i], caches.source, from[i])
                           : caches.destination.holds_block(to[i], before, to[i]));
  }
}

TEST_P(LocalPairs, TurnTokensAndHeadsAround) {
  LayoutConfig nhd = standard_config(4);
  nhd.num_heads = 8;
  LayoutConfig hnd{nhd};
  hnd.inner_shape = InnerShape::kHnd;
  for (const auto& [from, to] : {std::pair{nhd, hnd}, std::pair{hnd, nhd}}) {
    TwoCaches caches{from, std::get<0>(GetParam()), to, std::get<1>(GetParam())};
    caches.move(block_ids({1, 0}), block_ids({2, 3}));
    caches.move(block_ids({3}), block_ids({0}), {.first = 1, .end = 2});
  }
}

TEST_P(LocalPairs, MoveBetweenUnequalPages) {
  LayoutConfig small = standard_config(12);
  LayoutConfig large = standard_config(4);
  large.page_size = 48;
  TwoCaches up{small, std::get<0>(GetParam()), large, std::get<1>(GetParam())};
  up.move(block_ids({4, 0, 9, 7, 2, 1}), block_ids({3, 1}));
  TwoCaches down{large, std::get<0>(GetParam()), small, std::get<1>(GetParam())};
  down.move(block_ids({2}), block_ids({11, 0, 5}));
}

TEST_P(LocalPairs, CopyOneSourceToManyDestinations) {
  auto caches = this->caches(standard_config(8));
  caches.move(block_ids({5, 5, 0, 5, 5}), block_ids({0, 1, 2, 3, 7}));
}

TEST_P(LocalPairs, MoveElementsOfOneByte) {
  LayoutConfig config = standard_config(4);
  config.dtype_width_bytes = 1;
  auto caches = this->caches(config);
  EXPECT_EQ(caches.move(block_ids({0, 1}), block_ids({3, 2})).bytes_moved, 2U * 8192);
}

TEST_P(LocalPairs, MoveOpaqueBlocks) {
  LayoutConfig config = standard_config(4);
  config.inner_shape = InnerShape::kUnknown;
  config.num_heads.reset();
  GuardedCache source{config, std::get<0>(GetParam()), 1};
  GuardedCache destination{config, std::get<1>(GetParam()), 2};
  const auto manager = testing::local_manager();
  const auto from = testing::register_cache(*manager, source);
  const auto to = testing::register_cache(*manager, destination);
  const auto after = destination.expected_after(source, {block_ids({0, 1}), block_ids({3, 2})});
  const auto transfer = manager->execute_transfer(from, block_ids({0, 1}), to, block_ids({3, 2}));
  ASSERT_THAT(transfer, IsOk());
  EXPECT_TRUE(transfer->wait().ok());
  EXPECT_TRUE(destination.holds(after));
}

TEST_P(LocalPairs, EmptyTransferEndsWell) {
  auto caches = this->caches(standard_config(4));
  EXPECT_EQ(caches.move({}, {}).bytes_moved, 0U);
  EXPECT_EQ(caches.move(block_ids({0}), block_ids({1}), {.first = 1, .end = 1}).bytes_moved, 0U);
}

}  // namespace
}  // namespace kvferry::manager
