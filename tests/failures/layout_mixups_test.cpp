// SPDX-License-Identifier: Apache-2.0
// Goal: what lies in another order or on another number of ranks is moved right, or refused before
// anything moves; it is never taken for what it is not.
// Method: first each public report in small, the reader working out addresses as it did there; then
// the same two caches here. All bytes follow from their place in the model, so that a mix-up shows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "kvferry/layout/packed.hpp"
#include "kvferry/plan/gather.hpp"
#include "kvferry/testing/matchers.hpp"
#include "kvferry/testing/pattern.hpp"

namespace kvferry {
namespace {

using layout::Arrangement;
using layout::Axis;
using layout::LayoutView;
using testing::FailsWith;
using testing::IsOk;

constexpr std::uint64_t kBlocks = 4;
constexpr std::uint64_t kLayers = 2;
constexpr std::uint64_t kPage = 16;
constexpr std::uint64_t kHeads = 8;
constexpr std::uint64_t kHeadSize = 64;
constexpr std::uint64_t kElementBytes = 2;
constexpr std::uint64_t kSeed = 5;

/// A rank's cache in memory of its own.
struct Cache {
  explicit Cache(const layout::BlockAxes& order,
                 Arrangement arrangement = Arrangement::kFullyContiguous,
                 const layout::Rank& rank = {})
      : view{make(order, arrangement, rank)} {
    for (const Region& region : view.regions()) {
      regions.emplace_back(region.size_bytes);
    }
    for (std::vector<std::byte>& region : regions) {
      bases.push_back(region.data());
    }
  }
  static LayoutView make(const layout::BlockAxes& order, Arrangement arrangement,
                         const layout::Rank& rank) {
    layout::PackedLayout packed;
    packed.order = order;
    packed.arrangement = arrangement;
    packed.heads = *layout::heads_of(rank, kHeads);
    packed.config = {.num_blocks = kBlocks,
                     .num_layers = kLayers,
                     .outer_dim = 2,
                     .page_size = kPage,
                     .inner_dim = packed.heads.extent * kHeadSize,
                     .dtype_width_bytes = kElementBytes,
                     .num_heads = packed.heads.extent};
    std::vector<Region> empty;
    const auto sizes = required_regions(packed.config, arrangement).value();
    for (const std::uint64_t bytes : sizes) {
      empty.push_back({0, bytes});
    }
    return *packed_view(packed, std::move(empty));
  }

  void fill() {
    EXPECT_THAT(testing::pattern_fill(view, bases, testing::pattern_blocks(kBlocks), kSeed),
                IsOk());
  }
  /// Blocks that hold other bytes than theirs.
  [[nodiscard]] std::size_t wrong_blocks() const {
    return testing::pattern_check(view, bases, testing::pattern_blocks(kBlocks), kSeed)->size();
  }
  [[nodiscard]] std::size_t bytes() const {
    std::size_t sum{0};
    for (const auto& region : regions) {
      sum += region.size();
    }
    return sum;
  }

  LayoutView view;
  std::vector<std::vector<std::byte>> regions;
  std::vector<std::byte*> bases;
};

/// Moves all blocks as planned here.
Result<plan::PlanSummary> move(const std::vector<const Cache*>& sources, const Cache& destination) {
  std::vector<LayoutView> views;
  for (const Cache* source : sources) {
    views.push_back(source->view);
  }
  const std::vector<BlockId> all = block_ids({0, 1, 2, 3});
  auto gather = plan::Gather::create(views, destination.view, {all, all});
  if (!gather) {
    return gather.error();
  }
  for (const plan::GatherPart& part : gather->parts()) {
    plan::RunCursor cursor = part.plan.cursor();
    for (Run run; cursor.next(run);) {
      for (std::uint64_t i = 0; i < run.count; ++i) {
        std::memcpy(destination.bases[run.destination.region] + run.destination.offset_bytes +
                        i * run.destination.stride_bytes,
                    sources[part.source]->bases[run.source.region] + run.source.offset_bytes +
                        i * run.source.stride_bytes,
                    run.bytes);
      }
    }
  }
  return gather->summary();
}

// ---- vLLM #56772: a peer of one rank and one of two have rows of other sizes, and refuse.

TEST(RanksOfAnotherNumber, AreRefusedByWhoComparesRows) {
  const Cache one{layout::kNhd};
  const Cache half{layout::kNhd, Arrangement::kFullyContiguous, {0, 2}};
  EXPECT_NE(one.view.inner_dim(), half.view.inner_dim()) << "all that the naive reader looks at";
}

TEST(RanksOfAnotherNumber, GiveTheirHeadsHere) {
  const Cache one{layout::kNhd};
  Cache first{layout::kNhd, Arrangement::kFullyContiguous, {0, 2}};
  Cache second{layout::kNhd, Arrangement::kLayerSeparateBlockFirst, {1, 2}};
  first.fill();
  second.fill();
  const auto gathered = move({&first, &second}, one);
  ASSERT_THAT(gathered, IsOk());
  EXPECT_EQ(gathered->bytes_moved, one.bytes());
  EXPECT_EQ(one.wrong_blocks(), 0U);
  const Cache back{layout::kHnd, Arrangement::kFullyContiguous, {1, 2}};
  EXPECT_THAT(move({&one}, back), IsOk());
  EXPECT_EQ(back.wrong_blocks(), 0U);
  EXPECT_THAT(move({&second}, one),
              FailsWith(ErrorCode::kIncompatible, "does not cover heads 0:4"));
}

// ---- TensorRT-LLM #6507: heads before tokens are assumed where tokens come first.

TEST(TokensAndHeads, AreMixedUpWithSuccessByWhoAssumesTheirOrder) {
  Cache tokens_first{layout::kNhd};
  tokens_first.fill();
  const Cache heads_first{layout::kHnd};
  ASSERT_EQ(tokens_first.bytes(), heads_first.bytes()) << "so the naive copy is taken for good";
  std::memcpy(heads_first.bases[0], tokens_first.bases[0], tokens_first.bytes());
  EXPECT_EQ(heads_first.wrong_blocks(), kBlocks);
}

TEST(TokensAndHeads, ChangePlacesHereOrAreRefused) {
  Cache tokens_first{layout::kNhd};
  tokens_first.fill();
  const Cache heads_first{layout::kHnd};
  EXPECT_THAT(move({&tokens_first}, heads_first), IsOk());
  EXPECT_EQ(heads_first.wrong_blocks(), 0U);
  // Where the message does not tell heads apart, as those of the original, nothing is guessed.
  Cache untold{layout::kNhd};
  untold.view = *untold.view.collapsed();
  EXPECT_THAT(move({&untold}, heads_first),
              FailsWith(ErrorCode::kIncompatible, "inner_shape NHD against HND"));
}

// ---- LMCache #4463: K and V move to another axis, and the reader serves wrong data.

/// The piece of (block, outer) of a layer, by a reader that knows K and V to be the outermost axis.
const std::byte* naive_piece(const Cache& cache, std::uint64_t layer, std::uint64_t block,
                             std::uint64_t outer) {
  const std::uint64_t piece = kPage * kHeads * kHeadSize * kElementBytes;
  return cache.bases[layer] + (outer * kBlocks + block) * piece;
}

void naive_copy(const Cache& from, const Cache& to) {
  const std::uint64_t piece = kPage * kHeads * kHeadSize * kElementBytes;
  for (std::uint64_t layer = 0; layer < kLayers; ++layer) {
    for (std::uint64_t block = 0; block < kBlocks; ++block) {
      for (std::uint64_t outer = 0; outer < 2; ++outer) {
        const auto at = to.view.axis(Axis::kBlock).stride_bytes * block +
                        to.view.axis(Axis::kOuter).stride_bytes * outer;
        std::memcpy(to.bases[layer] + at, naive_piece(from, layer, block, outer), piece);
      }
    }
  }
}

TEST(KeysAndValues, AreServedWrongWithSuccessWhereTheirAxisIsGuessed) {
  const Cache reader{layout::kNhd, Arrangement::kLayerSeparateBlockFirst};
  Cache outermost{layout::kNhd, Arrangement::kLayerSeparateBlockSecond};
  outermost.fill();
  naive_copy(outermost, reader);
  EXPECT_EQ(reader.wrong_blocks(), 0U) << "the guess was right once";
  Cache moved{layout::kNhd, Arrangement::kLayerSeparateBlockFirst};
  moved.fill();
  naive_copy(moved, reader);
  EXPECT_EQ(reader.wrong_blocks(), kBlocks);
}

TEST(KeysAndValues, AreFoundHereOnWhateverAxisTheyAreToldToBe) {
  for (const Arrangement from :
       {Arrangement::kFullyContiguous, Arrangement::kLayerSeparateBlockFirst,
        Arrangement::kLayerSeparateBlockSecond}) {
    Cache source{layout::kNhd, from};
    source.fill();
    const Cache reader{layout::kNhd, Arrangement::kLayerSeparateBlockFirst};
    EXPECT_THAT(move({&source}, reader), IsOk());
    EXPECT_EQ(reader.wrong_blocks(), 0U);
  }
}

// ---- Heads that several ranks hold are sent twice.

TEST(ReplicatedHeads, MoveOnce) {
  std::vector<Cache> ranks;
  for (std::uint64_t rank = 0; rank < 2 * kHeads; ++rank) {
    ranks.emplace_back(layout::kNhd, Arrangement::kFullyContiguous, layout::Rank{rank, 2 * kHeads});
    ranks.back().fill();
  }
  std::vector<const Cache*> sources;
  std::size_t naive_bytes{0};
  for (const Cache& rank : ranks) {
    sources.push_back(&rank);
    naive_bytes += rank.bytes();
  }
  const Cache one{layout::kNhd};
  const auto moved = move(sources, one);
  ASSERT_THAT(moved, IsOk());
  EXPECT_EQ(one.wrong_blocks(), 0U);
  EXPECT_EQ(moved->bytes_moved, one.bytes());
  EXPECT_EQ(naive_bytes, 2 * one.bytes()) << "what every rank sending all it has would move";
}

}  // namespace
}  // namespace kvferry
