// SPDX-License-Identifier: Apache-2.0
// Goal: a config is judged as the original judges it, but for three differences that are meant.
// Method: every row of vectors/config_validation.json whose fault lies in the config, with each
//         difference named and counted; then each field of our own on both sides of its bound.
#include "kvferry/layout/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>

#include "vectors.hpp"

namespace kvferry::layout {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

LayoutConfig small_config() {
  LayoutConfig config;
  config.num_blocks = 2;
  config.num_layers = 2;
  config.outer_dim = 2;
  config.page_size = 4;
  config.inner_dim = 8;
  return config;
}

/// What the original objects to in the config itself; its other objections are about regions and
/// versions and say so in other words.
bool original_refuses_config(const test::Json& result) {
  return !result.at("accepted").get<bool>() &&
         result.at("error").get<std::string>().find("Validation error") != std::string::npos;
}

std::string refusal(const LayoutConfig& config) {
  const Result<void> result = config.validate();
  if (result) {
    return "accepted";
  }
  EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
  return result.error().message;
}

class ConfigVectors : public ::testing::TestWithParam<const char*> {};

TEST_P(ConfigVectors, EveryRowIsJudgedAsByTheOriginalButForThreeDifferences) {
  const test::Json rows =
      test::read_vectors("config_validation.json").at(GetParam()).at("from_descriptor");
  int overflows = 0;
  int one_byte = 0;
  int same = 0;
  for (const test::Json& row : rows) {
    const std::string name = row.at("name");
    const test::Json& json = row.at("descriptor").at("layout_config");
    const LayoutConfig config = test::config_of(json);
    const bool refused = original_refuses_config(row.at("result"));
    const std::string ours = refusal(config);
    EXPECT_EQ(config.required_bytes(), test::number(row.at("required_bytes"))) << name;
    if (name == "dtype_width_bytes=1") {  // Difference 1: elements of one byte are ours to accept.
      EXPECT_TRUE(refused);
      EXPECT_EQ(ours, "accepted") << name;
      ++one_byte;
    } else if (!refused && config.required_bytes() == kMax) {  // Difference 2: sizes that wrap.
      EXPECT_THAT(ours, HasSubstr("does not fit into 64 bits")) << name;
      ++overflows;
    } else {
      EXPECT_EQ(ours != "accepted", refused) << name << ": " << ours;
      ++same;
    }
    const std::size_t equals = name.find('=');
    if (refused && ours != "accepted" && equals != std::string::npos) {
      EXPECT_THAT(ours, StartsWith(name.substr(0, equals) + ": " + name.substr(equals + 1)));
    }
  }
  EXPECT_EQ(one_byte, 1);
  EXPECT_EQ(overflows, 11);
  EXPECT_EQ(same, 64);
}

TEST_P(ConfigVectors, DefaultsAreThoseOfTheOriginalsBuilder) {
  const test::Json rows =
      test::read_vectors("config_validation.json").at(GetParam()).at("config_builder");
  bool found = false;
  for (const test::Json& row : rows) {
    if (row.at("name") == "defaults") {
      LayoutConfig config;
      config.num_blocks = config.num_layers = config.outer_dim = 1;
      config.page_size = config.inner_dim = 1;
      EXPECT_EQ(config, test::config_of(row.at("config")));
      found = true;
    }
  }
  EXPECT_TRUE(found);
}

INSTANTIATE_TEST_SUITE_P(Formats, ConfigVectors, ::testing::Values("A", "B"),
                         [](const auto& format) { return std::string{format.param}; });

TEST(LayoutConfig, NamesTheFirstFieldThatIsOutOfRangeWithValueAndBound) {
  LayoutConfig config;
  config.alignment = 0;
  config.dtype_width_bytes = 0;
  config.num_heads = 0;
  EXPECT_EQ(refusal(config), "num_blocks: 0 is not at least 1");
  config.num_blocks = 1;
  EXPECT_EQ(refusal(config), "num_layers: 0 is not at least 1");
  config.num_layers = 1;
  EXPECT_EQ(refusal(config), "outer_dim: 0 is not 1 or 2");
  config.outer_dim = 3;
  EXPECT_EQ(refusal(config), "outer_dim: 3 is not 1 or 2");
  config.outer_dim = 1;
  EXPECT_EQ(refusal(config), "page_size: 0 is not at least 1");
  config.page_size = 1;
  EXPECT_EQ(refusal(config), "inner_dim: 0 is not at least 1");
  config.inner_dim = 1;
  EXPECT_EQ(refusal(config), "alignment: 0 is not a power of two");
  config.alignment = 1;
  EXPECT_EQ(refusal(config), "dtype_width_bytes: 0 is not 1, 2, 4 or 8");
  config.dtype_width_bytes = 1;
  EXPECT_EQ(refusal(config), "num_heads: 0 is not a divisor of inner_dim 1");
  config.num_heads = 1;
  EXPECT_EQ(refusal(config), "accepted");
}

TEST(LayoutConfig, AllowsElementsOfOneTwoFourAndEightBytes) {
  for (const std::uint64_t width : {0U, 1U, 2U, 3U, 4U, 5U, 6U, 7U, 8U, 9U, 16U}) {
    LayoutConfig config = small_config();
    config.dtype_width_bytes = width;
    const bool fine = width == 1 || width == 2 || width == 4 || width == 8;
    EXPECT_EQ(refusal(config) == "accepted", fine) << width;
  }
}

// Difference 3: formats A and B carry what they like as number of heads; ours must divide.
TEST(LayoutConfig, RefusesHeadsThatDoNotDivideTheInnerDimension) {
  LayoutConfig config = small_config();
  for (const std::uint64_t heads : {1U, 2U, 4U, 8U}) {
    config.num_heads = heads;
    EXPECT_EQ(refusal(config), "accepted") << heads;
  }
  for (const std::uint64_t heads : {std::uint64_t{0}, std::uint64_t{3}, std::uint64_t{16}, kMax}) {
    config.num_heads = heads;
    EXPECT_EQ(refusal(config),
              "num_heads: " + std::to_string(heads) + " is not a divisor of inner_dim 8");
  }
}

TEST(LayoutConfig, RefusesAnInnerShapeThatHasNoName) {
  LayoutConfig config = small_config();
  config.inner_shape = static_cast<InnerShape>(3);
  EXPECT_EQ(refusal(config), "inner_shape: 3 is not below 3");
  EXPECT_EQ(to_string(config.inner_shape), "invalid");
}

TEST(LayoutConfig, RefusesProductsFromTwoToTheSixtyFourthOn) {
  LayoutConfig config;
  config.num_blocks = std::uint64_t{1} << 32U;
  config.num_layers = std::uint64_t{1} << 16U;
  config.outer_dim = 1;
  config.page_size = std::uint64_t{1} << 8U;
  config.inner_dim = (std::uint64_t{1} << 7U) - 1;
  config.dtype_width_bytes = 2;
  EXPECT_EQ(refusal(config), "accepted");
  EXPECT_EQ(config.required_bytes(), ((std::uint64_t{1} << 7U) - 1) << 57U);
  ++config.inner_dim;
  EXPECT_THAT(refusal(config), HasSubstr("does not fit into 64 bits"));
  EXPECT_EQ(config.required_bytes(), kMax);
}

TEST(LayoutConfig, CountsBytesOfLlama) {
  LayoutConfig config;
  config.num_blocks = 64;
  config.num_layers = 32;
  config.outer_dim = 2;
  config.page_size = 16;
  config.inner_dim = 1024;
  config.num_heads = 8;
  EXPECT_EQ(config.region_bytes(), 32'768U);
  EXPECT_EQ(config.block_bytes(), 2'097'152U);
  EXPECT_EQ(config.required_bytes(), 64U * 2'097'152U);
}

TEST(LayoutConfig, CountsBytesOfDeepseek) {
  LayoutConfig config;
  config.num_blocks = 3;
  config.num_layers = 61;
  config.outer_dim = 1;
  config.page_size = 64;
  config.inner_dim = 576;
  config.num_heads = 1;
  EXPECT_EQ(config.region_bytes(), 73'728U);
  EXPECT_EQ(config.block_bytes(), 4'497'408U);
  EXPECT_EQ(config.required_bytes(), 3U * 4'497'408U);
}

TEST(InnerShape, HasTheNamesOfTheWireFormat) {
  EXPECT_EQ(to_string(InnerShape::kUnknown), "Unknown");
  EXPECT_EQ(to_string(InnerShape::kNhd), "NHD");
  EXPECT_EQ(to_string(InnerShape::kHnd), "HND");
}

}  // namespace
}  // namespace kvferry::layout
