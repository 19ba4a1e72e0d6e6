// SPDX-License-Identifier: Apache-2.0
// Goal: lists of blocks that cannot be paired are refused, and a plan's figures are right.
// Method: small layouts and wrong lists; real geometries whose figures are known.
#include "kvferry/plan/plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "model.hpp"

namespace kvferry::plan {
namespace {

using layout::Arrangement;
using layout::InnerShape;
using layout::LayoutView;
using test::Model;
using test::Pairs;
using test::Shape;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

LayoutView view(std::uint64_t blocks, std::uint64_t page = 4,
                Arrangement arrangement = Arrangement::kFullyContiguous) {
  Shape shape;
  shape.blocks = blocks;
  shape.page = page;
  shape.arrangement = arrangement;
  return test::layout_view(Model{}, shape);
}

Result<CopyPlan> plan_of(const LayoutView& source, const LayoutView& destination,
                         const Pairs& blocks) {
  return CopyPlan::create(PlanTemplate::create(source, destination).value(), blocks.view());
}

std::string refusal(const LayoutView& source, const LayoutView& destination, const Pairs& blocks) {
  const Result<CopyPlan> plan = plan_of(source, destination, blocks);
  if (plan) {
    return "accepted";
  }
  EXPECT_EQ(plan.error().code, ErrorCode::kInvalidArgument);
  return plan.error().message;
}

TEST(CopyPlan, RefusesIdsOutOfRangeNamingSideIdAndBound) {
  EXPECT_EQ(refusal(view(4), view(6), test::pairs({3, 4}, {0, 1})), "source block 4 of 4");
  EXPECT_EQ(refusal(view(4), view(6), test::pairs({3, 0}, {6, 1})), "destination block 6 of 6");
  EXPECT_EQ(refusal(view(4), view(6), test::pairs({3, 0}, {5, 0})), "accepted");
  EXPECT_EQ(
      refusal(view(4), view(6), test::pairs({std::numeric_limits<std::uint64_t>::max()}, {5})),
      "source block 18446744073709551615 of 4");
  EXPECT_EQ(refusal(view(4, 2), view(6, 4), test::pairs({3, 0}, {6})), "destination block 6 of 6");
}

TEST(CopyPlan, RefusesIdsOutOfRangeAlsoWhenNothingMoves) {
  const auto empty = PlanTemplate::create(view(4), view(4), {{0, 0}, false}).value();
  const Pairs bad = test::pairs({4}, {0});
  EXPECT_FALSE(CopyPlan::create(empty, bad.view()).has_value());
}

TEST(CopyPlan, RefusesADestinationThatIsNamedTwice) {
  EXPECT_EQ(refusal(view(4), view(4), test::pairs({0, 1}, {2, 2})),
            "destination block 2 is named twice");
  EXPECT_EQ(refusal(view(4), view(4), test::pairs({0, 1, 2, 3}, {3, 0, 1, 3})),
            "destination block 3 is named twice");
  EXPECT_EQ(refusal(view(4, 8), view(4, 4), test::pairs({0}, {1, 1})),
            "destination block 1 is named twice");
  EXPECT_EQ(refusal(view(4), view(4), test::pairs({2, 2, 2}, {3, 0, 1})), "accepted");
}

TEST(CopyPlan, RefusesListsThatDoNotNameTheSameNumberOfTokens) {
  EXPECT_EQ(refusal(view(4), view(4), test::pairs({0, 1}, {2})),
            "2 source blocks against 1 destination blocks");
  EXPECT_EQ(refusal(view(4), view(4), test::pairs({}, {2})),
            "0 source blocks against 1 destination blocks");
  EXPECT_EQ(refusal(view(4, 4), view(4, 6), test::pairs({0, 1}, {2})),
            "source: 2 blocks of 4 tokens; destination: 1 blocks of 6 tokens; the numbers of "
            "tokens differ");
  EXPECT_EQ(refusal(view(4, 4), view(4, 6), test::pairs({0, 1, 2}, {2, 0})), "accepted");
  EXPECT_EQ(refusal(view(4, 4), view(4, 6), test::pairs({}, {})), "accepted");
}

TEST(CopyPlan, RefusesNumbersOfTokensThatOverflow) {
  const auto huge = [](std::uint64_t page) {
    layout::LayoutConfig config;
    config.num_blocks = config.num_layers = config.outer_dim = 1;
    config.inner_dim = config.dtype_width_bytes = 1;
    config.page_size = page;
    config.inner_shape = InnerShape::kNhd;
    config.num_heads = 1;
    return view_of(
               layout::Layout::create(config, Arrangement::kFullyContiguous, {{0, page}}).value())
        .value();
  };
  // 4 x 2^62 and 2 x 2^63 both wrap to 0.
  EXPECT_THAT(refusal(huge(std::uint64_t{1} << 62U), huge(std::uint64_t{1} << 63U),
                      test::pairs({0, 0, 0, 0}, {0, 0})),
              HasSubstr("the numbers of tokens differ"));
}

TEST(CopyPlan, TakesEqualPagesInTheOrderOfTheirDestinationsAndOthersAsNamed) {
  const Result<CopyPlan> equal = plan_of(view(4), view(4), test::pairs({0, 1, 2}, {3, 0, 1}));
  EXPECT_THAT(equal->destination_blocks(), ElementsAre(BlockId{0}, BlockId{1}, BlockId{3}));
  const Result<CopyPlan> other = plan_of(view(4, 8), view(4, 4), test::pairs({2}, {3, 0}));
  EXPECT_THAT(other->destination_blocks(), ElementsAre(BlockId{3}, BlockId{0}));
}

TEST(CopyPlan, OutlivesTheListsAndViewsItWasMadeFrom) {
  Result<CopyPlan> plan = [] {
    const LayoutView source = view(4);
    const LayoutView destination = view(4, 4, Arrangement::kLayerSeparateBlockFirst);
    return plan_of(source, destination, test::pairs({0, 1}, {2, 3}));
  }();
  std::uint64_t bytes = 0;
  RunCursor cursor = plan->cursor();
  for (kvferry::Run run; cursor.next(run);) {
    bytes += run.total_bytes();
  }
  EXPECT_EQ(bytes, plan->total_bytes());
}

TEST(PlanSummary, OfNoBlocksIsZero) {
  const PlanSummary summary = plan_of(view(4), view(4), Pairs{})->summary();
  EXPECT_EQ(summary.block_pairs, 0U);
  EXPECT_EQ(summary.bytes_moved, 0U);
  EXPECT_EQ(summary.runs_before, 0U);
  EXPECT_EQ(summary.runs, 0U);
  EXPECT_EQ(summary.smallest_run, 0U);
  EXPECT_EQ(summary.largest_run, 0U);
  EXPECT_EQ(summary.coverage, 1.0);
}

Model llama() { return {32, 2, 8, 128, 2}; }

LayoutView llama_view(Arrangement arrangement, InnerShape order, std::uint64_t page) {
  return test::layout_view(llama(), {64, page, order, arrangement, true});
}

TEST(PlanSummary, CountsLlama) {
  const LayoutView fc = llama_view(Arrangement::kFullyContiguous, InnerShape::kNhd, 16);
  const LayoutView ls = llama_view(Arrangement::kLayerSeparateBlockFirst, InnerShape::kNhd, 16);
  const Pairs three = test::pairs({4, 9, 2}, {0, 1, 2});
  const PlanSummary whole = plan_of(fc, fc, three)->summary();
  EXPECT_EQ(whole.block_pairs, 3U);
  EXPECT_EQ(whole.bytes_useful, 3U * 2'097'152U);
  EXPECT_EQ(whole.runs_before, 192U);
  EXPECT_EQ(whole.runs, 3U);
  EXPECT_EQ(whole.smallest_run, 2'097'152U);
  const PlanSummary layers = plan_of(fc, ls, three)->summary();
  EXPECT_EQ(layers.runs_before, 192U);
  EXPECT_EQ(layers.runs, 96U);
  EXPECT_EQ(layers.largest_run, 65'536U);
  const LayoutView hnd = llama_view(Arrangement::kFullyContiguous, InnerShape::kHnd, 16);
  const PlanSummary turned = plan_of(fc, hnd, three)->summary();
  EXPECT_EQ(turned.runs_before, 3U * 32U * 2U * 16U * 8U);
  EXPECT_EQ(turned.runs, turned.runs_before);
  EXPECT_EQ(turned.largest_run, 256U);
}

TEST(PlanSummary, CountsUnequalPagesOfLlama) {
  const LayoutView small = llama_view(Arrangement::kFullyContiguous, InnerShape::kNhd, 16);
  const LayoutView large = llama_view(Arrangement::kFullyContiguous, InnerShape::kNhd, 64);
  const PlanSummary summary =
      plan_of(small, large, test::pairs({0, 1, 2, 3, 9, 8, 7, 6}, {5, 0}))->summary();
  EXPECT_EQ(summary.block_pairs, 2U);
  EXPECT_EQ(summary.runs_before, 8U * 64U);
  EXPECT_EQ(summary.runs, 8U * 64U);
  EXPECT_EQ(summary.smallest_run, 32'768U);
  EXPECT_EQ(summary.bytes_moved, 8U * 2'097'152U);
}

}  // namespace
}  // namespace kvferry::plan
