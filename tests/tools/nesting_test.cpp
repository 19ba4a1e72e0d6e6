// SPDX-License-Identifier: Apache-2.0
// Goal: what lies inside what, and what each byte is called, is what the view's own locate() says.
// Method: views of every arrangement and order, with every place looked up and back.
#include "nesting.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "drawn_views.hpp"

namespace kvferry::tool {
namespace {

using layout::Axis;
using layout::LayoutView;
using layout::Place;
using ::testing::ElementsAre;

/// Calls `look` with each place of `view`.
template <class Look>
void for_each_place(const LayoutView& view, const Look& look) {
  std::uint64_t count{1};
  for (std::size_t i = 0; i < layout::kAxisCount; ++i) {
    count *= view.axis(static_cast<Axis>(i)).extent;
  }
  for (std::uint64_t n = 0; n < count; ++n) {
    Place place;
    std::uint64_t rest{n};
    for (std::size_t i = 0; i < layout::kAxisCount; ++i) {
      const Axis axis = static_cast<Axis>(i);
      place[axis] = rest % view.axis(axis).extent;
      rest /= view.axis(axis).extent;
    }
    look(place);
  }
}

TEST(Nesting, FindsThePlaceOfEachByteThatLocateGives) {
  for (const LayoutView& view : views_of_every_kind()) {
    for_each_place(view, [&](const Place& place) {
      const auto found = place_at(view, view.locate(place));
      ASSERT_TRUE(found);
      for (std::size_t i = 0; i < layout::kAxisCount; ++i) {
        EXPECT_EQ((*found)[static_cast<Axis>(i)], place[static_cast<Axis>(i)]);
      }
    });
  }
}

TEST(Nesting, ExtentsAreEachByteOfTheViewOnce) {
  for (const LayoutView& view : views_of_every_kind()) {
    for (const LayoutView& part : {view, *view.slice(Axis::kBlock, 1, 1)}) {
      std::set<std::pair<std::size_t, std::uint64_t>> bytes;
      for_each_place(part, [&](const Place& place) {
        const layout::Location at = part.locate(place);
        for (std::uint64_t byte = 0; byte < part.element_bytes(); ++byte) {
          bytes.emplace(at.region, at.offset_bytes + byte);
        }
      });
      const Extents extents = extents_of(part, 1'000'000);
      EXPECT_EQ(extents.count, extents.first.size());
      EXPECT_TRUE(std::ranges::is_sorted(extents.first));
      std::size_t covered{0};
      for (const Extent& extent : extents.first) {
        for (std::uint64_t byte = 0; byte < extent.bytes; ++byte) {
          EXPECT_TRUE(bytes.contains({extent.region, extent.offset_bytes + byte}));
        }
        covered += extent.bytes;
      }
      EXPECT_EQ(covered, bytes.size());
    }
  }
}

TEST(Nesting, PutsTheAxesInTheOrderOfMemory) {
  const auto axes_of = [](const LayoutView& view) {
    std::vector<Axis> axes;
    for (const Level& level : nesting_of(view).inside) {
      axes.push_back(level.axis);
    }
    return axes;
  };
  EXPECT_THAT(axes_of(view_of_spec("fc,order=hnd")),
              ElementsAre(Axis::kBlock, Axis::kLayer, Axis::kOuter, Axis::kHead, Axis::kToken,
                          Axis::kElement));
  EXPECT_THAT(axes_of(view_of_spec("fc,order=utp")),
              ElementsAre(Axis::kBlock, Axis::kHead, Axis::kLayer, Axis::kOuter, Axis::kToken,
                          Axis::kElement));
  const LayoutView second = view_of_spec("ls2");
  EXPECT_THAT(axes_of(second),
              ElementsAre(Axis::kOuter, Axis::kBlock, Axis::kToken, Axis::kHead, Axis::kElement));
  ASSERT_EQ(nesting_of(second).regions.size(), 1U);
  EXPECT_EQ(nesting_of(second).regions.front().axis, Axis::kLayer);
}

TEST(Nesting, BytesOfPaddingAreNoPlace) {
  const LayoutView view = padded_view();
  EXPECT_TRUE(place_at(view, {0, 0}));
  EXPECT_FALSE(place_at(view, {0, 16}));  // Behind block 0.
  EXPECT_FALSE(place_at(view, {1, 0}));
  EXPECT_FALSE(place_at(view, {0, 1'000'000}));
}

TEST(Nesting, NamesWhatARangeIs) {
  const LayoutView view = view_of_spec("fc");  // 30 layers, K and V, 16 tokens, 3 heads of 64.
  constexpr std::uint64_t kRow = 3 * 64 * 2;
  constexpr std::uint64_t kLayer = 2 * 16 * kRow;
  EXPECT_THAT(names_of(view, {0, 30 * kLayer, 30 * kLayer}), ElementsAre("block 1"));
  EXPECT_THAT(names_of(view, {0, 2 * kLayer, kLayer}), ElementsAre("block 0", "layer 2"));
  EXPECT_THAT(names_of(view, {0, kLayer / 2, kLayer / 2}), ElementsAre("block 0", "layer 0", "V"));
  EXPECT_THAT(names_of(view, {0, 8 * kRow, 8 * kRow}),
              ElementsAre("block 0", "layer 0", "K", "tokens 8-15"));
  EXPECT_TRUE(names_of(view, {0, std::uint64_t{1} << 60, 1}).empty());
  // Layers and heads are those of the whole model.
  EXPECT_THAT(names_of(view_of_spec("ls,pp=1/2"), {3, 0, 2 * kLayer / 2}),
              ElementsAre("layer 18", "block 0"));
}

TEST(Nesting, WritesSizesShort) {
  EXPECT_EQ(size_text(0), "0 B");
  EXPECT_EQ(size_text(65'536), "64 KiB");
  EXPECT_EQ(size_text(1'536), "1.5 KiB");
}

}  // namespace
}  // namespace kvferry::tool
