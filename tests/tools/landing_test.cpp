// SPDX-License-Identifier: Apache-2.0
// Goal: what a drawing of a plan shows is what the plan does: copies that are in its list of runs,
// and ranges that are in none. Method: plans between unlike views, beside their own runs.
#include "landing.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <tuple>

#include "drawn_views.hpp"

namespace kvferry::tool {
namespace {

using layout::LayoutView;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

using Bytes = std::tuple<std::size_t, std::size_t, std::uint64_t>;

/// A plan of blocks 2 and 0 (of 32 tokens at most) to 0 and on.
struct Case {
  Case(const std::vector<std::string>& from, const std::string& to, bool partial = false)
      : destination{view_of_spec(to)} {
    for (const std::string& keys : from) {
      sources.push_back(view_of_spec(keys));
    }
    const std::uint64_t tokens = 2 * sources.front().page_size();
    source_ids = block_ids({2, 0});
    for (std::uint64_t i = 0; i < tokens / destination.page_size(); ++i) {
      destination_ids.emplace_back(i);
    }
    gather = *plan::Gather::create(sources, destination, blocks(), {.partial = partial});
  }

  [[nodiscard]] plan::BlockPairs blocks() const { return {source_ids, destination_ids}; }
  [[nodiscard]] Landing land() const {
    return *landing_of({sources, destination, *gather, blocks(), {}});
  }

  /// (source, region, offset) of each byte written, by (region, offset) of the destination.
  [[nodiscard]] std::set<std::pair<Bytes, Bytes>> bytes() const {
    std::set<std::pair<Bytes, Bytes>> all;
    for (const plan::GatherPart& part : gather->parts()) {
      plan::RunCursor cursor = part.plan.cursor();
      for (Run run; cursor.next(run);) {
        for (std::uint64_t i = 0; i < run.count * run.bytes; ++i) {
          const std::uint64_t piece = i / run.bytes;
          all.insert({{part.source, run.source.region,
                       run.source.offset_bytes + piece * run.source.stride_bytes + i % run.bytes},
                      {0, run.destination.region,
                       run.destination.offset_bytes + piece * run.destination.stride_bytes +
                           i % run.bytes}});
        }
      }
    }
    return all;
  }

  std::vector<LayoutView> sources;
  LayoutView destination;
  std::vector<BlockId> source_ids;
  std::vector<BlockId> destination_ids;
  std::optional<plan::Gather> gather;
};

TEST(Landing, ShowsOnlyWhatThePlanDoes) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases{
      {{"fc,pp=0/10"}, "ls,order=hnd,pp=0/10"},
      {{"fc,pp=0/10,tp=0/3", "fc,pp=0/10,tp=1/3", "fc,pp=0/10,tp=2/3"}, "fc,pp=0/10"},
      {{"fc,pp=0/10"}, "ls2,pp=0/10"},
      {{"fc,pp=0/10,page=32"}, "fc,pp=0/10"},
      {{"fc,pp=0/10", "ls,pp=0/10"}, "fc,pp=0/10"}};
  for (const auto& [from, to] : cases) {
    SCOPED_TRACE(from.front() + " to " + to);
    const Case one{from, to};
    const auto bytes = one.bytes();
    const Landing landing = one.land();
    EXPECT_FALSE(landing.pieces.empty());
    for (const LandedPiece& piece : landing.pieces) {
      EXPECT_EQ(piece.from.bytes, piece.to.bytes);
      for (std::uint64_t i = 0; i < piece.to.bytes; ++i) {
        EXPECT_TRUE(bytes.contains({{piece.source, piece.from.region, piece.from.offset_bytes + i},
                                    {0, piece.to.region, piece.to.offset_bytes + i}}));
      }
    }
    EXPECT_THAT(landing.uncovered, IsEmpty());
    EXPECT_LE(landing.pieces.size(), landing.pieces_count);
  }
}

TEST(Landing, WhatIsUncoveredIsWrittenByNobody) {
  for (const char* keys : {"fc,tp=0/3", "fc,pp=1/3", "ls,order=hnd,tp=2/3"}) {
    const Case one{{keys}, "fc", true};
    const Landing landing = one.land();
    std::set<Bytes> written;
    for (const auto& [from, to] : one.bytes()) {
      written.insert(to);
    }
    EXPECT_FALSE(landing.uncovered.empty());
    for (const Extent& extent : landing.uncovered) {
      for (std::uint64_t i = 0; i < extent.bytes; ++i) {
        EXPECT_FALSE(written.contains({0, extent.region, extent.offset_bytes + i}));
      }
    }
  }
}

TEST(Landing, ShowsWhatASourceKeeps) {
  const Landing landing = Case{{"fc"}, "fc,tp=1/3"}.land();
  ASSERT_EQ(landing.unsent.size(), 1U);
  EXPECT_FALSE(landing.unsent.front().empty());
  EXPECT_THAT(Case({"fc"}, "fc").land().unsent, ElementsAre(IsEmpty()));
}

TEST(Landing, LooksAtAsMuchAsAPersonCanFollow) {
  const Landing whole = Case{{"fc"}, "fc"}.land();
  EXPECT_EQ(whole.scope, LandingScope::kFirstBlocks);
  EXPECT_EQ(whole.pieces.size(), 2U);  // A block each.
  const Landing layers = Case{{"fc"}, "ls"}.land();
  EXPECT_EQ(layers.scope, LandingScope::kFirstPair);
  EXPECT_EQ(layers.pieces_count, 30U);
  EXPECT_LT(layers.pieces.size(), 30U);
  const Landing heads = Case{{"fc,page=64"}, "ls,order=hnd,page=64"}.land();
  EXPECT_EQ(heads.scope, LandingScope::kFirstLayer);
  EXPECT_EQ(heads.pieces_count, 3U * 64U);
  EXPECT_EQ(heads.pieces.size(), kDrawnPieces);
}

TEST(Landing, TakesRangesAway) {
  const std::vector<Extent> whole{{0, 0, 100}, {1, 0, 100}, {3, 50, 10}};
  EXPECT_EQ(without(whole, {}), whole);
  EXPECT_THAT(without(whole, {{0, 10, 10}, {0, 90, 10}, {1, 0, 100}, {2, 0, 9}, {3, 40, 15}}),
              ElementsAre(Extent{0, 0, 10}, Extent{0, 20, 70}, Extent{3, 55, 5}));
  EXPECT_THAT(without(whole, whole), IsEmpty());
}

}  // namespace
}  // namespace kvferry::tool
