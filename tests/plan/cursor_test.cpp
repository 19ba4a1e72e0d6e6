// SPDX-License-Identifier: Apache-2.0
// Goal: a cursor cuts runs where it is told, says which blocks are whole, and never allocates.
// Method: small plans walked step by step; operator new of this program counts.
#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "allocations.hpp"
#include "kvferry/plan/plan.hpp"
#include "model.hpp"

namespace kvferry::plan {
namespace {

using layout::Arrangement;
using layout::InnerShape;
using layout::LayoutView;
using test::Model;
using test::Pairs;
using test::Shape;

LayoutView view(Arrangement arrangement, InnerShape order = InnerShape::kNhd,
                std::uint64_t page = 4) {
  Shape shape;
  shape.blocks = 8;
  shape.page = page;
  shape.arrangement = arrangement;
  shape.order = order;
  return test::layout_view(Model{}, shape);
}

CopyPlan plan_of(const LayoutView& source, const LayoutView& destination, const Pairs& blocks) {
  return CopyPlan::create(PlanTemplate::create(source, destination).value(), blocks.view()).value();
}

/// One layer, one outer, one block of 4 tokens of 3 heads of 4 bytes, from NHD to HND.
CopyPlan transposing_plan() {
  Model model;
  model.layers = model.outers = 1;
  Shape shape;
  const LayoutView from = test::layout_view(model, shape);
  shape.order = InnerShape::kHnd;
  return plan_of(from, test::layout_view(model, shape), test::pairs({1}, {2}));
}

TEST(RunCursor, CutsAStridedRunBetweenItsPieces) {
  const CopyPlan plan = transposing_plan();
  RunCursor cursor = plan.cursor();
  kvferry::Run run;
  ASSERT_TRUE(cursor.next(run, 11));
  EXPECT_EQ(run, (kvferry::Run{{0, 48, 12}, {0, 96, 4}, 4, 2}));
  ASSERT_TRUE(cursor.next(run, 4));
  EXPECT_EQ(run, (kvferry::Run{{0, 72, 0}, {0, 104, 0}, 4, 1}));
  ASSERT_TRUE(cursor.next(run));
  EXPECT_EQ(run, (kvferry::Run{{0, 84, 0}, {0, 108, 0}, 4, 1}));
  ASSERT_TRUE(cursor.next(run));
  EXPECT_EQ(run, (kvferry::Run{{0, 52, 12}, {0, 112, 4}, 4, 4}));
}

TEST(RunCursor, CutsAPieceThatIsLargerThanTheLimit) {
  const CopyPlan plan = transposing_plan();
  RunCursor cursor = plan.cursor();
  kvferry::Run run;
  ASSERT_TRUE(cursor.next(run, 3));
  EXPECT_EQ(run, (kvferry::Run{{0, 48, 0}, {0, 96, 0}, 3, 1}));
  ASSERT_TRUE(cursor.next(run, 100)) << "the rest of the piece comes before any other";
  EXPECT_EQ(run, (kvferry::Run{{0, 51, 0}, {0, 99, 0}, 1, 1}));
  ASSERT_TRUE(cursor.next(run, 8));
  EXPECT_EQ(run, (kvferry::Run{{0, 60, 12}, {0, 100, 4}, 4, 2}));
}

/// All runs, at most `room` at a time, each of at most `max_bytes`.
std::vector<kvferry::Run> in_batches(const CopyPlan& plan, std::size_t room,
                                     std::uint64_t max_bytes) {
  RunCursor cursor = plan.cursor();
  std::vector<kvferry::Run> all;
  std::vector<kvferry::Run> batch(room);
  for (std::size_t count = 1; count != 0;) {
    count = cursor.next(std::span{batch}, max_bytes);
    all.insert(all.end(), batch.begin(), batch.begin() + static_cast<std::ptrdiff_t>(count));
  }
  return all;
}

TEST(RunCursor, GivesTheSameRunsOneByOneAndManyAtATime) {
  const LayoutView fc = view(Arrangement::kFullyContiguous);
  const LayoutView ls2 = view(Arrangement::kLayerSeparateBlockSecond);
  const LayoutView hnd = view(Arrangement::kLayerSeparateBlockFirst, InnerShape::kHnd);
  const LayoutView small = view(Arrangement::kFullyContiguous, InnerShape::kNhd, 2);
  for (const CopyPlan& plan :
       {transposing_plan(), plan_of(fc, ls2, test::pairs({0, 3, 4}, {5, 6, 7})),
        plan_of(fc, hnd, test::pairs({0, 1, 5}, {6, 7, 3})),
        plan_of(small, hnd, test::pairs({5, 0, 7, 2}, {3, 1}))}) {
    for (const std::uint64_t max_bytes : {1U, 4U, 11U, 48U, 100'000U}) {
      const auto one_by_one = in_batches(plan, 1, max_bytes);
      EXPECT_FALSE(one_by_one.empty());
      for (const std::size_t room : {2U, 3U, 64U}) {
        EXPECT_EQ(in_batches(plan, room, max_bytes), one_by_one) << room << ", " << max_bytes;
      }
    }
  }
}

TEST(RunCursor, StopsOnceThereAreEnoughBytes) {
  const CopyPlan plan =
      plan_of(view(Arrangement::kFullyContiguous), view(Arrangement::kLayerSeparateBlockFirst),
              test::pairs({0, 3, 1}, {6, 0, 3}));  // 9 runs of 96 bytes
  RunCursor cursor = plan.cursor();
  std::array<kvferry::Run, 64> runs;
  EXPECT_EQ(cursor.next(std::span{runs}, 96), 1U);
  EXPECT_EQ(cursor.next(std::span{runs}, 97), 2U);
  EXPECT_EQ(cursor.next(std::span{runs}, 192), 2U);
  EXPECT_EQ(cursor.next(std::span{runs}.first(0)), 0U);
  EXPECT_EQ(cursor.next(std::span{runs}), 4U);
  EXPECT_EQ(cursor.next(std::span{runs}), 0U);
}

TEST(RunCursor, OfAnEmptyPlanHasNoRun) {
  const CopyPlan plan =
      plan_of(view(Arrangement::kFullyContiguous), view(Arrangement::kFullyContiguous), Pairs{});
  RunCursor cursor = plan.cursor();
  kvferry::Run run;
  EXPECT_FALSE(cursor.next(run));
  EXPECT_EQ(cursor.completed_blocks(), 0U);
}

TEST(RunCursor, CompletesScatteredBlocksOneByOne) {
  const CopyPlan plan =
      plan_of(view(Arrangement::kFullyContiguous), view(Arrangement::kLayerSeparateBlockFirst),
              test::pairs({0, 3, 1}, {6, 0, 3}));
  ASSERT_EQ(plan.destination_blocks().size(), 3U);
  EXPECT_EQ(plan.destination_blocks()[0], BlockId{0});
  EXPECT_EQ(plan.destination_blocks()[1], BlockId{3});
  EXPECT_EQ(plan.destination_blocks()[2], BlockId{6});
  RunCursor cursor = plan.cursor();
  std::vector<std::size_t> completed;
  for (kvferry::Run run; cursor.next(run);) {
    completed.push_back(cursor.completed_blocks());
  }
  EXPECT_EQ(completed, (std::vector<std::size_t>{0, 0, 1, 1, 1, 2, 2, 2, 3}));
}

/// How many blocks are complete after each run of at most `max_bytes`.
std::vector<std::size_t> completions(const CopyPlan& plan, std::uint64_t max_bytes) {
  RunCursor cursor = plan.cursor();
  std::vector<std::size_t> completed;
  for (kvferry::Run run; cursor.next(run, max_bytes);) {
    completed.push_back(cursor.completed_blocks());
  }
  return completed;
}

TEST(RunCursor, CompletesNeighboursOneByOneWhereTheirBytesComeOneAfterTheOther) {
  const Pairs blocks = test::pairs({2, 3, 4}, {5, 6, 7});
  const std::uint64_t block_bytes = 3 * 2 * 48;
  const LayoutView fc = view(Arrangement::kFullyContiguous);
  const LayoutView ls = view(Arrangement::kLayerSeparateBlockFirst);
  EXPECT_EQ(completions(plan_of(fc, fc, blocks), block_bytes / 2),
            (std::vector<std::size_t>{0, 1, 1, 2, 2, 3}));
  EXPECT_EQ(completions(plan_of(fc, ls, blocks), block_bytes / 3),
            (std::vector<std::size_t>{0, 0, 1, 1, 1, 2, 2, 2, 3}));
}

TEST(RunCursor, CompletesNeighboursAtTheEndWhereEachRunHoldsAPartOfAll) {
  const LayoutView ls2 = view(Arrangement::kLayerSeparateBlockSecond);
  EXPECT_EQ(completions(plan_of(ls2, ls2, test::pairs({2, 3, 4}, {5, 6, 7})), 3 * 48),
            (std::vector<std::size_t>{0, 0, 0, 0, 0, 3}));
  // All blocks of the only layer are one piece, in which the block comes second too.
  Model model;
  model.layers = 1;
  Shape shape;
  shape.arrangement = Arrangement::kLayerSeparateBlockSecond;
  const LayoutView region = test::layout_view(model, shape);
  const CopyPlan whole = plan_of(region, region, test::pairs({0, 1, 2, 3}, {0, 1, 2, 3}));
  EXPECT_EQ(whole.summary().runs, 1U);
  EXPECT_EQ(completions(whole, 2 * 48), (std::vector<std::size_t>{0, 0, 0, 4}));
}

TEST(RunCursor, CompletesABlockOfALargerPageWithItsLastSource) {
  const CopyPlan plan = plan_of(view(Arrangement::kFullyContiguous, InnerShape::kNhd, 2),
                                view(Arrangement::kFullyContiguous, InnerShape::kNhd, 4),
                                test::pairs({5, 0, 7, 2}, {3, 1}));
  EXPECT_EQ(plan.destination_blocks()[0], BlockId{3}) << "in the order of the caller";
  RunCursor cursor = plan.cursor();
  std::size_t steps = 0;
  std::size_t half = 0;
  for (kvferry::Run run; cursor.next(run, 1); ++steps) {
    half += cursor.completed_blocks() == 0 ? 1 : 0;
  }
  EXPECT_EQ(steps, plan.total_bytes());
  EXPECT_EQ(half, (plan.total_bytes() / 2) - 1);
}

TEST(RunCursor, DoesNotAllocate) {
  const std::vector<Arrangement> all{Arrangement::kFullyContiguous,
                                     Arrangement::kLayerSeparateBlockFirst,
                                     Arrangement::kLayerSeparateBlockSecond};
  for (const Arrangement from : all) {
    for (const Arrangement to : all) {
      for (const std::uint64_t page : {4U, 8U}) {
        const CopyPlan plan = plan_of(view(from), view(to, InnerShape::kHnd, page),
                                      page == 4 ? test::pairs({0, 1, 2, 7}, {4, 5, 6, 1})
                                                : test::pairs({0, 1, 2, 7}, {4, 5}));
        const std::uint64_t before = test::allocations();
        std::uint64_t bytes = 0;
        RunCursor cursor = plan.cursor();
        for (kvferry::Run run; cursor.next(run, 7);) {
          bytes += run.total_bytes();
        }
        EXPECT_EQ(test::allocations(), before);
        EXPECT_EQ(bytes, plan.total_bytes());
      }
    }
  }
  const std::uint64_t before = test::allocations();
  // Called by name: the compiler may leave out a new-expression whose result nobody looks at.
  ::operator delete(::operator new(3));
  EXPECT_GT(test::allocations(), before) << "the counter counts";
}

TEST(RunCursorDeathTest, AssertsThatARunMayHaveBytes) {
  const CopyPlan plan = transposing_plan();
  RunCursor cursor = plan.cursor();
  kvferry::Run run;
  EXPECT_DEATH((void)cursor.next(run, 0), "");
}

}  // namespace
}  // namespace kvferry::plan
