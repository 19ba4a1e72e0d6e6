// SPDX-License-Identifier: Apache-2.0
// Goal: a layout without padding has every element where its order of axes says, ranks divide heads
// and layers without a gap, and what cannot be is refused.
// Method: addresses counted by walking over the axes in their order, for every order there is.
#include "kvferry/layout/packed.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "kvferry/layout/compatibility.hpp"

namespace kvferry::layout {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

/// 3 blocks, 2 layers, 2 outers, 4 tokens, 3 heads of 5 elements of 2 bytes.
PackedLayout small(const BlockAxes& order,
                   Arrangement arrangement = Arrangement::kFullyContiguous) {
  PackedLayout packed;
  packed.config = {.num_blocks = 3,
                   .num_layers = 2,
                   .outer_dim = 2,
                   .page_size = 4,
                   .inner_dim = 15,
                   .num_heads = 3};
  packed.order = order;
  packed.arrangement = arrangement;
  return packed;
}

std::vector<Region> regions_of(const PackedLayout& packed) {
  std::vector<Region> regions;
  const auto needed = required_regions(packed.config, packed.arrangement).value();
  for (const std::uint64_t bytes : needed) {
    regions.push_back(Region{4096, bytes});
  }
  return regions;
}

LayoutView view_of(const PackedLayout& packed) {
  return packed_view(packed, regions_of(packed)).value();
}

std::string refusal(const PackedLayout& packed) {
  const auto view = packed_view(packed, {Region{4096, 1'000'000}});
  EXPECT_FALSE(view.has_value());
  return view ? "accepted" : view.error().message;
}

/// Looks whether the elements come one after the other when the axes of one region are walked over,
/// the last of `axes` fastest; gives how many there were.
std::uint64_t walk(const LayoutView& view, const std::vector<Axis>& axes, Place at,
                   std::size_t region) {
  const auto extent = [&](Axis axis) { return view.axis(axis).extent; };
  const std::uint64_t total =
      std::accumulate(axes.begin(), axes.end(), std::uint64_t{1},
                      [&](std::uint64_t product, Axis axis) { return product * extent(axis); });
  for (std::uint64_t i = 0; i < total; ++i) {
    std::uint64_t rest = i;
    for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {
      at[*axis] = rest % extent(*axis);
      rest /= extent(*axis);
    }
    EXPECT_EQ(view.locate(at), (Location{region, i * view.element_bytes()}));
  }
  return total;
}

TEST(PackedView, PutsEveryElementWhereTheOrderSays) {
  BlockAxes order{kNhd};
  std::size_t orders{0};
  do {
    const LayoutView view = view_of(small(order));
    const std::vector<Axis> axes{Axis::kBlock, order[0], order[1],
                                 order[2],     order[3], Axis::kElement};
    EXPECT_EQ(walk(view, axes, {}, 0), 3U * 2 * 2 * 4 * 15);
    ++orders;
  } while (std::ranges::next_permutation(order).found);
  EXPECT_EQ(orders, 24U);
}

TEST(PackedView, GivesEachLayerARegionWhereTheArrangementSaysSo) {
  for (const BlockAxes& order : {kNhd, kHnd}) {
    for (const auto& [arrangement, first, second] :
         {std::tuple{Arrangement::kLayerSeparateBlockFirst, Axis::kBlock, Axis::kOuter},
          std::tuple{Arrangement::kLayerSeparateBlockSecond, Axis::kOuter, Axis::kBlock}}) {
      const LayoutView view = view_of(small(order, arrangement));
      for (std::size_t layer = 0; layer < 2; ++layer) {
        Place at;
        at[Axis::kLayer] = layer;
        const std::vector<Axis> axes{first, second, order[2], order[3], Axis::kElement};
        EXPECT_EQ(walk(view, axes, at, layer), 3U * 2 * 4 * 15);
      }
    }
  }
}

TEST(PackedView, KnowsItsPartOfTheModel) {
  PackedLayout packed = small(kUniversalTp);
  packed.layers = {4, 2, 10};
  packed.heads = {3, 3, 8};
  const LayoutView view = view_of(packed);
  EXPECT_EQ(view.axis(Axis::kLayer), (AxisSpan{2, 2 * 4 * 10, 4, 10}));
  EXPECT_EQ(view.axis(Axis::kHead), (AxisSpan{3, 2 * 2 * 4 * 10, 3, 8}));
  EXPECT_EQ(view.inner_dim(), 15U);
}

TEST(PackedView, IsTheViewOfALayoutOfTheSameOrder) {
  for (const auto& [order, shape] :
       {std::pair{kNhd, InnerShape::kNhd}, std::pair{kHnd, InnerShape::kHnd}}) {
    PackedLayout packed = small(order);
    packed.config.inner_shape = shape;
    const Layout layout =
        Layout::create(packed.config, packed.arrangement, regions_of(packed)).value();
    EXPECT_EQ(view_of(packed), layout::view_of(layout).value());
  }
}

TEST(PackedView, RefusesWhatIsNoLayout) {
  EXPECT_THAT(refusal(small({Axis::kLayer, Axis::kLayer, Axis::kToken, Axis::kHead})),
              StartsWith("order: layer, layer, token, head is not layer, outer, token and head"));
  EXPECT_THAT(refusal(small({Axis::kBlock, Axis::kOuter, Axis::kToken, Axis::kHead})),
              StartsWith("order: block, outer, token, head is not"));
  EXPECT_THAT(refusal(small(kUniversalTp, Arrangement::kLayerSeparateBlockFirst)),
              HasSubstr("needs one region, and layer separate (block first) has one for each"));
  PackedLayout packed = small(kNhd);
  packed.config.num_heads.reset();
  packed.order = kUniversalTp;
  EXPECT_EQ(refusal(packed), "order: UniversalTP needs the number of heads");
  packed.order = kHnd;
  packed.heads = {0, 3, 8};
  EXPECT_EQ(refusal(packed), "heads: a part of heads that are not told apart");
  packed = small(kNhd);
  packed.heads = {0, 2, 8};
  EXPECT_EQ(refusal(packed), "heads: the part has 2, the config 3");
  packed = small(kNhd);
  packed.layers = {9, 2, 10};
  EXPECT_THAT(refusal(packed),
              StartsWith("layer axis: origin 9 and extent 2 leave the model's 10"));
  packed = small(kNhd);
  packed.config.page_size = 0;
  EXPECT_THAT(refusal(packed), HasSubstr("page_size"));
}

TEST(HeadsOf, DividesHeadsAmongUpToAsManyRanks) {
  EXPECT_EQ(heads_of({0, 1}, 8).value(), (Part{0, 8, 8}));
  EXPECT_EQ(heads_of({3, 4}, 8).value(), (Part{6, 2, 8}));
  // 3 heads on 2 ranks: 1 and 2.
  EXPECT_EQ(heads_of({0, 2}, 3).value(), (Part{0, 1, 3}));
  EXPECT_EQ(heads_of({1, 2}, 3).value(), (Part{1, 2, 3}));
  for (std::uint64_t heads = 1; heads <= 12; ++heads) {
    for (std::uint64_t ranks = 1; ranks <= heads; ++ranks) {
      std::uint64_t next{0};
      for (std::uint64_t rank = 0; rank < ranks; ++rank) {
        const Part part = heads_of({rank, ranks}, heads).value();
        EXPECT_EQ(part.origin, next);
        EXPECT_GE(part.extent, 1U);
        EXPECT_LE(part.extent, heads / ranks + 1);
        next += part.extent;
      }
      EXPECT_EQ(next, heads);
    }
  }
}

TEST(HeadsOf, RepeatsEachHeadOnAsManyRanks) {
  std::vector<std::uint64_t> held;
  for (std::uint64_t rank = 0; rank < 8; ++rank) {
    const Part part = heads_of({rank, 8}, 4).value();
    EXPECT_EQ(part.extent, 1U);
    held.push_back(part.origin);
  }
  EXPECT_EQ(held, (std::vector<std::uint64_t>{0, 0, 1, 1, 2, 2, 3, 3}));
}

TEST(HeadsOf, RefusesRanksThatAreNone) {
  EXPECT_THAT(heads_of({2, 2}, 8).error().message, StartsWith("tp 2/2: the first of the two"));
  EXPECT_THAT(heads_of({0, 0}, 8).error().message, StartsWith("tp 0/0"));
  EXPECT_THAT(heads_of({0, 6}, 4).error().message,
              StartsWith("tp 0/6: 6 ranks are more than the 4 heads, and no multiple"));
  EXPECT_FALSE(heads_of({0, 1}, 0).has_value());
}

TEST(LayersOf, DividesLayersWithoutAGap) {
  EXPECT_EQ(layers_of({1, 4}, 61).value(), (Part{15, 15, 61}));
  EXPECT_EQ(layers_of({3, 4}, 61).value(), (Part{45, 16, 61}));
  EXPECT_THAT(layers_of({0, 3}, 2).error().message,
              StartsWith("pp 0/3: 3 ranks are more than the 2 layers"));
  EXPECT_FALSE(layers_of({4, 4}, 61).has_value());
  // Extents near 2^63 do not overflow on the way.
  constexpr std::uint64_t kMany = std::uint64_t{1} << 63U;
  EXPECT_EQ(layers_of({kMany - 1, kMany}, kMany).value(), (Part{kMany - 1, 1, kMany}));
}

}  // namespace
}  // namespace kvferry::layout
