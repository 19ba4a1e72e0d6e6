// SPDX-License-Identifier: Apache-2.0
// Goal: JSON text becomes a tree of what is known and no more, within its limits. Method: literal
// texts. Whole layouts are read in layout_json_test.cpp.
#include "wire/json_tree.hpp"

#include <gtest/gtest.h>

namespace kvferry::wire {
namespace {

using Kind = JsonNode::Kind;

bool is_known(std::string_view key) { return key == "a" || key == "b"; }

constexpr JsonLimits kLimits{.is_known_key = &is_known, .depth_max = 2, .nodes_max = 4};

JsonNode parsed(std::string_view text) {
  const auto node = parse_json(text, kLimits);
  EXPECT_TRUE(node) << text << ": " << node.error().message;
  return node ? *node : JsonNode{};
}

std::string problem(std::string_view text) {
  const auto node = parse_json(text, kLimits);
  EXPECT_FALSE(node) << text;
  return node ? "" : node.error().message;
}

TEST(JsonTree, TellsPlainIntegersFromOtherNumbers) {
  EXPECT_EQ(parsed("18446744073709551615").kind, Kind::kUnsigned);
  EXPECT_EQ(parsed("18446744073709551615").number, 18446744073709551615U);
  for (const std::string_view text : {"-0", "-1", "-9223372036854775808", "1.0", "1e0",
                                      "18446744073709551616", "true", "false"}) {
    EXPECT_EQ(parsed(text).kind, Kind::kOther) << text;
    EXPECT_EQ(parsed(text).text, text);
  }
  EXPECT_EQ(parsed("null").kind, Kind::kNull);
}

TEST(JsonTree, KeepsKnownKeysInOrderAndTheirRepetitions) {
  const JsonNode root = parsed(R"({"b":1,"a":"x","b":[2]})");
  ASSERT_EQ(root.children.size(), 3U);
  EXPECT_EQ(root.children[0].key, "b");
  EXPECT_EQ(root.children[1].text, "x");
  EXPECT_EQ(root.children[2].children.at(0).number, 2U);
}

TEST(JsonTree, KeepsOneMarkForUnknownKeysInARow) {
  const JsonNode root = parsed(R"({"x":1,"y":[[[1]]],"z":{"a":1},"a":7})");
  ASSERT_EQ(root.children.size(), 2U);
  EXPECT_EQ(root.children[0].kind, Kind::kIgnored);
  EXPECT_EQ(root.children[1].number, 7U);
}

TEST(JsonTree, PassesOverWhatIsTooDeep) {
  const JsonNode root = parsed(R"({"a":[[1,2,3,4,5,6,7,8]],"b":1})");
  ASSERT_EQ(root.children.size(), 2U);
  ASSERT_EQ(root.children[0].children.size(), 1U);
  EXPECT_EQ(root.children[0].children[0].kind, Kind::kIgnored);
  EXPECT_EQ(root.children[1].number, 1U);
}

TEST(JsonTree, RefusesMoreValuesThanAllowed) {
  EXPECT_EQ(parsed("[1,2,3,4]").children.size(), 4U);
  EXPECT_EQ(problem("[1,2,3,4,5]"), "more than 4 values");
}

TEST(JsonTree, SaysWhereTextIsNoJson) {
  EXPECT_EQ(problem("[1,]"), "not JSON at 3");
  EXPECT_EQ(problem("\xEF\xBB\xBF[]"), "not JSON at 0: a byte order mark");
  EXPECT_EQ(problem(std::string_view{"[]\0[]", 5}), "not JSON at 2: a zero byte");
}

TEST(JsonTree, WritesStringsAsTheOriginalDoes) {
  EXPECT_EQ(json_string("a\"\\\n\x01/\x7F\xC5\xBC"), "\"a\\\"\\\\\\n\\u0001/\x7F\xC5\xBC\"");
}

}  // namespace
}  // namespace kvferry::wire
