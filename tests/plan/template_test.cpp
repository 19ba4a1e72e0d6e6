// SPDX-License-Identifier: Apache-2.0
// Goal: two views are aligned in the coordinates of the whole model; what is not covered, does not
//       fit or is out of range is refused with its name and range.
// Method: parts of one small model, and pages from outside.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "kvferry/plan/plan.hpp"
#include "model.hpp"

namespace kvferry::plan {
namespace {

using layout::Arrangement;
using layout::Axis;
using layout::InnerShape;
using layout::LayoutView;
using layout::Verdict;
using test::Model;
using test::Shape;
using ::testing::HasSubstr;

/// 8 layers, 2 outers, 4 heads.
Model model() {
  Model made;
  made.layers = 8;
  made.heads = 4;
  return made;
}

LayoutView whole(Arrangement arrangement = Arrangement::kFullyContiguous,
                 InnerShape order = InnerShape::kNhd) {
  Shape shape;
  shape.arrangement = arrangement;
  shape.order = order;
  return test::layout_view(model(), shape);
}

LayoutView part(Axis axis, std::uint64_t first, std::uint64_t count) {
  return whole().slice(axis, first, count).value();
}

std::string refusal(const LayoutView& source, const LayoutView& destination,
                    const TemplateOptions& options, ErrorCode code) {
  const auto shape = PlanTemplate::create(source, destination, options);
  if (shape) {
    return "accepted";
  }
  EXPECT_EQ(shape.error().code, code);
  return shape.error().message;
}

TEST(PlanTemplate, RefusesLayersPastTheModels) {
  const auto message = [](std::uint64_t first, std::uint64_t end) {
    return refusal(whole(), whole(), {{first, end}, true}, ErrorCode::kInvalidArgument);
  };
  EXPECT_EQ(message(0, 9), "layers 0:9: the model has 8");
  EXPECT_EQ(message(9, LayerRange::kAll), "layers 9:8: the model has 8");
  EXPECT_EQ(message(5, 3), "layers 5:3: the model has 8");
  EXPECT_EQ(message(LayerRange::kAll, LayerRange::kAll),
            "layers 18446744073709551615:8: the model has 8");
  EXPECT_EQ(message(0, 8), "accepted");
  EXPECT_EQ(message(8, 8), "accepted");
  EXPECT_EQ(message(0, 0), "accepted");
}

TEST(PlanTemplate, RefusesViewsThatCannotHoldEachOthersBytesWithTheReason) {
  Shape opaque;
  opaque.tells_heads = false;
  opaque.order = InnerShape::kHnd;
  EXPECT_THAT(refusal(whole(), test::layout_view(model(), opaque), {}, ErrorCode::kIncompatible),
              HasSubstr("inner_shape NHD against HND: format A tells no heads"));
  Model other = model();
  other.layers = 9;
  EXPECT_THAT(refusal(whole(), test::layout_view(other, Shape{}), {}, ErrorCode::kIncompatible),
              HasSubstr("num_layers 8 against 9"));
}

TEST(PlanTemplate, KeepsTheVerdict) {
  const auto verdict = [](const LayoutView& destination) {
    return PlanTemplate::create(whole(), destination).value()->compatibility().verdict;
  };
  EXPECT_EQ(verdict(whole()), Verdict::kIdentical);
  EXPECT_EQ(verdict(whole(Arrangement::kLayerSeparateBlockSecond)), Verdict::kCopyable);
  EXPECT_EQ(verdict(whole(Arrangement::kFullyContiguous, InnerShape::kHnd)),
            Verdict::kNeedsReordering);
}

TEST(PlanTemplate, RefusesWhatIsNotCoveredNamingTheFirstAxisAndRange) {
  const auto message = [](const LayoutView& source, const LayoutView& destination,
                          LayerRange layers = {}) {
    return refusal(source, destination, {layers, false}, ErrorCode::kIncompatible);
  };
  EXPECT_EQ(message(part(Axis::kLayer, 2, 6), whole()),
            "the source does not cover layers 0:2 of the destination's 0:8");
  EXPECT_EQ(message(part(Axis::kLayer, 0, 6), whole()),
            "the source does not cover layers 6:8 of the destination's 0:8");
  EXPECT_EQ(message(part(Axis::kLayer, 2, 2), whole()),
            "the source does not cover layers 0:2 of the destination's 0:8");
  EXPECT_EQ(message(part(Axis::kLayer, 0, 4), part(Axis::kLayer, 4, 4)),
            "the source does not cover layers 4:8 of the destination's 4:8");
  EXPECT_EQ(message(part(Axis::kLayer, 0, 6), whole(), {3, 7}),
            "the source does not cover layers 6:7 of the destination's 3:7");
  EXPECT_EQ(message(part(Axis::kHead, 1, 3), whole()),
            "the source does not cover heads 0:1 of the destination's 0:4");
  EXPECT_EQ(message(part(Axis::kHead, 0, 2), part(Axis::kHead, 1, 3)),
            "the source does not cover heads 2:4 of the destination's 1:4");
  EXPECT_EQ(message(part(Axis::kOuter, 0, 1), whole()),
            "the source does not cover outers 1:2 of the destination's 0:2");
  EXPECT_EQ(message(part(Axis::kOuter, 1, 1), part(Axis::kOuter, 0, 1)),
            "the source does not cover outers 0:1 of the destination's 0:1");
  const LayoutView both = part(Axis::kHead, 0, 2).slice(Axis::kLayer, 0, 7).value();
  EXPECT_EQ(message(both, whole()),
            "the source does not cover layers 7:8 of the destination's 0:8");
}

TEST(PlanTemplate, AcceptsASourceThatHoldsMoreThanIsWanted) {
  for (const LayoutView& destination :
       {part(Axis::kLayer, 3, 2), part(Axis::kHead, 2, 1), part(Axis::kOuter, 1, 1)}) {
    const auto shape = PlanTemplate::create(whole(), destination);
    ASSERT_TRUE(shape.has_value());
    EXPECT_EQ((*shape)->coverage(), 1.0);
  }
  EXPECT_TRUE(PlanTemplate::create(part(Axis::kLayer, 2, 3), whole(), {{2, 5}, false}).has_value());
}

TEST(PlanTemplate, TellsWhatPartOfTheDestinationIsCovered) {
  const auto coverage = [](const LayoutView& source, const LayoutView& destination,
                           LayerRange layers = {}) {
    return PlanTemplate::create(source, destination, {layers, true}).value()->coverage();
  };
  EXPECT_DOUBLE_EQ(coverage(part(Axis::kLayer, 2, 3), whole()), 3.0 / 8.0);
  EXPECT_DOUBLE_EQ(coverage(part(Axis::kLayer, 2, 3), whole(), {4, 8}), 1.0 / 4.0);
  EXPECT_DOUBLE_EQ(coverage(part(Axis::kHead, 1, 3), part(Axis::kHead, 0, 2)), 1.0 / 2.0);
  EXPECT_DOUBLE_EQ(coverage(part(Axis::kOuter, 1, 1), whole()), 1.0 / 2.0);
  EXPECT_DOUBLE_EQ(coverage(part(Axis::kHead, 0, 2).slice(Axis::kLayer, 0, 6).value(), whole()),
                   3.0 / 8.0);
  EXPECT_EQ(coverage(part(Axis::kLayer, 0, 4), part(Axis::kLayer, 4, 4)), 0.0);
}

TEST(PlanTemplate, GivesBothSidesCutToWhatTheyShare) {
  const auto shape = PlanTemplate::create(part(Axis::kHead, 1, 3), part(Axis::kLayer, 2, 4),
                                          {.layers = {3, 8}, .partial = true});
  ASSERT_TRUE(shape) << shape.error().message;
  for (const LayoutView& side : {(*shape)->source(), (*shape)->destination()}) {
    EXPECT_EQ(side.axis(Axis::kLayer).origin, 3U);
    EXPECT_EQ(side.axis(Axis::kLayer).extent, 3U);
    EXPECT_EQ(side.axis(Axis::kHead).origin, 1U);
    EXPECT_EQ(side.axis(Axis::kHead).extent, 3U);
  }
  const LayoutView whole_view = whole();
  EXPECT_TRUE(std::ranges::equal((*shape)->source().regions(), whole_view.regions()));
}

TEST(PlanTemplate, AnEmptySelectionIsCoveredWhateverTheSourceHolds) {
  for (const LayerRange layers : {LayerRange{0, 0}, LayerRange{3, 3}, LayerRange{8, 8}}) {
    const auto shape =
        PlanTemplate::create(part(Axis::kHead, 0, 1), part(Axis::kHead, 3, 1), {layers, false});
    ASSERT_TRUE(shape.has_value()) << shape.error().message;
    EXPECT_EQ((*shape)->coverage(), 1.0);
    const test::Pairs blocks = test::pairs({0, 1}, {2, 3});
    const CopyPlan plan = CopyPlan::create(*shape, blocks.view()).value();
    EXPECT_EQ(plan.total_bytes(), 0U);
    EXPECT_EQ(plan.summary().runs, 0U);
    EXPECT_EQ(plan.summary().coverage, 1.0);
    kvferry::Run run;
    EXPECT_FALSE(plan.cursor().next(run));
  }
  // Layers that the destination does not hold are not wanted either.
  const auto shape =
      PlanTemplate::create(part(Axis::kLayer, 0, 2), part(Axis::kLayer, 4, 4), {{0, 3}, false});
  ASSERT_TRUE(shape.has_value());
  EXPECT_EQ((*shape)->coverage(), 1.0);
}

/// A view of blocks of `page` tokens of one byte, over addresses that are not touched.
LayoutView bytes_view(std::uint64_t page) {
  layout::LayoutConfig config;
  config.num_blocks = config.num_layers = config.outer_dim = 1;
  config.inner_dim = config.dtype_width_bytes = 1;
  config.page_size = page;
  config.inner_shape = InnerShape::kNhd;
  config.num_heads = 1;
  return view_of(layout::Layout::create(config, Arrangement::kFullyContiguous, {{0, page}}).value())
      .value();
}

TEST(PlanTemplate, RefusesPagesThatMeetInTooManyWaysInBoundedTime) {
  const auto message = [](std::uint64_t from, std::uint64_t to) {
    return refusal(bytes_view(from), bytes_view(to), {}, ErrorCode::kIncompatible);
  };
  const std::uint64_t big = std::uint64_t{1} << 62U;
  EXPECT_EQ(message(1, 4096), "accepted");
  EXPECT_EQ(message(4096, 1), "accepted");
  EXPECT_EQ(message(1, 4097), "page_size 1 against 4097: pages meet in more than 4096 ways");
  EXPECT_EQ(message(2048, 2049), "accepted");
  EXPECT_THAT(message(2049, 2050), HasSubstr("more than 4096 ways"));
  EXPECT_THAT(message(big, big + 1), HasSubstr("more than 4096 ways"));
  EXPECT_THAT(message(big - 1, 3), HasSubstr("more than 4096 ways"));
  EXPECT_EQ(message(big, big), "accepted");
  EXPECT_EQ(message(big, 2 * big), "accepted");
}

}  // namespace
}  // namespace kvferry::plan
