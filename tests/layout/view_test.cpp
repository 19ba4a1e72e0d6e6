// SPDX-License-Identifier: Apache-2.0
// Goal: a view finds each element where its layout says, slices know their part of the model, and
//       nothing that overlaps, leaves its region or contradicts itself becomes a view.
// Method: views of small layouts against Layout::region; parts broken one at a time.
#include "kvferry/layout/view.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "vectors.hpp"

namespace kvferry::layout {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

LayoutConfig small_config() {
  LayoutConfig config;
  config.num_blocks = 3;
  config.num_layers = 4;
  config.outer_dim = 2;
  config.page_size = 4;
  config.inner_dim = 6;
  config.inner_shape = InnerShape::kNhd;
  config.num_heads = 3;
  return config;
}

LayoutView view_with(const LayoutConfig& config, Arrangement arrangement) {
  return view_of(
             Layout::create(config, arrangement, test::regions_for(config, arrangement)).value())
      .value();
}

Place place_of(std::array<std::uint64_t, kAxisCount> at) {
  Place place;
  for (std::size_t i = 0; i < kAxisCount; ++i) {
    place[static_cast<Axis>(i)] = at[i];
  }
  return place;
}

/// Told apart: 2 blocks, 2 layers, 2 outers, 4 tokens, 3 heads, 2 elements of 2 bytes, NHD.
LayoutView::Parts good_parts() {
  LayoutView::Parts parts;
  parts.regions = {Region{4096, 400}};
  parts.axes = {AxisSpan{2, 192, 0, 2}, AxisSpan{2, 96, 0, 2}, AxisSpan{2, 48, 0, 2},
                AxisSpan{4, 12, 0, 4},  AxisSpan{3, 4, 0, 3},  AxisSpan{2, 2, 0, 2}};
  parts.element_bytes = 2;
  parts.page_size = 4;
  parts.inner_dim = 6;
  return parts;
}

AxisSpan& span_of(LayoutView::Parts& parts, Axis axis) {
  return parts.axes[static_cast<std::size_t>(axis)];
}

/// The same with a region for K and another for V of each layer.
LayoutView::Parts split_parts() {
  LayoutView::Parts parts = good_parts();
  parts.regions.assign(4, Region{4096, 96});
  span_of(parts, Axis::kBlock).stride_bytes = 48;
  span_of(parts, Axis::kLayer) = AxisSpan{2, 0, 0, 2, 2};
  span_of(parts, Axis::kOuter) = AxisSpan{2, 0, 0, 2, 1};
  return parts;
}

std::string refusal(LayoutView::Parts parts) {
  const Result<LayoutView> view = LayoutView::create(std::move(parts));
  if (view) {
    return "accepted";
  }
  EXPECT_EQ(view.error().code, ErrorCode::kInvalidArgument);
  return view.error().message;
}

std::string refusal_after(const std::function<void(LayoutView::Parts&)>& change) {
  LayoutView::Parts parts = good_parts();
  change(parts);
  return refusal(std::move(parts));
}

TEST(LayoutView, TellsAllSixAxesOfAnNhdLayout) {
  const LayoutView view = view_with(small_config(), Arrangement::kFullyContiguous);
  EXPECT_EQ(view.axis(Axis::kBlock), (AxisSpan{3, 4 * 2 * 48, 0, 3}));
  EXPECT_EQ(view.axis(Axis::kLayer), (AxisSpan{4, 2 * 48, 0, 4}));
  EXPECT_EQ(view.axis(Axis::kOuter), (AxisSpan{2, 48, 0, 2}));
  EXPECT_EQ(view.axis(Axis::kToken), (AxisSpan{4, 12, 0, 4}));
  EXPECT_EQ(view.axis(Axis::kHead), (AxisSpan{3, 4, 0, 3}));
  EXPECT_EQ(view.axis(Axis::kElement), (AxisSpan{2, 2, 0, 2}));
  EXPECT_FALSE(view.is_opaque());
  EXPECT_EQ(view.packing(), "");
  EXPECT_EQ(view.first_region(), 0U);
  EXPECT_EQ(view.page_size(), 4U);
  EXPECT_EQ(view.inner_dim(), 6U);
  EXPECT_EQ(view.element_bytes(), 2U);
  EXPECT_EQ(view.offset_bytes(), 0U);
}

TEST(LayoutView, PutsHeadsOutsideTokensInAnHndLayout) {
  LayoutConfig config = small_config();
  config.inner_shape = InnerShape::kHnd;
  const LayoutView view = view_with(config, Arrangement::kLayerSeparateBlockSecond);
  EXPECT_EQ(view.regions().size(), 4U);
  EXPECT_EQ(view.axis(Axis::kBlock), (AxisSpan{3, 48, 0, 3}));
  EXPECT_EQ(view.axis(Axis::kLayer), (AxisSpan{4, 0, 0, 4, 1}));
  EXPECT_EQ(view.axis(Axis::kOuter), (AxisSpan{2, 3 * 48, 0, 2}));
  EXPECT_EQ(view.axis(Axis::kToken), (AxisSpan{4, 4, 0, 4}));
  EXPECT_EQ(view.axis(Axis::kHead), (AxisSpan{3, 16, 0, 3}));
  EXPECT_EQ(view.axis(Axis::kElement), (AxisSpan{2, 2, 0, 2}));
}

TEST(LayoutView, IsOpaqueWhereOrderOrHeadsAreNotSaid) {
  struct Case {
    InnerShape shape;
    std::optional<std::uint64_t> heads;
    std::string packing;
  };
  for (const Case& c :
       {Case{InnerShape::kUnknown, std::nullopt, "Unknown"},
        Case{InnerShape::kUnknown, 3, "Unknown"}, Case{InnerShape::kNhd, std::nullopt, "NHD"},
        Case{InnerShape::kHnd, std::nullopt, "HND"}}) {
    LayoutConfig config = small_config();
    config.inner_shape = c.shape;
    config.num_heads = c.heads;
    const LayoutView view = view_with(config, Arrangement::kLayerSeparateBlockFirst);
    EXPECT_TRUE(view.is_opaque());
    EXPECT_EQ(view.packing(), c.packing);
    EXPECT_EQ(view.axis(Axis::kToken).extent, 1U);
    EXPECT_EQ(view.axis(Axis::kHead).extent, 1U);
    EXPECT_EQ(view.axis(Axis::kElement), (AxisSpan{24, 2, 0, 24}));
    EXPECT_EQ(view.page_size(), 4U);
    EXPECT_EQ(view.inner_dim(), 6U);
  }
}

TEST(LayoutViewSlice, TakesLayersOfOneRegion) {
  const LayoutView view = view_with(small_config(), Arrangement::kFullyContiguous);
  const LayoutView part = view.slice(Axis::kLayer, 1, 2).value();
  EXPECT_EQ(part.axis(Axis::kLayer), (AxisSpan{2, 96, 1, 4}));
  EXPECT_EQ(part.offset_bytes(), 96U);
  EXPECT_EQ(part.locate(place_of({2, 0, 1, 3, 2, 1})), view.locate(place_of({2, 1, 1, 3, 2, 1})));
}

TEST(LayoutViewSlice, BeginsAtALaterRegionWhereLayersHaveTheirOwn) {
  const LayoutView view = view_with(small_config(), Arrangement::kLayerSeparateBlockFirst);
  const LayoutView part = view.slice(Axis::kLayer, 1, 2).value();
  EXPECT_EQ(part.regions().size(), 4U);
  EXPECT_EQ(part.first_region(), 1U);
  EXPECT_EQ(part.offset_bytes(), 0U);
  EXPECT_EQ(part.axis(Axis::kLayer), (AxisSpan{2, 0, 1, 4, 1}));
  EXPECT_EQ(part.locate(place_of({2, 1, 1, 3, 2, 1})), view.locate(place_of({2, 2, 1, 3, 2, 1})));
}

TEST(LayoutViewSlice, TakesKOrVOfRegionsThatHoldOneEach) {
  const LayoutView view = LayoutView::create(split_parts()).value();
  const LayoutView values =
      view.slice(Axis::kOuter, 1, 1).value().slice(Axis::kLayer, 1, 1).value();
  EXPECT_EQ(values.first_region(), 3U);
  EXPECT_EQ(values.locate(place_of({1, 0, 0, 2, 1, 0})), view.locate(place_of({1, 1, 1, 2, 1, 0})));
}

TEST(LayoutViewSlice, TakesHeadsAndNarrowsTheInnerDimension) {
  for (const InnerShape shape : {InnerShape::kNhd, InnerShape::kHnd}) {
    LayoutConfig config = small_config();
    config.inner_shape = shape;
    const LayoutView view = view_with(config, Arrangement::kFullyContiguous);
    const LayoutView part = view.slice(Axis::kHead, 1, 2).value();
    EXPECT_EQ(part.axis(Axis::kHead).extent, 2U);
    EXPECT_EQ(part.axis(Axis::kHead).origin, 1U);
    EXPECT_EQ(part.axis(Axis::kHead).whole, 3U);
    EXPECT_EQ(part.inner_dim(), 4U);
    EXPECT_EQ(part.page_size(), 4U);
    EXPECT_EQ(part.locate(place_of({1, 3, 0, 2, 0, 0})), view.locate(place_of({1, 3, 0, 2, 1, 0})));
  }
}

TEST(LayoutViewSlice, OfASliceCountsFromTheWholeModel) {
  const LayoutView view = view_with(small_config(), Arrangement::kLayerSeparateBlockSecond);
  const LayoutView part = view.slice(Axis::kLayer, 1, 3).value().slice(Axis::kLayer, 1, 2).value();
  EXPECT_EQ(part.axis(Axis::kLayer), (AxisSpan{2, 0, 2, 4, 1}));
  EXPECT_EQ(part.first_region(), 2U);
}

TEST(LayoutViewSlice, OnSeveralAxesMovesTheBeginningByEach) {
  const LayoutView view = view_with(small_config(), Arrangement::kFullyContiguous);
  const LayoutView part = view.slice(Axis::kLayer, 1, 3)
                              .value()
                              .slice(Axis::kLayer, 1, 2)
                              .value()
                              .slice(Axis::kHead, 2, 1)
                              .value();
  EXPECT_EQ(part.axis(Axis::kLayer), (AxisSpan{2, 96, 2, 4}));
  EXPECT_EQ(part.locate(place_of({1, 1, 0, 3, 0, 0})), view.locate(place_of({1, 3, 0, 3, 2, 0})));
}

TEST(LayoutViewSlice, ShortensTheBlockInTokens) {
  const LayoutView view = view_with(small_config(), Arrangement::kFullyContiguous);
  const LayoutView part = view.slice(Axis::kToken, 1, 2).value();
  EXPECT_EQ(part.page_size(), 2U);
  EXPECT_EQ(part.axis(Axis::kToken), (AxisSpan{2, 12, 1, 4}));
}

// The one token and head of an opaque view stand for a whole block: taking them changes nothing.
TEST(LayoutViewSlice, OfAnOpaqueViewKeepsItsPageAndInnerDimension) {
  LayoutConfig config = small_config();
  config.num_heads.reset();
  const LayoutView view = view_with(config, Arrangement::kFullyContiguous);
  for (const Axis axis : {Axis::kToken, Axis::kHead}) {
    const LayoutView same = view.slice(axis, 0, 1).value();
    EXPECT_EQ(same.page_size(), 4U) << to_string(axis);
    EXPECT_EQ(same.inner_dim(), 6U) << to_string(axis);
  }
}

TEST(LayoutViewSlice, RefusesRangesThatAreEmptyLeaveTheAxisOrCutTheElements) {
  const LayoutView view = view_with(small_config(), Arrangement::kFullyContiguous);
  const auto message = [&view](Axis axis, std::uint64_t first, std::uint64_t count) {
    const auto refused = view.slice(axis, first, count);
    EXPECT_FALSE(refused.has_value()) << to_string(axis) << " " << first << " " << count;
    return refused ? std::string{} : refused.error().message;
  };
  EXPECT_EQ(message(Axis::kLayer, 1, 0), "layer axis: cannot take 0 from 1 of 4");
  EXPECT_EQ(message(Axis::kLayer, 1, 4), "layer axis: cannot take 4 from 1 of 4");
  EXPECT_EQ(message(Axis::kHead, 4, 1), "head axis: cannot take 1 from 4 of 3");
  EXPECT_EQ(message(Axis::kBlock, kMax, 2),
            "block axis: cannot take 2 from 18446744073709551615 of 3");
  EXPECT_EQ(message(Axis::kBlock, 2, kMax),
            "block axis: cannot take 18446744073709551615 from 2 of 3");
  EXPECT_EQ(message(Axis::kElement, 0, 1), "element axis: cannot take 1 from 0 of 2");
}

/// K of all layers, then V of all layers, as several engines keep them: the part's regions are no
/// run of the whole's.
TEST(LayoutViewAlone, HasTheRegionsOfItsPlacesAndNoOthers) {
  LayoutView::Parts parts = split_parts();
  parts.regions.clear();
  for (std::uint64_t i = 0; i < 8; ++i) {
    parts.regions.push_back({4096 * (i + 1), 96});
  }
  span_of(parts, Axis::kLayer) = AxisSpan{4, 0, 0, 4, 1};
  span_of(parts, Axis::kOuter) = AxisSpan{2, 0, 0, 2, 4};
  const LayoutView whole = *LayoutView::create(parts);
  for (std::uint64_t count = 1; count <= 4; ++count) {
    for (std::uint64_t first = 0; first + count <= 4; ++first) {
      SCOPED_TRACE(std::to_string(first) + ", " + std::to_string(count));
      const LayoutView part = *whole.slice(Axis::kLayer, first, count);
      const auto alone = part.alone();
      ASSERT_TRUE(alone) << alone.error().message;
      EXPECT_EQ(alone->regions().size(), 2 * count);
      for (std::uint64_t layer = 0; layer < count; ++layer) {
        for (std::uint64_t outer = 0; outer < 2; ++outer) {
          Place place;
          place[Axis::kBlock] = 1;
          place[Axis::kLayer] = layer;
          place[Axis::kOuter] = outer;
          const Location at = alone->locate(place);
          const Location was = part.locate(place);
          EXPECT_EQ(alone->regions()[at.region], whole.regions()[was.region]);
          EXPECT_EQ(at.offset_bytes, was.offset_bytes);
        }
      }
      EXPECT_TRUE(alone->alone()) << "once more";
    }
  }
  EXPECT_EQ(*whole.alone()->regions().begin(), whole.regions()[0]);
}

TEST(LayoutViewCollapsed, NamesTheOrderInWhichABlockIsPacked) {
  for (const InnerShape shape : {InnerShape::kNhd, InnerShape::kHnd}) {
    LayoutConfig config = small_config();
    config.inner_shape = shape;
    const LayoutView view = view_with(config, Arrangement::kLayerSeparateBlockFirst);
    const std::optional<LayoutView> packed = view.collapsed();
    ASSERT_TRUE(packed.has_value());
    EXPECT_EQ(packed->packing(), to_string(shape));
    EXPECT_EQ(packed->axis(Axis::kElement), (AxisSpan{24, 2, 0, 24}));
    EXPECT_EQ(packed->axis(Axis::kToken).extent, 1U);
    EXPECT_EQ(packed->axis(Axis::kHead).extent, 1U);
    EXPECT_EQ(packed->page_size(), 4U);
    EXPECT_EQ(packed->inner_dim(), 6U);
    EXPECT_EQ(packed->axis(Axis::kBlock), view.axis(Axis::kBlock));
    EXPECT_EQ(packed->locate(place_of({2, 3, 1, 0, 0, 0})),
              view.locate(place_of({2, 3, 1, 0, 0, 0})));
  }
}

TEST(LayoutViewCollapsed, OfAnOpaqueViewIsItself) {
  LayoutConfig config = small_config();
  config.inner_shape = InnerShape::kUnknown;
  const LayoutView view = view_with(config, Arrangement::kFullyContiguous);
  EXPECT_EQ(view.collapsed()->packing(), "Unknown");
  EXPECT_EQ(view.collapsed()->axis(Axis::kElement), view.axis(Axis::kElement));
}

TEST(LayoutViewCollapsed, IsNothingWhereTokensAndHeadsAreNotContiguous) {
  const LayoutView view = view_with(small_config(), Arrangement::kFullyContiguous);
  EXPECT_FALSE(view.slice(Axis::kHead, 1, 2).value().collapsed().has_value());
  EXPECT_TRUE(view.slice(Axis::kToken, 1, 2).value().collapsed().has_value());
  LayoutView::Parts padded = good_parts();
  padded.regions = {Region{4096, 800}};
  for (const Axis axis : {Axis::kBlock, Axis::kLayer, Axis::kOuter, Axis::kToken, Axis::kHead}) {
    span_of(padded, axis).stride_bytes *= 2;
  }
  EXPECT_FALSE(LayoutView::create(padded).value().collapsed().has_value());
}

TEST(LayoutViewCreate, AcceptsWhatFitsToTheLastByte) {
  EXPECT_EQ(refusal(good_parts()), "accepted");
  EXPECT_EQ(refusal_after([](auto& parts) { parts.regions[0].size_bytes = 384; }), "accepted");
  EXPECT_EQ(refusal_after([](auto& parts) {
              parts.regions[0].size_bytes = 384 + 7;
              parts.offset_bytes = 7;
            }),
            "accepted");
}

TEST(LayoutViewCreate, RefusesAViewThatLeavesItsRegionByOneByte) {
  EXPECT_THAT(refusal_after([](auto& parts) { parts.regions[0].size_bytes = 383; }),
              StartsWith("region 0: the axes span 384 bytes from offset 0, it has 383"));
  EXPECT_THAT(refusal_after([](auto& parts) { parts.offset_bytes = 17; }),
              StartsWith("region 0: the axes span 384 bytes from offset 17, it has 400"));
  EXPECT_THAT(refusal_after([](auto& parts) { parts.offset_bytes = kMax; }),
              StartsWith("region 0: "));
}

TEST(LayoutViewCreate, RefusesARegionThatEndsPastTheLastAddress) {
  EXPECT_EQ(refusal_after([](auto& parts) { parts.regions[0].address = kMax - 400; }), "accepted");
  EXPECT_THAT(refusal_after([](auto& parts) { parts.regions[0].address = kMax - 398; }),
              HasSubstr("region 0: 400 bytes at address 18446744073709551217 end past the last"));
}

TEST(LayoutViewCreate, RefusesAnExtentOfZeroNamingTheAxis) {
  for (std::size_t i = 0; i < kAxisCount; ++i) {
    const Axis axis = static_cast<Axis>(i);
    EXPECT_EQ(refusal_after([axis](auto& parts) { span_of(parts, axis).extent = 0; }),
              std::string{to_string(axis)} + " axis: extent 0 is not at least 1");
  }
}

TEST(LayoutViewCreate, RefusesStridesByWhichPlacesOverlapNamingTheAxis) {
  for (const Axis axis : {Axis::kBlock, Axis::kLayer, Axis::kOuter, Axis::kToken, Axis::kHead}) {
    for (const std::uint64_t stride : {std::uint64_t{0}, std::uint64_t{1}}) {
      EXPECT_THAT(refusal_after(
                      [axis, stride](auto& parts) { span_of(parts, axis).stride_bytes = stride; }),
                  StartsWith(std::string{to_string(axis)} + " axis: stride " +
                             std::to_string(stride) + " is less than the"));
    }
    EXPECT_THAT(refusal_after([axis](auto& parts) { --span_of(parts, axis).stride_bytes; }),
                HasSubstr(std::string{to_string(axis)} + " axis: stride"));
  }
}

TEST(LayoutViewCreate, RefusesExtentsAndStridesThatOverflow) {
  for (const std::uint64_t extent : {std::uint64_t{1} << 63U, kMax, std::uint64_t{1} << 60U}) {
    for (const Axis axis : {Axis::kBlock, Axis::kLayer, Axis::kOuter, Axis::kToken, Axis::kHead}) {
      EXPECT_NE(refusal_after([axis, extent](auto& parts) {
                  AxisSpan& span = span_of(parts, axis);
                  span.extent = span.whole = extent;
                }),
                "accepted")
          << to_string(axis) << " " << extent;
    }
    EXPECT_THAT(refusal_after([extent](auto& parts) {
                  span_of(parts, Axis::kBlock).extent = extent;
                  span_of(parts, Axis::kBlock).whole = extent;
                }),
                StartsWith("block axis: extent " + std::to_string(extent) +
                           " x stride 192 does not fit into 64 bits"));
  }
  EXPECT_THAT(
      refusal_after([](auto& parts) { span_of(parts, Axis::kBlock).stride_bytes = kMax; }),
      StartsWith("block axis: extent 2 x stride 18446744073709551615 does not fit into 64 bits"));
}

TEST(LayoutViewCreate, RefusesAPartThatIsNotInTheWholeModel) {
  for (std::size_t i = 0; i + 1 < kAxisCount; ++i) {
    const Axis axis = static_cast<Axis>(i);
    EXPECT_THAT(refusal_after([axis](auto& parts) { ++span_of(parts, axis).origin; }),
                HasSubstr(std::string{to_string(axis)} + " axis: origin 1 and extent"));
    EXPECT_THAT(refusal_after([axis](auto& parts) { span_of(parts, axis).origin = kMax; }),
                HasSubstr(std::string{to_string(axis)} + " axis: origin 18446744073709551615"));
    EXPECT_EQ(refusal_after([axis](auto& parts) {
                span_of(parts, axis).origin = 5;
                span_of(parts, axis).whole = 9;
              }),
              "accepted");
  }
}

TEST(LayoutViewCreate, RefusesElementsThatAreNotContiguousOrNotAllOfAHead) {
  EXPECT_THAT(refusal_after([](auto& parts) { span_of(parts, Axis::kElement).stride_bytes = 4; }),
              StartsWith("element axis: stride 4 is not the element's 2 bytes"));
  EXPECT_THAT(refusal_after([](auto& parts) {
                parts.element_bytes = 0;
                span_of(parts, Axis::kElement).stride_bytes = 0;
              }),
              StartsWith("element axis: "));
  EXPECT_THAT(refusal_after([](auto& parts) { span_of(parts, Axis::kElement).whole = 4; }),
              StartsWith("element axis: "));
}

TEST(LayoutViewCreate, RefusesAPageOrInnerDimensionThatContradictsTheAxes) {
  EXPECT_THAT(refusal_after([](auto& parts) { parts.page_size = 8; }), HasSubstr("page_size 8"));
  EXPECT_THAT(refusal_after([](auto& parts) { parts.inner_dim = 4; }), HasSubstr("inner_dim 4"));
  // An opaque view is one token and one head of page_size x inner_dim elements.
  const auto opaque = [](std::uint64_t page, std::uint64_t inner) {
    LayoutView::Parts parts = good_parts();
    span_of(parts, Axis::kToken) = span_of(parts, Axis::kHead) = AxisSpan{1, 0, 0, 1};
    span_of(parts, Axis::kElement) = AxisSpan{24, 2, 0, 24};
    parts.packing = "amx";
    parts.page_size = page;
    parts.inner_dim = inner;
    return refusal(parts);
  };
  EXPECT_EQ(opaque(4, 6), "accepted");
  EXPECT_EQ(opaque(8, 3), "accepted");
  EXPECT_NE(opaque(4, 4), "accepted");
  EXPECT_NE(opaque(std::uint64_t{1} << 63U, 48), "accepted");
  EXPECT_NE(refusal_after([](auto& parts) { parts.packing = "amx"; }), "accepted");
}

TEST(LayoutViewCreate, TakesARegionForEachPlaceOnTheRegionAxis) {
  for (const Axis axis : {Axis::kBlock, Axis::kLayer, Axis::kOuter, Axis::kToken, Axis::kHead}) {
    LayoutView::Parts parts = good_parts();
    AxisSpan& span = span_of(parts, axis);
    span.stride_bytes = 0;
    span.region_step = 1;
    parts.regions.assign(span.extent, Region{4096, 400});
    const LayoutView view = LayoutView::create(parts).value();
    Place place;
    place[axis] = span.extent - 1;
    EXPECT_EQ(view.locate(place), (Location{span.extent - 1, 0})) << to_string(axis);
    parts.regions.pop_back();
    EXPECT_THAT(refusal(parts), StartsWith("needs " + std::to_string(span.extent) + " regions"));
    parts.regions.assign(span.extent + 1, Region{4096, 400});
    EXPECT_THAT(refusal(parts), StartsWith("needs " + std::to_string(span.extent) + " regions"));
  }
}

TEST(LayoutViewCreate, TakesARegionForEachPlaceOnTwoAxes) {
  const LayoutView view = LayoutView::create(split_parts()).value();
  for (const std::uint64_t layer : {0U, 1U}) {
    for (const std::uint64_t outer : {0U, 1U}) {
      EXPECT_EQ(view.locate(place_of({1, layer, outer, 0, 0, 0})),
                (Location{layer * 2 + outer, 48}));
    }
  }
}

TEST(LayoutViewCreate, RefusesRegionStepsThatMeetOrLeaveRegionsOut) {
  const auto refused = [](std::uint32_t layer_step, std::uint32_t outer_step) {
    LayoutView::Parts parts = split_parts();
    span_of(parts, Axis::kLayer).region_step = layer_step;
    span_of(parts, Axis::kOuter).region_step = outer_step;
    return refusal(parts);
  };
  EXPECT_EQ(refused(1, 2), "accepted");
  EXPECT_THAT(refused(1, 1), StartsWith("outer axis: region step 1 is less than the 2 regions"));
  EXPECT_THAT(refused(2, 2), StartsWith("outer axis: region step 2 is less than the 3 regions"));
  EXPECT_THAT(refused(3, 1), StartsWith("needs 5 regions, has 4"));
  EXPECT_THAT(refused(1, 0), StartsWith("needs 2 regions, has 4"));
  LayoutView::Parts parts = split_parts();
  parts.first_region = 1;
  EXPECT_THAT(refusal(parts), StartsWith("needs 4 regions, has 4 of which the first is 1"));
}

TEST(LayoutViewCreate, RefusesARegionAxisThatHasAStrideOrIsTheElements) {
  EXPECT_THAT(refusal_after([](auto& parts) {
                span_of(parts, Axis::kLayer).region_step = 1;
                parts.regions.assign(2, Region{4096, 400});
              }),
              StartsWith("layer axis: stride 96 of an axis that steps over regions is not 0"));
  // Elements of one head are contiguous; they cannot lie in two regions.
  EXPECT_THAT(refusal_after([](auto& parts) {
                span_of(parts, Axis::kElement).region_step = 1;
                parts.regions.assign(2, Region{4096, 400});
              }),
              StartsWith("element axis: "));
}

TEST(Axis, HasTheNamesOfTheTerms) {
  EXPECT_EQ(to_string(Axis::kBlock), "block");
  EXPECT_EQ(to_string(Axis::kLayer), "layer");
  EXPECT_EQ(to_string(Axis::kOuter), "outer");
  EXPECT_EQ(to_string(Axis::kToken), "token");
  EXPECT_EQ(to_string(Axis::kHead), "head");
  EXPECT_EQ(to_string(Axis::kElement), "element");
}

}  // namespace
}  // namespace kvferry::layout
