// SPDX-License-Identifier: Apache-2.0
// Goal: a transfer layer by layer moves what one of all layers at once moves, over every route, and
//       from several sources tells a layer when all of them have given theirs.
// Method: both ways of moving between every pair of arrangements and tiers, compared with the
//         reference copier; ranks of a model as sources, one of which fails.
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <tuple>
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
using testing::kAllArrangements;
using testing::TierCache;
using testing::Worker;

/// 6 layers of 32 KiB a block, so that a layer of all blocks takes several steps.
layout::LayoutConfig layered_config(std::uint64_t num_blocks) {
  layout::LayoutConfig config = testing::standard_config(num_blocks);
  config.num_layers = 6;
  config.inner_dim = 512;
  return config;
}

constexpr std::uint64_t kBlocks = 48;

enum class Tier : std::uint8_t { kMemory, kDisk };
using Pair = std::tuple<Arrangement, Tier, Arrangement, Tier>;

class LayerByLayer : public ::testing::TestWithParam<Pair> {
 protected:
  LayerByLayer()
      : source_{layered_config(kBlocks),
                std::get<0>(GetParam()),
                1,
                {path("source", std::get<1>(GetParam()))}},
        destination_{layered_config(kBlocks),
                     std::get<2>(GetParam()),
                     2,
                     {path("destination", std::get<3>(GetParam()))}} {
    source_.fill(3);
  }
  [[nodiscard]] std::string path(const std::string& name, Tier tier) const {
    return tier == Tier::kDisk ? directory_.path() + "/" + name : "";
  }

  testing::TemporaryDirectory directory_;
  TierCache source_;
  TierCache destination_;
  std::unique_ptr<TransportManager> manager_ = testing::make_manager({.worker_id = WorkerId{7}});
  LayoutHandle from_ = *manager_->register_layout(source_.layout(), {.access = Access::kNone});
  LayoutHandle to_ = *manager_->register_layout(destination_.layout(), {.access = Access::kNone});
};

INSTANTIATE_TEST_SUITE_P(All, LayerByLayer,
                         ::testing::Combine(::testing::ValuesIn(kAllArrangements),
                                            ::testing::Values(Tier::kMemory, Tier::kDisk),
                                            ::testing::ValuesIn(kAllArrangements),
                                            ::testing::Values(Tier::kMemory, Tier::kDisk)));

TEST_P(LayerByLayer, IsTheWholeCopy) {
  const std::vector<BlockId> from = ids_from(0, kBlocks / 2, 2);
  const std::vector<BlockId> to = ids_from(1, kBlocks / 2, 2);
  const auto after = destination_.mirror().expected_after(source_.mirror(), {from, to}, {1, 5});
  transfer::TransferOptions options{.layers = {1, 5}, .by_layer = true};
  const auto transfer = manager_->execute_transfer(from_, from, to_, to, options);
  ASSERT_THAT(transfer, IsOk());
  for (std::uint64_t layer = 0; layer < 6; ++layer) {
    const auto arrived = transfer->wait_for_layer(layer, 20s);
    ASSERT_THAT(arrived, IsOk());
    EXPECT_TRUE(*arrived);
    destination_.refresh();
    for (std::uint64_t below = 1; below < std::min<std::uint64_t>(layer + 1, 5); ++below) {
      for (std::size_t i = 0; i < from.size(); ++i) {
        ASSERT_TRUE(
            destination_.mirror().holds_block(to[i], source_.mirror(), from[i], {below, below + 1}))
            << "layer " << below << " of block " << to[i].value() << " when " << layer
            << " was told";
      }
    }
  }
  const transfer::TransferReport report = transfer->wait();
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(report.plan.block_pairs, kBlocks / 2);
  EXPECT_EQ(report.bytes_moved, kBlocks / 2 * 4 * (32U << 10U));
  EXPECT_EQ(report.plan.bytes_moved, report.bytes_moved);
  destination_.refresh();
  EXPECT_TRUE(destination_.mirror().holds(after));
}

TEST(LayerTransfer, OfNoLayersOrTooManyIsAsAnyOther) {
  const auto manager = testing::make_manager({.worker_id = WorkerId{7}});
  TierCache cache{layered_config(4), Arrangement::kFullyContiguous, 1, {}};
  const LayoutHandle handle = *manager->register_layout(cache.layout());
  const auto move = [&](const plan::LayerRange& layers, bool by_layer) {
    return manager->execute_transfer(handle, block_ids({0}), handle, block_ids({1}),
                                     {.layers = layers, .by_layer = by_layer});
  };
  const auto nothing = move({3, 3}, true);
  ASSERT_THAT(nothing, IsOk());
  EXPECT_EQ(nothing->wait().bytes_moved, 0U);
  EXPECT_TRUE(*nothing->wait_for_layer(5, 0s));
  for (const bool by_layer : {true, false}) {
    EXPECT_THAT(move({0, 7}, by_layer), FailsWith(ErrorCode::kInvalidArgument, "layers"));
    EXPECT_THAT(move({5, 4}, by_layer), FailsWith(ErrorCode::kInvalidArgument, "layers"));
  }
  const auto whole = move({}, false);
  ASSERT_THAT(whole, IsOk());
  EXPECT_THAT(whole->wait_for_layer(0, 0s),
              FailsWith(ErrorCode::kInvalidArgument, "does not move layer by layer"));
}

/// Two stages of a model with two layers each, and a reader of all four.
class StagedLayers : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kOfStage = 2;

  [[nodiscard]] static layout::PackedLayout part(std::uint64_t first, std::uint64_t layers) {
    layout::PackedLayout packed;
    packed.layers = {.origin = first, .extent = layers, .whole = 2 * kOfStage};
    packed.heads = {.extent = 2, .whole = 2};
    packed.order = layout::kNhd;
    packed.config = {.num_blocks = kBlocks,
                     .num_layers = layers,
                     .outer_dim = 2,
                     .page_size = 16,
                     .inner_dim = 512,
                     .num_heads = 2};
    return packed;
  }
  [[nodiscard]] static transfer::PhysicalLayoutPtr built(const layout::PackedLayout& packed) {
    const auto made = transfer::PhysicalLayout::packed(packed).allocate_system().build();
    EXPECT_TRUE(made.has_value()) << made.error().message;
    return *made;
  }
  void start(std::optional<testing::Fault> fault = {}) {
    reader_ = std::make_unique<Worker>(directory_, 99, "reader", fault);
    own_ = built(part(0, 2 * kOfStage));
    mine_ = *reader_->manager->register_layout(own_, {.access = Access::kNone});
    for (std::uint64_t stage = 0; stage < 2; ++stage) {
      owners_.push_back(
          std::make_unique<Worker>(directory_, stage + 1, "stage-" + std::to_string(stage)));
      const transfer::PhysicalLayoutPtr held = built(part(stage * kOfStage, kOfStage));
      ASSERT_THAT(testing::pattern_fill(held->view(), held->region_bases(),
                                        testing::pattern_blocks(kBlocks), 5),
                  IsOk());
      ASSERT_THAT(owners_.back()->manager->register_layout(held), IsOk());
      const auto handles =
          reader_->manager->import_metadata(*owners_.back()->manager->export_envelope());
      ASSERT_THAT(handles, IsOk());
      theirs_.push_back(handles->front());
    }
  }
  [[nodiscard]] Result<transfer::Transfer> pull() const {
    const std::vector<BlockId> all = ids_from(0, kBlocks);
    return reader_->manager->execute_transfer(theirs_, all, mine_, all, {.by_layer = true});
  }

  testing::TemporaryDirectory directory_;
  std::vector<std::unique_ptr<Worker>> owners_;
  std::unique_ptr<Worker> reader_;
  transfer::PhysicalLayoutPtr own_;
  LayoutHandle mine_;
  std::vector<LayoutHandle> theirs_;
};

TEST_F(StagedLayers, ArriveFromTheirStages) {
  ASSERT_NO_FATAL_FAILURE(start());
  const auto transfer = pull();
  ASSERT_THAT(transfer, IsOk());
  for (std::uint64_t layer = 0; layer < 2 * kOfStage; ++layer) {
    EXPECT_THAT(transfer->wait_for_layer(layer, 20s), IsOk());
  }
  EXPECT_TRUE(transfer->wait().ok());
  EXPECT_EQ(transfer->wait().plan.coverage, 1.0);
  const auto wrong = testing::pattern_check(own_->view(), own_->region_bases(),
                                            testing::pattern_blocks(kBlocks), 5);
  ASSERT_THAT(wrong, IsOk());
  EXPECT_TRUE(wrong->empty());
}

TEST_F(StagedLayers, OfAStageThatFailsDoNotArriveAndItIsNamed) {
  ASSERT_NO_FATAL_FAILURE(start(testing::Fault{testing::FaultKind::kFail, 30}));
  const auto transfer = pull();
  ASSERT_THAT(transfer, IsOk());
  const transfer::TransferReport report = transfer->wait();
  ASSERT_FALSE(report.ok());
  EXPECT_GT(report.bytes_moved, 0U);
  EXPECT_LT(report.bytes_moved, report.plan.bytes_moved);
  EXPECT_THAT(transfer->wait_for_layer(2 * kOfStage - 1, 1s),
              FailsWith(report.error->code, "stage-"));
  EXPECT_EQ(report.bad_blocks.size(), kBlocks) << "each block has a part of both stages";
}

}  // namespace
}  // namespace kvferry::manager
