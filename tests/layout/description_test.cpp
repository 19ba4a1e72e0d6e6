// SPDX-License-Identifier: Apache-2.0
// Goal: any view can be told to a peer and comes back as the same view; what is without padding is
//       told as formats A and B can.
// Method: every order and arrangement there and back; padding, unknown packings, strides that
//         overlap.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kvferry/layout/packed.hpp"
#include "kvferry/testing/matchers.hpp"

namespace kvferry::layout {
namespace {

using testing::FailsWith;
using testing::IsOk;

PackedLayout sample(Arrangement arrangement, const std::optional<BlockAxes>& order) {
  PackedLayout packed{.config = {.num_blocks = 5,
                                 .num_layers = 2,
                                 .outer_dim = 2,
                                 .page_size = 4,
                                 .inner_dim = 12,
                                 .num_heads = 3},
                      .arrangement = arrangement,
                      .order = order,
                      .layers = {1, 2, 4},
                      .heads = {3, 3, 7}};
  if (!order) {
    packed.config.num_heads.reset();
    packed.heads = {};
  }
  return packed;
}

LayoutView view(const Description& description) {
  std::vector<Region> regions{{1 << 20, 1 << 16}};
  const auto* const packed = std::get_if<PackedLayout>(&description);
  if (packed != nullptr && packed->arrangement != Arrangement::kFullyContiguous) {
    regions.push_back({1 << 21, 1 << 16});
  }
  auto made = view_of(description, regions);
  EXPECT_THAT(made, IsOk());
  return *std::move(made);
}

TEST(Description, OfAViewWithoutPaddingIsPackedInEveryOrder) {
  BlockAxes order{kNhd};
  do {
    const PackedLayout packed = sample(Arrangement::kFullyContiguous, order);
    EXPECT_EQ(describe(view(packed)), Description{packed}) << to_string(order);
  } while (std::next_permutation(order.begin(), order.end()));
  for (const Arrangement arrangement :
       {Arrangement::kLayerSeparateBlockFirst, Arrangement::kLayerSeparateBlockSecond}) {
    for (const BlockAxes& known : {kNhd, kHnd}) {
      const PackedLayout packed = sample(arrangement, known);
      EXPECT_EQ(describe(view(packed)), Description{packed}) << to_string(known);
    }
    const PackedLayout opaque = sample(arrangement, std::nullopt);
    EXPECT_EQ(describe(view(opaque)), Description{opaque});
  }
}

TEST(Description, DoesNotLookAtStepsOfAnAxisWithOnePlace) {
  PackedLayout packed = sample(Arrangement::kFullyContiguous, kNhd);
  packed.config.outer_dim = 1;
  LayoutView::Parts parts;
  parts.regions = {{1 << 20, 1 << 16}};
  const LayoutView made = view(packed);
  for (std::size_t i = 0; i < kAxisCount; ++i) {
    parts.axes[i] = made.axis(static_cast<Axis>(i));
  }
  parts.element_bytes = 2;
  parts.page_size = 4;
  parts.inner_dim = 12;
  parts.axes[2].stride_bytes = 1 << 30;  // As a tensor may say of such a dimension.
  EXPECT_EQ(describe(LayoutView::create(parts).value()), Description{packed});
}

TEST(Description, OfWhatHasPaddingSaysEveryStride) {
  const PackedLayout packed = sample(Arrangement::kFullyContiguous, kNhd);
  const Steps padded{.stride_bytes = {2048, 1024, 512, 128, 16}};
  LayoutView::Parts parts = strided_layout(packed.config, padded, packed.layers, packed.heads);
  parts.offset_bytes = 64;
  const LayoutView made = view(parts);
  EXPECT_EQ(describe(made), Description{parts});
  EXPECT_EQ(view(describe(made)), made);
  EXPECT_EQ(config_of(parts), packed.config);
  EXPECT_EQ(made.axis(Axis::kHead), (AxisSpan{3, 16, 3, 7}));
}

TEST(Description, OfAnUnknownPackingIsStrided) {
  LayoutConfig config = sample(Arrangement::kFullyContiguous, std::nullopt).config;
  LayoutView::Parts parts = strided_layout(config, {.stride_bytes = {384, 192, 96, 0, 0}});
  parts.packing = "state:mamba2";
  EXPECT_EQ(describe(view(parts)), Description{parts});
  parts.packing = "Unknown";
  EXPECT_TRUE(std::holds_alternative<PackedLayout>(describe(view(parts))));
}

TEST(Description, OfStridesThatOverlapIsNoView) {
  const LayoutConfig config = sample(Arrangement::kFullyContiguous, kNhd).config;
  const auto refused = [&](const Steps& steps, const std::string& message) {
    EXPECT_THAT(view_of(strided_layout(config, steps), {{1 << 20, 1 << 16}}),
                FailsWith(ErrorCode::kInvalidArgument, message));
  };
  refused({.stride_bytes = {2048, 1024, 512, 23, 8}}, "token axis: stride 23 is less than the 24");
  refused({.stride_bytes = {1 << 15, 1024, 512, 24, 8}}, "region 0: the axes span");
  refused({.stride_bytes = {~0ULL, 1024, 512, 24, 8}}, "block axis: extent 5 x stride");
}

}  // namespace
}  // namespace kvferry::layout
