// SPDX-License-Identifier: Apache-2.0
// Goal: one transfer from several peers has one end, puts each byte where it belongs, and calls bad
//       what a failed peer feeds and nothing else; blocks are pushed only where they may be.
// Method: workers in one process, each a rank of one model; the pattern says what must arrive, and
//         a faulty agent fails in the middle.
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "workers.hpp"

namespace kvferry::manager {
namespace {

using layout::BlockAxes;
using layout::PackedLayout;
using layout::Rank;
using testing::FailsWith;
using testing::IsOk;
using testing::Worker;
using transfer::PhysicalLayoutPtr;

constexpr std::uint64_t kHeads = 4;
constexpr std::uint64_t kSeed = 5;
constexpr std::uint64_t kBlocks = 8;

/// One rank's part of a model of 4 heads and 6 layers, 128 KiB a block.
PackedLayout part(const Rank& tp, const Rank& pp = {}, const BlockAxes& order = layout::kNhd,
                  std::uint64_t page = 16) {
  PackedLayout packed;
  packed.layers = *layout::layers_of(pp, 6);
  packed.heads = *layout::heads_of(tp, kHeads);
  packed.order = order;
  packed.config = {.num_blocks = kBlocks,
                   .num_layers = packed.layers.extent,
                   .outer_dim = 2,
                   .page_size = page,
                   .inner_dim = packed.heads.extent * 128,
                   .num_heads = packed.heads.extent};
  return packed;
}

PhysicalLayoutPtr built(const PackedLayout& packed, bool filled = true) {
  auto made = transfer::PhysicalLayout::packed(packed).allocate_system().build();
  EXPECT_THAT(made, IsOk());
  if (filled) {
    EXPECT_THAT(testing::pattern_fill((*made)->view(), (*made)->region_bases(),
                                      testing::pattern_blocks(kBlocks), kSeed),
                IsOk());
  }
  return *made;
}

/// Ranks of one model, and a reader.
class GatherTransfer : public ::testing::Test {
 protected:
  void add_owner(const PackedLayout& packed, Access access = Access::kReadWrite) {
    const std::uint64_t id = owners_.size() + 1;
    owners_.push_back(std::make_unique<Worker>(directory_, id, "rank-" + std::to_string(id)));
    const auto handle = owners_.back()->manager->register_layout(built(packed), {.access = access});
    ASSERT_THAT(handle, IsOk());
  }
  void start_reader(const PackedLayout& packed, std::optional<testing::Fault> fault = {}) {
    reader_ = std::make_unique<Worker>(directory_, 99, "reader", fault);
    own_ = built(packed, false);
    const auto handle = reader_->manager->register_layout(own_, {.access = Access::kNone});
    ASSERT_THAT(handle, IsOk());
    mine_ = *handle;
    for (const auto& owner : owners_) {
      const auto message = owner->manager->export_envelope();
      ASSERT_THAT(message, IsOk());
      const auto handles = reader_->manager->import_metadata(*message);
      ASSERT_THAT(handles, IsOk());
      theirs_.push_back(handles->front());
    }
  }
  [[nodiscard]] Result<transfer::Transfer> pull(
      const std::vector<BlockId>& from, const std::vector<BlockId>& to,
      const transfer::TransferOptions& options = {}) const {
    return reader_->manager->execute_transfer(theirs_, from, mine_, to, options);
  }
  /// Whether the reader's block `mine` holds block `theirs` of the model, as far as it goes.
  [[nodiscard]] bool holds(BlockId mine, BlockId theirs) const {
    const std::vector<testing::PatternBlock> blocks{{mine, theirs}};
    const auto wrong = pattern_check(own_->view(), own_->region_bases(), blocks, kSeed);
    EXPECT_THAT(wrong, IsOk());
    return wrong->empty();
  }

  testing::TemporaryDirectory directory_;
  std::vector<std::unique_ptr<Worker>> owners_;
  std::unique_ptr<Worker> reader_;
  PhysicalLayoutPtr own_;
  LayoutHandle mine_;
  std::vector<LayoutHandle> theirs_;
};

TEST_F(GatherTransfer, PutsRanksAndStagesTogether) {
  for (std::uint64_t stage = 0; stage < 2; ++stage) {
    for (std::uint64_t rank = 0; rank < 3; ++rank) {
      add_owner(part({rank, 3}, {stage, 2}, layout::kUniversalTp));
    }
  }
  start_reader(part({}, {}, layout::kHnd));
  const auto transfer = pull(block_ids({7, 0, 3}), block_ids({1, 2, 6}));
  ASSERT_THAT(transfer, IsOk());
  const auto report = transfer->wait();
  ASSERT_TRUE(report.ok()) << report.error->message;
  EXPECT_TRUE(holds(BlockId{1}, BlockId{7}) && holds(BlockId{2}, BlockId{0}) &&
              holds(BlockId{6}, BlockId{3}));
  EXPECT_EQ(report.bytes_moved, 3 * own_->config().block_bytes());
  EXPECT_EQ(report.plan.block_pairs, 3U);
  EXPECT_EQ(report.route, "shm read");
  EXPECT_TRUE(report.quiet && transfer->quiet());
  EXPECT_TRUE(report.bad_blocks.empty() && report.partial_blocks.empty());
  EXPECT_TRUE(transfer->poll().has_value() && transfer->wait_for(Duration{0}).has_value());
}

TEST_F(GatherTransfer, OneThatFailsSpoilsWhatItFeeds) {
  add_owner(part({0, 4}));
  add_owner(part({0, 4}));  // A replica: each of the two feeds half of the blocks.
  start_reader(part({0, 4}), testing::Fault{testing::FaultKind::kFail, 5});
  const auto transfer = pull(testing::ids_from(0, 8), testing::ids_from(0, 8));
  ASSERT_THAT(transfer, IsOk());
  const auto report = transfer->wait();
  ASSERT_FALSE(report.ok());
  EXPECT_TRUE(report.error->message.starts_with("rank-") &&
              report.error->message.find(", LayoutHandle(worker=") != std::string::npos)
      << report.error->message;
  EXPECT_GT(report.bytes_moved, 0U);
  EXPECT_LT(report.bytes_moved, report.plan.bytes_moved);
  EXPECT_GE(report.bad_blocks.size(), 1U);
  EXPECT_LE(report.bad_blocks.size(), 4U);
  for (const BlockId block : testing::ids_from(0, 8)) {
    const bool bad = std::ranges::find(report.bad_blocks, block) != report.bad_blocks.end();
    EXPECT_TRUE(bad || holds(block, block)) << block.value();
  }
  const auto again = pull(testing::ids_from(0, 8), testing::ids_from(0, 8));
  ASSERT_THAT(again, IsOk()) << "all claims were given back";
  EXPECT_TRUE(again->wait().ok());
}

TEST_F(GatherTransfer, PartialBlocksAreNeverGood) {
  add_owner(part({1, 4}));
  add_owner(part({3, 4}));
  start_reader(part({}));
  EXPECT_THAT(pull(block_ids({0}), block_ids({0})),
              FailsWith(ErrorCode::kIncompatible, "heads 0:1"));
  const auto transfer = pull(block_ids({5, 2}), block_ids({7, 0}), {.partial = true});
  ASSERT_THAT(transfer, IsOk());
  const auto report = transfer->wait();
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report.partial_blocks, block_ids({0, 7}));
  EXPECT_DOUBLE_EQ(report.plan.coverage, 0.5);
  EXPECT_FALSE(holds(BlockId{7}, BlockId{5}));
}

TEST_F(GatherTransfer, OfNothingHasAnEnd) {
  add_owner(part({0, 2}));
  add_owner(part({1, 2}));
  start_reader(part({}));
  for (const plan::LayerRange& layers : {plan::LayerRange{2, 2}, plan::LayerRange{}}) {
    const bool no_layers = layers.first == layers.end;
    const auto transfer = no_layers ? pull(block_ids({0}), block_ids({1}), {.layers = layers})
                                    : pull({}, {}, {.layers = layers});
    ASSERT_THAT(transfer, IsOk());
    const auto report = transfer->wait();
    EXPECT_TRUE(report.ok() && report.quiet);
    EXPECT_EQ(report.bytes_moved, 0U);
  }
}

TEST_F(GatherTransfer, RefusesWhatCannotBe) {
  add_owner(part({0, 2}));
  add_owner(part({1, 2}));
  start_reader(part({}));
  const std::vector<std::uint64_t> sequences{0};
  EXPECT_THAT(pull(block_ids({0}), block_ids({1}), {.expected_sequences = sequences}),
              FailsWith(ErrorCode::kInvalidArgument, "there are 2"));
  EXPECT_THAT(pull(block_ids({0, 1}), block_ids({1, 1})),
              FailsWith(ErrorCode::kInvalidArgument, "source 0: "));
  theirs_.clear();
  EXPECT_THAT(pull(block_ids({0}), block_ids({1})),
              FailsWith(ErrorCode::kInvalidArgument, "sources: 0"));
}

TEST_F(GatherTransfer, PushesIntoAPeersLayout) {
  add_owner(part({}, {}, layout::kHnd, 32));
  start_reader(part({1, 2}));
  ASSERT_THAT(testing::pattern_fill(own_->view(), own_->region_bases(),
                                    testing::pattern_blocks(kBlocks), kSeed + 1),
              IsOk());
  const auto push = [&](const transfer::TransferOptions& options) {
    return reader_->manager->execute_transfer(mine_, block_ids({4, 2}), theirs_[0], block_ids({3}),
                                              options);
  };
  EXPECT_THAT(push({}), FailsWith(ErrorCode::kIncompatible, "heads 0:2"));
  const auto transfer = push({.partial = true});
  ASSERT_THAT(transfer, IsOk());
  const auto report = transfer->wait();
  ASSERT_TRUE(report.ok()) << report.error->message;
  EXPECT_EQ(report.route, "shm write");
  EXPECT_EQ(report.partial_blocks, block_ids({3}));
  const auto back =
      reader_->manager->execute_transfer(theirs_[0], block_ids({3}), mine_, block_ids({0, 1}));
  ASSERT_THAT(back, IsOk());
  ASSERT_TRUE(back->wait().ok());
  const std::vector<testing::PatternBlock> blocks{{BlockId{0}, BlockId{4}},
                                                  {BlockId{1}, BlockId{2}}};
  const auto wrong = pattern_check(own_->view(), own_->region_bases(), blocks, kSeed + 1);
  ASSERT_THAT(wrong, IsOk());
  EXPECT_TRUE(wrong->empty());
}

TEST_F(GatherTransfer, PushesOnlyWhereItMay) {
  add_owner(part({}), Access::kRead);
  start_reader(part({}));
  EXPECT_THAT(reader_->manager->execute_transfer(mine_, block_ids({0}), theirs_[0], block_ids({0})),
              FailsWith(ErrorCode::kRefused, "may be read by peers, not written"));
}

}  // namespace
}  // namespace kvferry::manager
