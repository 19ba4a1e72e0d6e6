// SPDX-License-Identifier: Apache-2.0
// Goal: neighbours by address become one piece, and only those.
// Method: pairs of small layouts for which the pieces can be counted by hand.
#include "plan/nest.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "model.hpp"

namespace kvferry::plan {
namespace {

using layout::Arrangement;
using layout::Axis;
using layout::InnerShape;
using layout::LayoutView;
using test::Model;
using test::Pairs;
using test::Shape;

constexpr std::uint64_t kRegionBytes = 4 * 3 * 2 * 2;  // of the default model and shape

LayoutView view(Arrangement arrangement, InnerShape order = InnerShape::kNhd) {
  Shape shape;
  shape.arrangement = arrangement;
  shape.order = order;
  return test::layout_view(Model{}, shape);
}

LayoutView fc() { return view(Arrangement::kFullyContiguous); }
LayoutView ls() { return view(Arrangement::kLayerSeparateBlockFirst); }
LayoutView ls2() { return view(Arrangement::kLayerSeparateBlockSecond); }

std::vector<Run> runs(const LayoutView& source, const LayoutView& destination,
                      const Pairs& blocks) {
  const auto shape = PlanTemplate::create(source, destination).value();
  const CopyPlan plan = CopyPlan::create(shape, blocks.view()).value();
  std::vector<Run> all;
  RunCursor cursor = plan.cursor();
  for (kvferry::Run run; cursor.next(run);) {
    all.push_back(run);
  }
  return all;
}

TEST(Merging, AWholeContiguousLayoutIsOneRun) {
  const auto all = runs(fc(), fc(), test::pairs({0, 1, 2, 3}, {0, 1, 2, 3}));
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0], (kvferry::Run{{0, 0, 0}, {0, 0, 0}, 4 * 3 * 2 * kRegionBytes, 1}));
}

TEST(Merging, NeighboursMergeInWhateverOrderTheyAreNamed) {
  for (const Pairs& blocks : {test::pairs({1, 2, 3}, {0, 1, 2}), test::pairs({3, 1, 2}, {2, 0, 1}),
                              test::pairs({3, 2, 1}, {2, 1, 0})}) {
    const auto all = runs(fc(), fc(), blocks);
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0],
              (kvferry::Run{{0, 3 * 2 * kRegionBytes, 0}, {0, 0, 0}, 3 * 3 * 2 * kRegionBytes, 1}));
  }
}

TEST(Merging, IdsThatAreNeighboursOnOneSideOnlyDoNotMerge) {
  EXPECT_EQ(runs(fc(), fc(), test::pairs({2, 1, 0}, {0, 1, 2})).size(), 3U);
  EXPECT_EQ(runs(fc(), fc(), test::pairs({0, 1}, {0, 2})).size(), 2U);
  EXPECT_EQ(runs(fc(), fc(), test::pairs({0, 2}, {0, 1})).size(), 2U);
  EXPECT_EQ(runs(fc(), fc(), test::pairs({1, 1, 1}, {0, 1, 2})).size(), 3U);
}

TEST(Merging, WholeRegionsOfLayersAreOneRunEach) {
  for (const LayoutView& layout : {ls(), ls2()}) {
    const auto all = runs(layout, layout, test::pairs({0, 1, 2, 3}, {0, 1, 2, 3}));
    ASSERT_EQ(all.size(), 3U);
    for (std::uint32_t i = 0; i < 3; ++i) {
      EXPECT_EQ(all[i], (kvferry::Run{{i, 0, 0}, {i, 0, 0}, 4 * 2 * kRegionBytes, 1}));
    }
  }
}

TEST(Merging, BlocksThatComeSecondMergeInsideEachOuter) {
  const auto all = runs(ls2(), ls2(), test::pairs({1, 2}, {0, 1}));
  std::uint64_t pieces = 0;
  for (const kvferry::Run& run : all) {
    EXPECT_EQ(run.bytes, 2 * kRegionBytes);
    pieces += run.count;
  }
  EXPECT_EQ(pieces, 3U * 2U);
}

TEST(Merging, OutersOfABlockMergeBetweenContiguousAndBlockFirst) {
  const auto all = runs(fc(), ls(), test::pairs({0, 2}, {1, 3}));
  std::uint64_t pieces = 0;
  for (const kvferry::Run& run : all) {
    EXPECT_EQ(run.bytes, 2 * kRegionBytes);
    pieces += run.count;
  }
  EXPECT_EQ(pieces, 2U * 3U);
}

TEST(Merging, OrdersThatDifferMoveHeadByHeadAsStridedRuns) {
  const LayoutView to = view(Arrangement::kFullyContiguous, InnerShape::kHnd);
  const auto all = runs(fc(), to, test::pairs({0}, {0}));
  std::uint64_t pieces = 0;
  for (const kvferry::Run& run : all) {
    EXPECT_EQ(run.bytes, 4U);
    EXPECT_GT(run.count, 1U);
    EXPECT_EQ(run.destination.stride_bytes, 4U) << "smallest steps of the destination inside";
    pieces += run.count;
  }
  EXPECT_EQ(pieces, 3U * 2U * 4U * 3U);
}

TEST(Merging, RunsNameRegionsOfTheWholeListAlsoForARangeOfLayers) {
  for (const auto& [source, destination] :
       {std::pair{ls(), fc()}, std::pair{fc(), ls2()}, std::pair{ls2(), ls()}}) {
    const auto shape = PlanTemplate::create(source, destination, {{1, 3}, false}).value();
    const Pairs blocks = test::pairs({0}, {3});
    const CopyPlan plan = CopyPlan::create(shape, blocks.view()).value();
    RunCursor cursor = plan.cursor();
    std::uint32_t layer = 1;
    std::uint64_t left = 2 * kRegionBytes;
    for (kvferry::Run run; cursor.next(run); left -= run.total_bytes()) {
      if (left == 0) {
        ++layer;
        left = 2 * kRegionBytes;
      }
      EXPECT_EQ(run.source.region, source.axis(Axis::kLayer).region_step != 0 ? layer : 0);
      EXPECT_EQ(run.destination.region,
                destination.axis(Axis::kLayer).region_step != 0 ? layer : 0);
    }
    EXPECT_EQ(layer, 2U);
  }
}

TEST(MakeNest, KeepsTheBlockOutsideAndRegionsNext) {
  const detail::Nest nest =
      detail::make_nest(ls(), view(Arrangement::kFullyContiguous, InnerShape::kHnd), {0, 0, 4}, 2);
  ASSERT_GE(nest.depth, 3U);
  EXPECT_EQ(nest.loops[0].axis, Axis::kBlock);
  EXPECT_EQ(nest.loops[1].axis, Axis::kLayer);
  EXPECT_EQ(nest.loops[1].source_region_step, 1U);
  EXPECT_TRUE(nest.strided);
  EXPECT_EQ(nest.pieces(), 2U * 3U * 2U * 4U * 3U);
}

TEST(MakeNest, BeginsAtItsTokens) {
  const detail::Nest nest = detail::make_nest(fc(), fc(), {1, 2, 2}, 1);
  EXPECT_EQ(nest.source.offset_bytes, 1U * 12U);
  EXPECT_EQ(nest.destination.offset_bytes, 2U * 12U);
  EXPECT_EQ(nest.piece_bytes, 2U * 12U);
  EXPECT_EQ(nest.pieces(), 3U * 2U);
}

TEST(PiecesOfOneOuter, AreOneForTheSameOrderAndOneAHeadForSomeTokensOfHnd) {
  const LayoutView hnd = view(Arrangement::kFullyContiguous, InnerShape::kHnd);
  EXPECT_EQ(detail::pieces_of_one_outer(fc(), ls2(), {0, 0, 4}), 1U);
  EXPECT_EQ(detail::pieces_of_one_outer(fc(), ls2(), {1, 2, 2}), 1U);
  EXPECT_EQ(detail::pieces_of_one_outer(hnd, hnd, {0, 0, 4}), 1U);
  EXPECT_EQ(detail::pieces_of_one_outer(hnd, hnd, {1, 2, 2}), 3U);
  EXPECT_EQ(detail::pieces_of_one_outer(fc(), hnd, {0, 0, 4}), 12U);
}

TEST(Advance, GoesOnByRegionsOrByBytes) {
  RunEnd end;
  detail::advance(end, ls(), Axis::kLayer, 2);
  EXPECT_EQ(end, (RunEnd{2, 0, 0}));
  detail::advance(end, ls(), Axis::kBlock, 3);
  EXPECT_EQ(end, (RunEnd{2, 3 * 2 * kRegionBytes, 0}));
}

}  // namespace
}  // namespace kvferry::plan
