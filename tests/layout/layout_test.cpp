// SPDX-License-Identifier: Apache-2.0
// Goal: layouts compute the addresses of the original and refuse what cannot hold their bytes.
// Method: every row of vectors/regions.json and of vectors/config_validation.json, formats A and
//         B; then region counts, sizes, addresses and indices on both sides of their bounds.
#include "kvferry/layout/layout.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "layout/strides.hpp"
#include "vectors.hpp"

namespace kvferry::layout {
namespace {

using test::Json;
using test::number;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

LayoutConfig small_config() {
  LayoutConfig config;
  config.num_blocks = 3;
  config.num_layers = 2;
  config.outer_dim = 2;
  config.page_size = 4;
  config.inner_dim = 8;
  return config;
}

Arrangement arrangement_of(const std::string& kind) {
  if (kind == "FullyContiguous") {
    return Arrangement::kFullyContiguous;
  }
  return layer_separate(kind == "LayerSeparate/BlockIsFirstDim"
                            ? BlockDimension::kBlockIsFirstDim
                            : BlockDimension::kBlockIsSecondDim);
}

std::string refusal(const LayoutConfig& config, Arrangement arrangement,
                    std::vector<Region> regions) {
  const Result<Layout> layout = Layout::create(config, arrangement, std::move(regions));
  if (layout) {
    return "accepted";
  }
  EXPECT_EQ(layout.error().code, ErrorCode::kInvalidArgument);
  return layout.error().message;
}

Layout layout_of_row(const Json& row) {
  std::vector<Region> regions;
  for (std::size_t i = 0; i < row.at("bases").size(); ++i) {
    regions.push_back(Region{number(row.at("bases")[i]), number(row.at("sizes")[i])});
  }
  return Layout::create(test::config_of(row.at("config")), arrangement_of(row.at("kind")), regions)
      .value();
}

TEST(LayoutVectors, EveryRegionOfBothFormatsLiesWhereTheOriginalSays) {
  int rows = 0;
  int regions = 0;
  for (const Json& row : test::read_vectors("regions.json")) {
    SCOPED_TRACE(row.at("format").get<std::string>() + " " + row.at("config").dump() + " " +
                 row.at("kind").get<std::string>());
    const Layout layout = layout_of_row(row);
    EXPECT_EQ(layout.config().required_bytes(), number(row.at("required_bytes")));
    EXPECT_EQ(layout.arrangement() == Arrangement::kFullyContiguous,
              row.at("is_fully_contiguous").get<bool>());
    EXPECT_THAT(required_regions(layout.config(), layout.arrangement()).value(),
                ElementsAreArray(test::numbers(row.at("required_allocations"))));
    for (const Json& cell : row.at("regions")) {
      const RegionIndex index{BlockId{number(cell[0])}, number(cell[1]), number(cell[2])};
      const Region expected{number(cell[3]), number(cell[4])};
      EXPECT_EQ(layout.region(index).value(), expected) << cell;
      ++regions;
    }
    ++rows;
  }
  EXPECT_EQ(rows, 46);
  EXPECT_EQ(regions, 2 * 281);
}

TEST(LayoutVectors, EveryIndexOutOfRangeIsRefusedNamingItAndItsBound) {
  int cases = 0;
  for (const Json& row : test::read_vectors("regions.json")) {
    const Layout layout = layout_of_row(row);
    for (const Json& bad : row.at("out_of_range")) {
      const Result<Region> region = layout.region(
          {BlockId{number(bad.at("block"))}, number(bad.at("layer")), number(bad.at("outer"))});
      ASSERT_FALSE(region.has_value()) << bad;
      EXPECT_EQ(region.error().code, ErrorCode::kInvalidArgument);
      // The original's words: "Block ID 2 out of range (max: 2)", in B also "(count: 2)".
      const std::string theirs = bad.at("error");
      std::string ours{region.error().message};
      const std::string what = ours.substr(0, ours.find(' '));
      const std::string index = ours.substr(what.size() + 1, ours.find(" of ") - what.size() - 1);
      const std::string bound = ours.substr(ours.find(" of ") + 4);
      EXPECT_EQ(theirs.substr(1, what.size() - 1), what.substr(1)) << ours;
      EXPECT_THAT(theirs, HasSubstr(" ID " + index + " out of range"));
      EXPECT_THAT(theirs, HasSubstr(": " + bound + ")"));
      ++cases;
    }
  }
  EXPECT_EQ(cases, 46 * 4);
}

/// Reads a descriptor of vectors/config_validation.json as far as it is about the layout.
std::string judge_descriptor(const Json& descriptor) {
  const Json& details = descriptor.at("layout_type_details");
  Arrangement arrangement = Arrangement::kFullyContiguous;
  if (details.contains("LayerSeparate")) {
    const std::string dimension = details.at("LayerSeparate").at("block_dim");
    arrangement = arrangement_of("LayerSeparate/" + dimension);
  }
  std::vector<Region> regions;
  for (const Json& memory : descriptor.at("memory_descriptors")) {
    regions.push_back(Region{number(memory.at("addr")), number(memory.at("size"))});
  }
  return refusal(test::config_of(descriptor.at("layout_config")), arrangement, regions);
}

TEST(LayoutVectors, EveryDescriptorIsJudgedAsByTheOriginalButForWhatIsMeant) {
  int differences = 0;
  for (const std::string format : {"A", "B"}) {
    const Json rows = test::read_vectors("config_validation.json").at(format).at("from_descriptor");
    for (const Json& row : rows) {
      const std::string name = row.at("name");
      const std::string ours = judge_descriptor(row.at("descriptor"));
      const bool theirs = row.at("result").at("accepted");
      const bool wraps = number(row.at("required_bytes")) == kMax;
      if (theirs && wraps) {  // They multiply without a check; the region is too small in truth.
        EXPECT_THAT(ours, HasSubstr("does not fit into 64 bits")) << name;
        ++differences;
      } else if (name == "dtype_width_bytes=1") {
        EXPECT_EQ(ours, "accepted") << name;
        ++differences;
      } else if (name == "address plus size past 2^64") {
        EXPECT_THAT(ours, HasSubstr("end past the last address")) << name;
        ++differences;
      } else if (name.rfind("version", 0) == 0) {  // The version is not the layout's to judge.
        EXPECT_EQ(ours, "accepted") << name;
      } else {
        EXPECT_EQ(ours == "accepted", theirs) << format << " " << name << ": " << ours;
      }
    }
    EXPECT_EQ(rows.size(), 76U);
  }
  EXPECT_EQ(differences, 2 * 9);
}

TEST(Layout, RefusesTheWrongNumberOfRegions) {
  const LayoutConfig config = small_config();
  const Region big{4096, 1 << 20U};
  for (const std::size_t count : {0U, 2U, 3U}) {
    EXPECT_EQ(
        refusal(config, Arrangement::kFullyContiguous, std::vector<Region>(count, big)),
        "a fully contiguous layout of 2 layers needs 1 regions, has " + std::to_string(count));
  }
  for (const std::size_t count : {0U, 1U, 3U}) {
    EXPECT_THAT(
        refusal(config, Arrangement::kLayerSeparateBlockFirst, std::vector<Region>(count, big)),
        HasSubstr("of 2 layers needs 2 regions, has " + std::to_string(count)));
  }
}

TEST(Layout, RefusesARegionThatIsOneByteShort) {
  const LayoutConfig config = small_config();
  EXPECT_EQ(refusal(config, Arrangement::kFullyContiguous, {{4096, 767}}),
            "region 0: needs 768 bytes, has 767");
  EXPECT_EQ(refusal(config, Arrangement::kFullyContiguous, {{4096, 768}}), "accepted");
  for (const Arrangement arrangement :
       {Arrangement::kLayerSeparateBlockFirst, Arrangement::kLayerSeparateBlockSecond}) {
    EXPECT_EQ(refusal(config, arrangement, {{4096, 384}, {8192, 383}}),
              "region 1: needs 384 bytes, has 383");
    EXPECT_EQ(refusal(config, arrangement, {{4096, 384}, {8192, 5000}}), "accepted");
  }
}

TEST(Layout, RefusesARegionThatEndsPastTheLastAddress) {
  const LayoutConfig config = small_config();
  EXPECT_EQ(refusal(config, Arrangement::kFullyContiguous, {{kMax - 768, 768}}), "accepted");
  EXPECT_EQ(refusal(config, Arrangement::kFullyContiguous, {{kMax - 766, 768}}),
            "region 0: 768 bytes at address 18446744073709550849 end past the last address");
  EXPECT_EQ(refusal(config, Arrangement::kFullyContiguous, {{4096, kMax}}),
            "region 0: 18446744073709551615 bytes at address 4096 end past the last address");
}

TEST(Layout, RefusesAConfigThatDoesNotValidate) {
  LayoutConfig config = small_config();
  config.outer_dim = 3;
  EXPECT_EQ(refusal(config, Arrangement::kFullyContiguous, {{4096, 1 << 20U}}),
            "outer_dim: 3 is not 1 or 2");
  EXPECT_FALSE(required_regions(config, Arrangement::kLayerSeparateBlockFirst).has_value());
}

TEST(Layout, RefusesMoreLayersThanAMessageMayDescribeRegions) {
  LayoutConfig config = small_config();
  config.num_layers = kMaxRegions;
  EXPECT_EQ(required_regions(config, Arrangement::kLayerSeparateBlockFirst).value().size(),
            65'536U);
  config.num_layers = kMaxRegions + 1;
  const auto refused = required_regions(config, Arrangement::kLayerSeparateBlockFirst);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().message, "num_layers: 65537 regions, at most 65536");
  // One region is enough for any number of layers.
  EXPECT_TRUE(required_regions(config, Arrangement::kFullyContiguous).has_value());
}

TEST(Layout, RefusesHostileLayerCountsInBoundedMemory) {
  LayoutConfig config;
  config.num_blocks = config.outer_dim = config.page_size = config.inner_dim = 1;
  config.num_layers = std::uint64_t{1} << 62U;
  EXPECT_THAT(refusal(config, Arrangement::kLayerSeparateBlockSecond, {}),
              HasSubstr("at most 65536"));
}

TEST(Layout, ChecksBlockThenLayerThenOuter) {
  const Layout layout =
      Layout::create(small_config(), Arrangement::kFullyContiguous, {{4096, 768}}).value();
  const auto message = [&layout](std::uint64_t block, std::uint64_t layer, std::uint64_t outer) {
    return layout.region({BlockId{block}, layer, outer}).error().message;
  };
  EXPECT_EQ(message(9, 9, 9), "block 9 of 3");
  EXPECT_EQ(message(2, 9, 9), "layer 9 of 2");
  EXPECT_EQ(message(2, 1, 9), "outer 9 of 2");
  EXPECT_EQ(message(kMax, 0, 0), "block 18446744073709551615 of 3");
  EXPECT_TRUE(layout.region({BlockId{2}, 1, 1}).has_value());
}

TEST(Layout, KeepsWhatItWasMadeOf) {
  const std::vector<Region> regions{{4096, 384}, {8192, 500}};
  const Layout layout =
      Layout::create(small_config(), Arrangement::kLayerSeparateBlockSecond, regions).value();
  EXPECT_EQ(layout.config(), small_config());
  EXPECT_EQ(layout.arrangement(), Arrangement::kLayerSeparateBlockSecond);
  EXPECT_THAT(layout.regions(), ElementsAreArray(regions));
}

TEST(Arrangement, HasANameAndFollowsFromTheBlockDimension) {
  EXPECT_EQ(to_string(Arrangement::kFullyContiguous), "fully contiguous");
  EXPECT_EQ(to_string(Arrangement::kLayerSeparateBlockFirst), "layer separate (block first)");
  EXPECT_EQ(to_string(Arrangement::kLayerSeparateBlockSecond), "layer separate (block second)");
  EXPECT_EQ(to_string(static_cast<Arrangement>(3)), "invalid");
  EXPECT_EQ(layer_separate(BlockDimension::kBlockIsFirstDim),
            Arrangement::kLayerSeparateBlockFirst);
  EXPECT_EQ(layer_separate(BlockDimension::kBlockIsSecondDim),
            Arrangement::kLayerSeparateBlockSecond);
}

}  // namespace
}  // namespace kvferry::layout
