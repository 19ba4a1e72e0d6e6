// SPDX-License-Identifier: Apache-2.0
// Goal: a memory map says of each layout what its view says, once, whatever the view is.
// Method: maps of small views, looked at as text; what they look like is measured end to end.
#include "map_drawing.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "drawn_views.hpp"

namespace kvferry::tool {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

MapLayout map_of(std::optional<layout::LayoutView> view) {
  MapLayout map;
  map.title = "Layout 7";
  map.view = std::move(view);
  map.has_memory = true;
  return map;
}

std::string drawing_of(std::vector<MapLayout> layouts) {
  MapContent content;
  content.title = "Memory map";
  content.layouts = std::move(layouts);
  return draw_map(content);
}

TEST(MapDrawing, SaysWhatLiesInsideWhat) {
  const std::string drawing = drawing_of({map_of(four_region_view())});
  for (const char* text :
       {"region 0: layer 0, K", "region 3: layer 1, V", "region 0 (layer 0, K), 64 B: 4 blocks",
        "block 0, 16 B: 2 tokens of 8 B", "token 0, 8 B: 2 heads of 4 B", "64 B at 0x1000",
        "80 B, 16 B unused at 0x3000", "a region for each layer and K and V; in it block, token"}) {
    EXPECT_THAT(drawing, HasSubstr(text));
  }
}

TEST(MapDrawing, ShowsPaddingBetweenBlocks) {
  EXPECT_THAT(drawing_of({map_of(padded_view())}),
              HasSubstr("4 blocks of 16 B, with 8 B unused after each"));
}

TEST(MapDrawing, AnOpaqueBlockIsNotTakenApart) {
  const std::string drawing = drawing_of({map_of(view_of_spec("fc,order=hnd").collapsed())});
  EXPECT_THAT(drawing, HasSubstr("opaque, packed as HND: 16 tokens of 192 elements of 2 B"));
  EXPECT_THAT(drawing, Not(HasSubstr("token 0")));
}

TEST(MapDrawing, TheSameInsideIsDrawnOnce) {
  const std::string drawing = drawing_of({map_of(padded_view()), map_of(padded_view())});
  EXPECT_THAT(drawing, HasSubstr("Inside as in Layout 7, above"));
  EXPECT_THAT(drawing_of({map_of(padded_view()), map_of(four_region_view())}),
              Not(HasSubstr("Inside as in")));
}

TEST(MapDrawing, SaysWhyALayoutCannotBeDrawn) {
  MapLayout broken = map_of(std::nullopt);
  broken.refusal = "page_size: 0 is not at least 1 <b>";
  EXPECT_THAT(drawing_of({broken}),
              HasSubstr("Cannot be drawn: page_size: 0 is not at least 1 &lt;b&gt;"));
}

TEST(MapDrawing, SaysHowRegionsLie) {
  const auto text = [](std::vector<Region> regions) {
    layout::LayoutView::Parts parts;
    parts.axes[1] = {regions.size(), 0, 0, regions.size(), 1};  // A layer each.
    parts.regions = std::move(regions);
    parts.axes[5] = {4, 2, 0, 4, 0};
    parts.element_bytes = 2;
    parts.page_size = 1;
    parts.inner_dim = 4;
    return regions_text(*layout::LayoutView::create(parts), true);
  };
  EXPECT_EQ(text({{0, 8}}), "one region of 8 B");
  EXPECT_EQ(text({{8, 8}, {0, 8}}), "2 regions of 8 B, one right behind the other");
  EXPECT_EQ(text({{0, 8}, {16, 9}}), "2 regions of 8 B to 9 B, 8 B apart");
  EXPECT_EQ(text({{0, 8}, {8, 8}, {116, 8}}), "3 regions of 8 B, 0 B to 100 B apart");
  EXPECT_EQ(text({{0, 8}, {4, 8}}), "2 regions of 8 B, some of which overlap");
}

}  // namespace
}  // namespace kvferry::tool
