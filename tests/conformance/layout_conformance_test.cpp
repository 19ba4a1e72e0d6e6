// SPDX-License-Identifier: Apache-2.0
// Goal: what every layout must do, whatever its arrangement.
// Method: one suite over all arrangements, orders and a few shapes; a new arrangement adds its name
//         to kArrangements and is checked in full.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "kvferry/layout/compatibility.hpp"
#include "kvferry/layout/layout.hpp"
#include "kvferry/layout/view.hpp"

namespace kvferry::layout {
namespace {

constexpr std::array kArrangements{Arrangement::kFullyContiguous,
                                   Arrangement::kLayerSeparateBlockFirst,
                                   Arrangement::kLayerSeparateBlockSecond};
constexpr std::array kOrders{InnerShape::kUnknown, InnerShape::kNhd, InnerShape::kHnd};

/// blocks, layers, outer, page, inner, dtype, heads (0: not told).
using Sizes = std::array<std::uint64_t, 7>;
constexpr std::array<Sizes, 6> kSizes{Sizes{1, 1, 1, 1, 1, 1, 1}, Sizes{3, 4, 2, 4, 6, 2, 3},
                                      Sizes{3, 4, 2, 4, 6, 2, 0}, Sizes{2, 5, 1, 7, 13, 4, 1},
                                      Sizes{5, 2, 2, 3, 8, 8, 8}, Sizes{4, 3, 1, 5, 12, 1, 4}};

LayoutConfig config_of(const Sizes& sizes, InnerShape order) {
  LayoutConfig config;
  config.num_blocks = sizes[0];
  config.num_layers = sizes[1];
  config.outer_dim = sizes[2];
  config.page_size = sizes[3];
  config.inner_dim = sizes[4];
  config.dtype_width_bytes = sizes[5];
  config.inner_shape = order;
  if (sizes[6] != 0) {
    config.num_heads = sizes[6];
  }
  return config;
}

/// Regions of just the sizes needed, at odd addresses that do not go up.
std::vector<Region> regions_for(const LayoutConfig& config, Arrangement arrangement) {
  std::vector<Region> regions;
  const std::vector<std::uint64_t> needed = required_regions(config, arrangement).value();
  std::uint64_t address = 0x7f0000000001;
  for (const std::uint64_t bytes : needed) {
    address -= bytes + 13;
    regions.push_back(Region{address, bytes});
  }
  return regions;
}

class LayoutConformance
    : public ::testing::TestWithParam<std::tuple<Arrangement, InnerShape, Sizes>> {
 protected:
  const Arrangement arrangement_{std::get<0>(GetParam())};
  const LayoutConfig config_{config_of(std::get<2>(GetParam()), std::get<1>(GetParam()))};
  const Layout layout_{
      Layout::create(config_, arrangement_, regions_for(config_, arrangement_)).value()};
  const LayoutView view_{view_of(layout_).value()};

  /// Calls `visit` with every (block, layer, outer).
  template <class Visit>
  void for_each_index(Visit visit) const {
    for (std::uint64_t block = 0; block < config_.num_blocks; ++block) {
      for (std::uint64_t layer = 0; layer < config_.num_layers; ++layer) {
        for (std::uint64_t outer = 0; outer < config_.outer_dim; ++outer) {
          visit(RegionIndex{BlockId{block}, layer, outer});
        }
      }
    }
  }

  /// The address of a place of a view.
  [[nodiscard]] static std::uint64_t address(const LayoutView& view, const Place& place) {
    const Location location = view.locate(place);
    return view.regions()[location.region].address + location.offset_bytes;
  }
};

Place place_of(const RegionIndex& index) {
  Place place;
  place[Axis::kBlock] = index.block.value();
  place[Axis::kLayer] = index.layer;
  place[Axis::kOuter] = index.outer;
  return place;
}

TEST_P(LayoutConformance, RegionsTileTheMemoryWithoutGapOrOverlap) {
  std::map<std::uint64_t, std::uint64_t> pieces;
  for_each_index([&](const RegionIndex& index) {
    const Region region = layout_.region(index).value();
    EXPECT_EQ(region.size_bytes, config_.region_bytes());
    EXPECT_TRUE(pieces.emplace(region.address, region.size_bytes).second) << region.address;
  });
  std::uint64_t tiled = 0;
  for (const Region& region : layout_.regions()) {
    std::uint64_t address = region.address;
    for (auto piece = pieces.find(address);
         piece != pieces.end() && address < region.address + region.size_bytes;
         piece = pieces.find(address)) {
      address += piece->second;
      ++tiled;
    }
    EXPECT_EQ(address, region.address + region.size_bytes);
  }
  EXPECT_EQ(tiled, pieces.size());
}

TEST_P(LayoutConformance, RequiredRegionsSumUpToTheRequiredBytesAndAreTheLeast) {
  std::vector<Region> regions = regions_for(config_, arrangement_);
  std::uint64_t sum = 0;
  for (const Region& region : regions) {
    sum += region.size_bytes;
  }
  EXPECT_EQ(sum, config_.required_bytes());
  EXPECT_EQ(sum, config_.num_blocks * config_.block_bytes());
  for (Region& region : regions) {
    --region.size_bytes;
    EXPECT_FALSE(Layout::create(config_, arrangement_, regions).has_value());
    region.size_bytes += 100;
    EXPECT_TRUE(Layout::create(config_, arrangement_, regions).has_value());
  }
  regions.push_back(regions.back());
  EXPECT_FALSE(Layout::create(config_, arrangement_, regions).has_value());
}

TEST_P(LayoutConformance, IndicesOutOfRangeAreRefused) {
  const BlockId first{0};
  EXPECT_FALSE(layout_.region({BlockId{config_.num_blocks}, 0, 0}).has_value());
  EXPECT_FALSE(layout_.region({first, config_.num_layers, 0}).has_value());
  EXPECT_FALSE(layout_.region({first, 0, config_.outer_dim}).has_value());
}

TEST_P(LayoutConformance, TheViewFindsEveryElementOnceAndInsideItsRegion) {
  for_each_index([&](const RegionIndex& index) {
    const Region region = layout_.region(index).value();
    Place place = place_of(index);
    EXPECT_EQ(address(view_, place), region.address);
    std::vector<std::uint64_t> found;
    for (std::uint64_t token = 0; token < view_.axis(Axis::kToken).extent; ++token) {
      for (std::uint64_t head = 0; head < view_.axis(Axis::kHead).extent; ++head) {
        for (std::uint64_t element = 0; element < view_.axis(Axis::kElement).extent; ++element) {
          place[Axis::kToken] = token;
          place[Axis::kHead] = head;
          place[Axis::kElement] = element;
          found.push_back(address(view_, place));
        }
      }
    }
    std::sort(found.begin(), found.end());
    ASSERT_EQ(found.size() * config_.dtype_width_bytes, region.size_bytes);
    for (std::size_t i = 0; i < found.size(); ++i) {
      ASSERT_EQ(found[i], region.address + (i * config_.dtype_width_bytes));
    }
  });
}

TEST_P(LayoutConformance, TokensAndHeadsLieInTheOrderThatTheConfigSays) {
  const bool told = config_.num_heads.has_value() && config_.inner_shape != InnerShape::kUnknown;
  EXPECT_EQ(view_.is_opaque(), !told);
  if (!told) {
    EXPECT_EQ(view_.packing(), to_string(config_.inner_shape));
    return;
  }
  const std::uint64_t row = config_.inner_dim / *config_.num_heads * config_.dtype_width_bytes;
  Place place;
  const std::uint64_t base = address(view_, place);
  place[Axis::kToken] = config_.page_size - 1;
  place[Axis::kHead] = *config_.num_heads - 1;
  EXPECT_EQ(address(view_, place), base + config_.region_bytes() - row);
  place[Axis::kHead] = 0;
  const bool heads_inside = config_.inner_shape == InnerShape::kNhd;
  EXPECT_EQ(address(view_, place) - base,
            (config_.page_size - 1) * row * (heads_inside ? *config_.num_heads : 1));
}

TEST_P(LayoutConformance, EverySliceFindsTheBytesOfTheWhole) {
  for (const Axis axis : {Axis::kBlock, Axis::kLayer, Axis::kOuter, Axis::kToken, Axis::kHead}) {
    const AxisSpan& span = view_.axis(axis);
    for (std::uint64_t first = 0; first < span.extent; ++first) {
      const LayoutView part = view_.slice(axis, first, span.extent - first).value();
      EXPECT_EQ(part.axis(axis).origin, first);
      EXPECT_EQ(part.axis(axis).whole, span.whole);
      Place local;
      Place whole;
      for (const Axis other : {Axis::kBlock, Axis::kOuter, Axis::kToken}) {
        local[other] = whole[other] = view_.axis(other).extent - 1;
      }
      local[axis] = span.extent - 1 - first;
      whole[axis] = span.extent - 1;
      EXPECT_EQ(address(part, local), address(view_, whole)) << to_string(axis) << " " << first;
    }
  }
}

TEST_P(LayoutConformance, TheCollapsedViewIsOnePieceForEachRegionOfABlock) {
  const std::optional<LayoutView> packed = view_.collapsed();
  ASSERT_TRUE(packed.has_value());
  EXPECT_TRUE(packed->is_opaque());
  EXPECT_EQ(packed->axis(Axis::kElement).extent, config_.page_size * config_.inner_dim);
  for_each_index([&](const RegionIndex& index) {
    EXPECT_EQ(address(*packed, place_of(index)), layout_.region(index).value().address);
  });
}

TEST_P(LayoutConformance, TheViewIsMadeOfPartsThatMakeTheSameViewAgain) {
  LayoutView::Parts parts;
  parts.regions.assign(view_.regions().begin(), view_.regions().end());
  for (std::size_t i = 0; i < kAxisCount; ++i) {
    parts.axes[i] = view_.axis(static_cast<Axis>(i));
  }
  parts.offset_bytes = view_.offset_bytes();
  parts.element_bytes = view_.element_bytes();
  parts.page_size = view_.page_size();
  parts.inner_dim = view_.inner_dim();
  parts.packing = view_.packing();
  const LayoutView again = LayoutView::create(parts).value();
  EXPECT_EQ(compatible(again, view_).verdict, Verdict::kIdentical);
}

TEST_P(LayoutConformance, EveryOtherArrangementOfTheSameShapeIsCopyable) {
  for (const Arrangement other : kArrangements) {
    const Layout layout = Layout::create(config_, other, regions_for(config_, other)).value();
    EXPECT_LE(compatible(view_, view_of(layout).value()).verdict, Verdict::kCopyable);
  }
}

std::string name_of(const ::testing::TestParamInfo<LayoutConformance::ParamType>& info) {
  std::string name{to_string(std::get<0>(info.param))};
  name += "_" + std::string{to_string(std::get<1>(info.param))};
  for (const std::uint64_t size : std::get<2>(info.param)) {
    name += "_" + std::to_string(size);
  }
  const auto is_other = [](char c) { return std::string_view{" ()"}.find(c) != std::string::npos; };
  std::replace_if(name.begin(), name.end(), is_other, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, LayoutConformance,
                         ::testing::Combine(::testing::ValuesIn(kArrangements),
                                            ::testing::ValuesIn(kOrders),
                                            ::testing::ValuesIn(kSizes)),
                         name_of);

}  // namespace
}  // namespace kvferry::layout
