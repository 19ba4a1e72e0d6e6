// SPDX-License-Identifier: Apache-2.0
// Goal: the JSON form is the original's, and its reader names what it refuses and holds no more
// than a layout needs. Method: literal texts. What the original reads and refuses is compared case
// by case in tests/golden.
#include <limits>

#include "samples.hpp"

namespace kvferry::wire {
namespace {

using samples::expect_fails;

const std::string kSeedText =
    R"({"version":1,"layout_config":{"num_blocks":2,"num_layers":2,"outer_dim":2,"page_size":4,)"
    R"("inner_dim":8,"alignment":1,"dtype_width_bytes":2,"inner_shape":"Unknown"},)"
    R"("location":"System","nixl_metadata":{"agent_name":"test","mem_type":"Dram","device_id":0},)"
    R"("memory_descriptors":[{"addr":4096,"size":4096}],)"
    R"("layout_type_details":{"FullyContiguous":{"block_format":"Operational"}}})";

/// The seed's text with the first `from` replaced.
std::string changed(std::string_view from, std::string_view to) {
  std::string text = kSeedText;
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

void expect_refused(const std::string& text, std::string_view part) {
  expect_fails(LayoutDescriptor::from_json(text), ErrorCode::kCorrupt, part);
}

TEST(LayoutJson, WritesAndReadsTheSeedsLayout) {
  const auto text = samples::seed_layout().to_json();
  ASSERT_TRUE(text);
  EXPECT_EQ(*text, kSeedText);
  const auto layout = LayoutDescriptor::from_json(*text);
  ASSERT_TRUE(layout) << layout.error().message;
  EXPECT_EQ(*layout, samples::seed_layout());
}

TEST(LayoutJson, WritesAndReadsBytes) {
  const auto bytes = samples::seed_layout().to_json_bytes();
  ASSERT_TRUE(bytes);
  EXPECT_EQ(bytes->size(), kSeedText.size());
  const auto layout = LayoutDescriptor::from_json_bytes(*bytes);
  ASSERT_TRUE(layout);
  EXPECT_EQ(*layout, samples::seed_layout());
}

TEST(LayoutJson, EscapesNamesAsTheOriginalDoes) {
  LayoutDescriptor layout = samples::seed_layout();
  layout.nixl_metadata.agent_name = std::string{"\"\\/\b\f\n\r\t\0\x1F\x7F\xC5\xBC", 13};
  const auto text = layout.to_json();
  ASSERT_TRUE(text);
  EXPECT_NE(text->find("\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\x7F\xC5\xBC\""), std::string::npos)
      << *text;
  EXPECT_EQ(*LayoutDescriptor::from_json(*text), layout);
}

TEST(LayoutJson, RefusesToWriteWhatFormatACannotCarry) {
  LayoutDescriptor layout = samples::seed_layout();
  layout.layout_config.num_heads = 8;
  expect_fails(layout.to_json(), ErrorCode::kInvalidArgument, "layout_config.num_heads: 8");
  expect_fails(layout.to_json_bytes(), ErrorCode::kInvalidArgument, "num_heads");
}

TEST(LayoutJson, NamesTheFieldThatItRefuses) {
  expect_refused(changed("\"version\":1", "\"version\":4294967296"),
                 "version: 4294967296 of at most 4294967295");
  expect_refused(changed("\"page_size\":4", "\"page_size\":4.0"),
                 "layout_config.page_size: 4.0 is not a plain integer");
  expect_refused(changed("\"page_size\":4", "\"page_size\":-4"),
                 "layout_config.page_size: -4 is not a plain integer");
  expect_refused(changed("\"page_size\":4,", ""), "layout_config.page_size: missing");
  expect_refused(changed("\"inner_dim\":8", "\"inner_dim\":8,\"inner_dim\":8"),
                 "layout_config.inner_dim: there twice");
  expect_refused(changed("\"System\"", "\"Device\""), "location: Device without its number");
  expect_refused(changed("\"System\"", "{\"Device\":4294967296}"),
                 "location.Device: 4294967296 of at most");
  expect_refused(changed("\"System\"", "{\"Tape\":1}"), "location: a name that is none of System");
  expect_refused(changed("\"size\":4096", "\"size\":null"),
                 "memory_descriptors[0].size: null is not");
  expect_refused(changed("{\"addr\":4096,\"size\":4096}", "[1,2,3]"),
                 "memory_descriptors[0]: 3 elements of 2");
  expect_refused(changed("\"Operational\"", "\"Other\""), "block_format: a name that is none of");
  expect_refused("[]", "layout: 0 elements of 6");
  expect_refused("7", "layout: 7 is neither");
}

TEST(LayoutJson, RefusesWhatIsNotJsonAndSaysWhere) {
  expect_refused("", "not JSON at ");
  expect_refused("{\"version\":01}", "not JSON at 12");
  expect_refused("\xEF\xBB\xBF" + kSeedText, "not JSON at 0: a byte order mark");
  expect_refused(kSeedText + std::string(1, '\0') + "rest",
                 "not JSON at " + std::to_string(kSeedText.size()) + ": a zero byte");
  expect_refused(changed("test", "te\xFFst"), "not JSON at ");
  for (std::size_t length = 0; length < kSeedText.size(); ++length) {
    expect_refused(kSeedText.substr(0, length), "not JSON at ");
  }
}

TEST(LayoutJson, SurvivesEveryFlippedBit) {
  for (std::size_t bit = 0; bit < kSeedText.size() * 8; ++bit) {
    std::string text = kSeedText;
    text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << (bit % 8)));
    const auto layout = LayoutDescriptor::from_json(text);
    if (layout) {
      EXPECT_TRUE(layout->to_json());
    } else {
      EXPECT_EQ(layout.error().code, ErrorCode::kCorrupt);
    }
  }
}

TEST(LayoutJson, PassesOverUnknownKeysHoweverDeepAndLong) {
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  EXPECT_TRUE(
      LayoutDescriptor::from_json(changed("{\"version", "{\"extra\":" + deep + ",\"version")));
  std::string wide{"1"};
  for (int i = 0; i < 500'000; ++i) {
    wide += ",1";
  }
  EXPECT_TRUE(LayoutDescriptor::from_json(
      changed("{\"version", "{\"extra\":[" + wide + "],\"more\":{\"version\":2},\"version")));
}

TEST(LayoutJson, ReadsUnitVariantsAsObjectsAndStructsAsArraysEverywhere) {
  const std::string text =
      R"([1,[2,2,2,4,8,1,2,{"Unknown":null}],{"System":null},["test",{"Dram":null},0],)"
      R"([[4096,4096]],{"FullyContiguous":{"block_format":{"Operational":null}}}])";
  const auto layout = LayoutDescriptor::from_json(text);
  ASSERT_TRUE(layout) << layout.error().message;
  EXPECT_EQ(*layout, samples::seed_layout());
}

TEST(LayoutJson, RefusesKnownKeysThatAreTooDeepOrTooLong) {
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  expect_refused(changed("\"System\"", deep), "location: an array is neither");
  std::string wide{"1"};
  for (int i = 0; i < 500'000; ++i) {
    wide += ",1";
  }
  expect_refused(changed("\"System\"", "[" + wide + "]"), "more than 266240 values");
}

TEST(LayoutJson, HonoursLimits) {
  WireLimits limits;
  limits.agent_name_bytes = 3;
  expect_fails(LayoutDescriptor::from_json(kSeedText, limits), ErrorCode::kCorrupt,
               "nixl_metadata.agent_name: 4 bytes is above the limit of 3");
  limits = WireLimits{};
  limits.descriptors_per_layout = 0;
  expect_fails(LayoutDescriptor::from_json(kSeedText, limits), ErrorCode::kCorrupt,
               "memory_descriptors: 1 is above the limit of 0");
}

}  // namespace
}  // namespace kvferry::wire
