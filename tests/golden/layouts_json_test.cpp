// SPDX-License-Identifier: Apache-2.0
// Goal: the JSON form of layouts is written byte for byte as the original writes it, and read as
// strictly. Method: each row of layouts_json.json; the layouts to write are read from
// the messages of vectors/.
#include <gtest/gtest.h>

#include "kvferry/wire/message_view.hpp"
#include "vectors.hpp"

namespace kvferry::wire::golden {
namespace {

/// Row names are "MESSAGE/INDEX".
LayoutDescriptor layout_called(const std::string& name, MessageFormat format) {
  const std::size_t slash = name.rfind('/');
  const Bytes bytes = read_message(name.substr(0, slash) + ".bin");
  const auto view = decode_view_as(format, bytes);
  EXPECT_TRUE(view);
  return to_owned(*view).layouts.at(std::stoul(name.substr(slash + 1))).layout;
}

class LayoutsJson : public ::testing::TestWithParam<MessageFormat> {};

TEST_P(LayoutsJson, AreWrittenAsTheOriginalWritesThem) {
  const std::vector<Json> rows = rows_of(GetParam(), read_json("layouts_json.json").at("writer"));
  EXPECT_GT(rows.size(), 200U);
  for (const Json& row : rows) {
    const std::string name = row.at("name");
    SCOPED_TRACE(name);
    const LayoutDescriptor layout = layout_called(name, GetParam());
    const auto text = layout.to_json(GetParam());
    ASSERT_TRUE(text) << text.error().message;
    EXPECT_EQ(*text, row.at("json").get<std::string>());
    const auto read = LayoutDescriptor::from_json(*text, {}, GetParam());
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(*read, layout);
  }
}

TEST_P(LayoutsJson, AreReadAsStrictlyAsTheOriginalReadsThem) {
  const std::vector<Json> rows = rows_of(GetParam(), read_json("layouts_json.json").at("reader"));
  EXPECT_GT(rows.size(), 70U);
  for (const Json& row : rows) {
    SCOPED_TRACE(row.at("name"));
    const std::string text = row.at("text");
    const auto layout = LayoutDescriptor::from_json(text, {}, GetParam());
    ASSERT_EQ(layout.has_value(), row.at("result") == "ok")
        << (layout ? "accepted" : layout.error().message);
    if (!layout) {
      EXPECT_EQ(layout.error().code, ErrorCode::kCorrupt);
      EXPECT_FALSE(layout.error().message.empty());
      continue;
    }
    const std::string canonical = row.at("canonical");
    EXPECT_EQ(*layout->to_json(GetParam()), canonical == "same" ? text : canonical);
  }
}

INSTANTIATE_TEST_SUITE_P(Original, LayoutsJson,
                         ::testing::Values(MessageFormat::kA, MessageFormat::kB), name_of_format);

}  // namespace
}  // namespace kvferry::wire::golden
