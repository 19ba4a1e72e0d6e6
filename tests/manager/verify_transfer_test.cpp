// SPDX-License-Identifier: Apache-2.0
// Goal: with verification no byte that differs from its source's is ever called good, on any route,
//       also from memory to disk and back later; and blocks that are right are called so.
// Method: pairs of layouts, orders, pages and tiers, verified; bytes flipped on the way, in the
// file
//         between two transfers, and in what the owner tells; owners that do not answer.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "disk/digest_file.hpp"
#include "tier_cache.hpp"
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
using testing::kAllArrangements;
using testing::TierCache;
using testing::Worker;
using transfer::PhysicalLayoutPtr;
using transfer::Verified;
using transfer::Verify;

constexpr std::uint64_t kBlocks = 96;
constexpr std::uint64_t kSeed = 21;

/// 3 layers, 4 heads of 128 bytes, 32 KiB a layer of a block of 32 tokens.
layout::PackedLayout cache(Arrangement arrangement, const layout::BlockAxes& order,
                           std::uint64_t page = 32) {
  layout::PackedLayout packed;
  packed.layers = {.extent = 3, .whole = 3};
  packed.heads = {.extent = 4, .whole = 4};
  packed.order = order;
  packed.arrangement = arrangement;
  packed.config = {.num_blocks = kBlocks * 32 / page,
                   .num_layers = 3,
                   .outer_dim = 2,
                   .page_size = page,
                   .inner_dim = 256,
                   .num_heads = 4};
  return packed;
}

PhysicalLayoutPtr in_memory(const layout::PackedLayout& packed, bool filled) {
  auto made = transfer::PhysicalLayout::packed(packed).allocate_system().build();
  EXPECT_TRUE(made.has_value()) << made.error().message;
  if (filled) {
    EXPECT_THAT(pattern_fill((*made)->view(), (*made)->region_bases(),
                             testing::pattern_blocks(packed.config.num_blocks), kSeed),
                IsOk());
  }
  return *made;
}

PhysicalLayoutPtr on_disk(const layout::PackedLayout& packed, const std::string& path) {
  auto made = transfer::PhysicalLayout::packed(packed).allocate_disk({path}).build();
  EXPECT_TRUE(made.has_value()) << made.error().message;
  return *made;
}

/// Which of the first `count` blocks of a cache in memory do not hold the pattern.
std::vector<BlockId> wrong_blocks(const PhysicalLayoutPtr& layout, std::uint64_t count) {
  std::vector<BlockId> wrong;
  for (std::uint64_t block = 0; block < count; ++block) {
    const std::vector<testing::PatternBlock> one{{BlockId{block}, BlockId{block}}};
    const auto found = pattern_check(layout->view(), layout->region_bases(), one, kSeed);
    EXPECT_THAT(found, IsOk());
    if (!found->empty()) {
      wrong.push_back(BlockId{block});
    }
  }
  return wrong;
}

/// Blocks to be moved, each into the one of the same place in the other list.
struct Blocks {
  std::vector<BlockId> source;
  std::vector<BlockId> destination;
};

transfer::TransferReport moved(TransportManager& manager, LayoutHandle from, LayoutHandle to,
                               const Blocks& blocks, transfer::TransferOptions options = {}) {
  options.verify = Verify::kChecksum;
  const auto transfer =
      manager.execute_transfer(from, blocks.source, to, blocks.destination, options);
  EXPECT_THAT(transfer, IsOk());
  return transfer ? transfer->wait() : transfer::TransferReport{};
}

void expect_good(const transfer::TransferReport& report, Verified verified) {
  EXPECT_TRUE(report.ok()) << report.error->message;
  EXPECT_TRUE(report.bad_blocks.empty());
  EXPECT_EQ(report.verified, verified);
  EXPECT_EQ(report.bytes_moved, report.plan.bytes_moved);
}

TEST(VerifiedTransfer, IsGoodBetweenAllLayoutsOrdersAndPages) {
  for (const Arrangement from : kAllArrangements) {
    for (const Arrangement to : kAllArrangements) {
      for (const auto& [order, page] : {std::pair{layout::kNhd, 32U},
                                        {layout::kHnd, 32U},
                                        {layout::kNhd, 16U},
                                        {layout::kHnd, 64U}}) {
        const auto manager = testing::make_manager({.worker_id = WorkerId{7}});
        const auto source = in_memory(cache(from, layout::kNhd), true);
        const auto destination = in_memory(cache(to, order, page), false);
        const auto all = ids_from(0, kBlocks);
        const auto into = ids_from(0, kBlocks * 32 / page);
        const auto report = moved(*manager, *manager->register_layout(source),
                                  *manager->register_layout(destination), {all, into});
        expect_good(report, Verified::kCompared);
        EXPECT_EQ(report.plan.block_pairs, into.size());
        EXPECT_GT(report.verify_time, Duration::zero());
      }
    }
  }
}

/// An owner and a reader, each with a cache.
class VerifiedPull : public ::testing::Test {
 protected:
  void start(const layout::PackedLayout& theirs, const PhysicalLayoutPtr& mine,
             std::optional<Fault> fault = {}, Access access = Access::kRead) {
    source_ = in_memory(theirs, access == Access::kRead);
    ASSERT_THAT(owner_->manager->register_layout(source_, {.access = access}), IsOk());
    reader_ = std::make_unique<Worker>(directory_, 2, "reader", fault);
    mine_ = *reader_->manager->register_layout(mine, {.access = Access::kNone});
    const auto handles = reader_->manager->import_metadata(*owner_->manager->export_envelope());
    ASSERT_THAT(handles, IsOk());
    theirs_ = handles->front();
  }

  testing::TemporaryDirectory directory_;
  std::unique_ptr<Worker> owner_ = std::make_unique<Worker>(directory_, 1, "owner");
  std::unique_ptr<Worker> reader_;
  PhysicalLayoutPtr source_;
  LayoutHandle theirs_;
  LayoutHandle mine_;
  std::vector<BlockId> all_ = ids_from(0, kBlocks);
};

TEST_F(VerifiedPull, IsGoodAlsoInAnotherOrder) {
  for (const bool by_layer : {false, true}) {
    const auto destination = in_memory(cache(kAllArrangements[1], layout::kHnd), false);
    owner_ = std::make_unique<Worker>(directory_, 1, "owner");
    ASSERT_NO_FATAL_FAILURE(start(cache(kAllArrangements[0], layout::kNhd), destination));
    transfer::TransferOptions options;
    options.by_layer = by_layer;
    expect_good(moved(*reader_->manager, theirs_, mine_, {all_, all_}, options),
                Verified::kCompared);
    EXPECT_TRUE(wrong_blocks(destination, kBlocks).empty());
    EXPECT_EQ(reader_->manager->statistics().in_flight, 0U);
    reader_.reset();
  }
}

TEST_F(VerifiedPull, NamesTheBlocksWhoseBytesWereFlippedAndNoOthers) {
  const auto destination = in_memory(cache(kAllArrangements[1], layout::kNhd), false);
  ASSERT_NO_FATAL_FAILURE(
      start(cache(kAllArrangements[0], layout::kNhd), destination, Fault{FaultKind::kCorrupt, 60}));
  const auto report = moved(*reader_->manager, theirs_, mine_, {all_, all_});
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error->code, ErrorCode::kWrongBytes) << report.error->message;
  EXPECT_EQ(report.bytes_moved, report.plan.bytes_moved) << "the other blocks are worth the rest";
  EXPECT_FALSE(report.bad_blocks.empty());
  EXPECT_EQ(report.bad_blocks, wrong_blocks(destination, kBlocks));
  EXPECT_TRUE(report.quiet);
}

TEST_F(VerifiedPull, TellsNoLayerWhoseBytesWereFlipped) {
  const auto destination = in_memory(cache(kAllArrangements[1], layout::kNhd), false);
  ASSERT_NO_FATAL_FAILURE(start(cache(kAllArrangements[0], layout::kNhd), destination,
                                Fault{FaultKind::kCorrupt, 60}));  // Of 144: in the second layer.
  const auto transfer = reader_->manager->execute_transfer(
      theirs_, all_, mine_, all_, {.by_layer = true, .verify = Verify::kChecksum});
  ASSERT_THAT(transfer, IsOk());
  EXPECT_TRUE(*transfer->wait_for_layer(0, 10s));
  EXPECT_THAT(transfer->wait_for_layer(1, 10s), FailsWith(ErrorCode::kWrongBytes, "layer 1"));
  EXPECT_THAT(transfer->wait_for_layer(2, 10s), FailsWith(ErrorCode::kWrongBytes, "layer 1"));
}

TEST_F(VerifiedPull, IsNotGoodWhenTheOwnerIsGone) {
  const auto destination = in_memory(cache(kAllArrangements[1], layout::kNhd), false);
  ASSERT_NO_FATAL_FAILURE(start(cache(kAllArrangements[0], layout::kNhd), destination));
  owner_->manager.reset();  // The memory stays, but nobody answers.
  const auto report = moved(*reader_->manager, theirs_, mine_, {all_, all_}, {.deadline = 300ms});
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error->code, ErrorCode::kDeadline) << report.error->message;
  EXPECT_EQ(report.bad_blocks.size(), kBlocks);
  EXPECT_TRUE(report.quiet);
}

TEST_F(VerifiedPull, HoldsForAPushToo) {
  const auto own = in_memory(cache(kAllArrangements[0], layout::kHnd), true);
  for (const bool corrupt : {false, true}) {
    owner_ = std::make_unique<Worker>(directory_, 1, "owner");
    ASSERT_NO_FATAL_FAILURE(
        start(cache(kAllArrangements[2], layout::kNhd), own,
              corrupt ? std::optional{Fault{FaultKind::kCorrupt, 60}} : std::nullopt,
              Access::kReadWrite));
    const auto report = moved(*reader_->manager, mine_, theirs_, {all_, all_});
    EXPECT_EQ(report.verified, Verified::kCompared);
    EXPECT_EQ(report.ok(), !corrupt);
    EXPECT_EQ(report.bad_blocks.empty(), !corrupt);
    EXPECT_EQ(report.bad_blocks, wrong_blocks(source_, kBlocks));
    reader_.reset();
  }
}

TEST_F(VerifiedPull, GoesToDiskAndIsCheckedWhenItComesBack) {
  const auto kept = cache(kAllArrangements[0], layout::kHnd);
  const std::string path = directory_.path() + "/tier";
  ASSERT_NO_FATAL_FAILURE(start(cache(kAllArrangements[1], layout::kNhd), on_disk(kept, path)));
  expect_good(moved(*reader_->manager, theirs_, mine_, {all_, all_}), Verified::kKept);
  reader_.reset();  // Another life, which knows nothing but the files.
  const auto manager = testing::make_manager({.worker_id = WorkerId{7}});
  const auto back = in_memory(cache(kAllArrangements[2], layout::kNhd), false);
  const LayoutHandle to = *manager->register_layout(back);
  const auto file = on_disk(kept, path);
  const LayoutHandle from = *manager->register_layout(file, {.access = Access::kNone});
  expect_good(moved(*manager, from, to, {all_, all_}), Verified::kCompared);
  EXPECT_TRUE(wrong_blocks(back, kBlocks).empty());
  // A bit of the disk turns over.
  const std::uint64_t block_bytes = 3 * 2 * 32 * 256 * 2;
  std::byte byte{};
  ASSERT_EQ(
      ::pread(file->files()[0]->descriptor(), &byte, 1, static_cast<off_t>(40 * block_bytes + 7)),
      1);
  byte ^= std::byte{4};
  ASSERT_EQ(
      ::pwrite(file->files()[0]->descriptor(), &byte, 1, static_cast<off_t>(40 * block_bytes + 7)),
      1);
  const auto report = moved(*manager, from, to, {all_, all_});
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error->code, ErrorCode::kWrongBytes);
  EXPECT_EQ(report.bad_blocks, block_ids({40}));
}

TEST(VerifiedTier, KnowsNothingOfWhatWasWrittenWithoutVerification) {
  const testing::TemporaryDirectory directory;
  const auto manager = testing::make_manager({.worker_id = WorkerId{7}});
  const auto packed = cache(kAllArrangements[0], layout::kNhd);
  const auto memory = in_memory(packed, true);
  const LayoutHandle mine = *manager->register_layout(memory);
  const LayoutHandle disk = *manager->register_layout(on_disk(packed, directory.path() + "/tier"),
                                                      {.access = Access::kNone});
  const auto all = ids_from(0, kBlocks);
  expect_good(moved(*manager, mine, disk, {all, all}), Verified::kKept);
  // What is written over without verification loses its digests, in those layers.
  const auto again =
      manager->execute_transfer(mine, block_ids({8}), disk, block_ids({3}), {.layers = {1, 2}});
  ASSERT_THAT(again, IsOk());
  EXPECT_TRUE(again->wait().ok());
  EXPECT_EQ(again->wait().verified, Verified::kNo);
  const auto some = moved(*manager, disk, mine, {block_ids({2, 3}), block_ids({2, 3})});
  ASSERT_FALSE(some.ok());
  EXPECT_EQ(some.error->code, ErrorCode::kUnavailable);
  EXPECT_NE(some.error->message.find("block 3, layer 1: it was written without verification"),
            std::string::npos)
      << some.error->message;
  EXPECT_EQ(some.bytes_moved, 0U);
  expect_good(moved(*manager, disk, mine, {block_ids({3}), block_ids({3})}, {.layers = {2, 3}}),
              Verified::kCompared);
  expect_good(moved(*manager, disk, mine, {block_ids({2, 4}), block_ids({2, 4})}),
              Verified::kCompared);
}

TEST(VerifiedTier, RefusesWhatMovesAPartOfABlock) {
  const testing::TemporaryDirectory directory;
  const auto manager = testing::make_manager({.worker_id = WorkerId{7}});
  const auto disk = on_disk(cache(kAllArrangements[0], layout::kNhd), directory.path() + "/tier");
  const auto other = in_memory(cache(kAllArrangements[0], layout::kNhd, 16), true);
  const LayoutHandle to = *manager->register_layout(disk, {.access = Access::kNone});
  const LayoutHandle from = *manager->register_layout(other);
  EXPECT_THAT(manager->execute_transfer(from, block_ids({0, 1}), to, block_ids({0}),
                                        {.verify = Verify::kChecksum}),
              FailsWith(ErrorCode::kIncompatible, "pages of 32 and 16 tokens"));
}

}  // namespace
}  // namespace kvferry::manager
