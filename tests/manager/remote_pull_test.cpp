// SPDX-License-Identifier: Apache-2.0
// Goal: blocks of a peer arrive in any layout of ours, the right bytes and nothing else.
// Method: two workers in one process, with agents of shared memory; every pair of arrangements, and
//         all memory of the destination compared with what the reference copier makes of it.
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
using testing::GuardedCache;
using testing::ids_from;
using testing::IsOk;
using testing::kAllArrangements;
using testing::standard_config;
using testing::Worker;

class RemotePull : public ::testing::TestWithParam<std::tuple<Arrangement, Arrangement>> {
 protected:
  /// Registers the owner's cache, lets the reader import it, and pulls.
  void pull(GuardedCache& source, GuardedCache& destination, const std::vector<BlockId>& from,
            const std::vector<BlockId>& to, const plan::LayerRange& layers = {}) {
    source.fill(11);
    const testing::TemporaryDirectory directory;
    const Worker owner{directory, 7, "prefill-7"};
    const Worker reader{directory, 8, "decode-8"};
    testing::register_cache(*owner.manager, source);
    const LayoutHandle mine = testing::register_cache(*reader.manager, destination);
    const auto handles =
        reader.manager->import_metadata(owner.exported(), testing::knowing_heads());
    ASSERT_THAT(handles, IsOk());
    const auto after = destination.expected_after(source, {from, to}, layers);
    transfer::TransferOptions options;
    options.layers = layers;
    const auto transfer =
        reader.manager->execute_transfer(handles->front(), from, mine, to, options);
    ASSERT_THAT(transfer, IsOk());
    const auto report = transfer->wait();
    EXPECT_TRUE(report.ok()) << report.error->message;
    EXPECT_EQ(report.route, "shm read");
    EXPECT_EQ(report.bytes_moved, report.plan.bytes_moved);
    EXPECT_TRUE(destination.holds(after));
  }

  [[nodiscard]] GuardedCache source(const LayoutConfig& config) const {
    return {config, std::get<0>(GetParam()), 1};
  }
  [[nodiscard]] GuardedCache destination(const LayoutConfig& config) const {
    return {config, std::get<1>(GetParam()), 2};
  }
};

INSTANTIATE_TEST_SUITE_P(All, RemotePull,
                         ::testing::Combine(::testing::ValuesIn(kAllArrangements),
                                            ::testing::ValuesIn(kAllArrangements)));

TEST_P(RemotePull, OfAdoptedMemoryGoesThroughTheKernel) {
  auto from = source(standard_config(6));
  auto to = destination(standard_config(6));
  pull(from, to, block_ids({4, 0, 2}), block_ids({0, 1, 5}));
}

TEST_P(RemotePull, OfLayersAndUnequalPages) {
  LayoutConfig large = standard_config(4);
  large.page_size = 48;
  auto from = source(standard_config(12));
  auto to = destination(large);
  pull(from, to, block_ids({4, 0, 9, 7, 2, 1}), block_ids({3, 1}), {.first = 1, .end = 2});
}

TEST_P(RemotePull, TurnsTokensAndHeadsAround) {
  LayoutConfig hnd = standard_config(4);
  hnd.inner_shape = InnerShape::kHnd;
  auto from = source(standard_config(4));
  auto to = destination(hnd);
  pull(from, to, block_ids({1, 0}), block_ids({2, 3}));
}

TEST_P(RemotePull, OfMappedMemoryInManySteps) {
  constexpr std::uint64_t kBlocks = 600;
  const testing::TemporaryDirectory directory;
  const Worker owner{directory, 7, "prefill-7"};
  const Worker reader{directory, 8, "decode-8"};
  const auto source = testing::shared_layout(standard_config(kBlocks), std::get<0>(GetParam()), 11);
  const auto destination =
      testing::shared_layout(standard_config(kBlocks), std::get<1>(GetParam()), 12);
  ASSERT_THAT(owner.manager->register_layout(source), IsOk());
  const LayoutHandle mine = *reader.manager->register_layout(destination);
  const auto handles = reader.manager->import_metadata(owner.exported(), testing::knowing_heads());
  ASSERT_THAT(handles, IsOk());
  auto from = ids_from(0, kBlocks);
  std::mt19937_64 random{3};
  std::shuffle(from.begin(), from.end(), random);
  const auto transfer =
      reader.manager->execute_transfer(handles->front(), from, mine, ids_from(0, kBlocks));
  ASSERT_THAT(transfer, IsOk());
  const auto report = transfer->wait();
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(report.bytes_moved, kBlocks * 16'384);
  std::vector<testing::PatternBlock> moved;
  for (std::uint64_t block = 0; block < kBlocks; ++block) {
    moved.push_back({BlockId{block}, from[block]});
  }
  const auto wrong =
      testing::pattern_check(destination->view(), destination->region_bases(), moved, 11);
  ASSERT_THAT(wrong, IsOk());
  EXPECT_TRUE(wrong->empty());
}

}  // namespace
}  // namespace kvferry::manager
