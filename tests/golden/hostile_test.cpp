// SPDX-License-Identifier: Apache-2.0
// Goal: malformed and dubious messages are refused or read as said, and never harm. Method: each
// row of hostile.json, read as the format that it is about.
#include <gtest/gtest.h>

#include "kvferry/wire/message_view.hpp"
#include "vectors.hpp"

namespace kvferry::wire::golden {
namespace {

class Hostile : public ::testing::TestWithParam<MessageFormat> {};

TEST_P(Hostile, MessagesAreRefusedOrReadAsSaid) {
  const std::vector<Json> rows = rows_of(GetParam(), read_json("hostile.json"));
  ASSERT_EQ(rows.size(), GetParam() == MessageFormat::kA ? 357U : 387U);
  for (const Json& row : rows) {
    SCOPED_TRACE(row.at("name"));
    const Bytes bytes = from_hex(row.at("hex"));
    const auto view = decode_view_as(GetParam(), bytes);
    ASSERT_EQ(view.has_value(), row.at("kvferry_decode") == "ok")
        << (view ? "accepted" : view.error().message);
    if (!view) {
      EXPECT_EQ(view.error().code, ErrorCode::kCorrupt);
      EXPECT_NE(view.error().message.find(" at "), std::string::npos) << view.error().message;
      continue;
    }
    EXPECT_EQ(value_of(*view), row.at("value"));
    EXPECT_EQ(value_of(to_owned(*view)), row.at("value"));
    EXPECT_EQ(lint_of(*view), row.at("lint"));
    EXPECT_EQ(is_canonical(*view, bytes), row.at("canonical").get<bool>());
  }
}

INSTANTIATE_TEST_SUITE_P(Original, Hostile, ::testing::Values(MessageFormat::kA, MessageFormat::kB),
                         name_of_format);

}  // namespace
}  // namespace kvferry::wire::golden
