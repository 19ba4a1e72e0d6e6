// SPDX-License-Identifier: Apache-2.0
// Goal: malformed and dubious messages are refused or read as said, and never harm. Method: each
// row of hostile.json of format A.
#include <gtest/gtest.h>

#include "kvferry/wire/message_view.hpp"
#include "vectors.hpp"

namespace kvferry::wire::golden {
namespace {

TEST(Hostile, MessagesAreRefusedOrReadAsSaid) {
  const std::vector<Json> rows = rows_of_format_a(read_json("hostile.json"));
  ASSERT_EQ(rows.size(), 357U);
  for (const Json& row : rows) {
    SCOPED_TRACE(row.at("name"));
    const Bytes bytes = from_hex(row.at("hex"));
    const auto view = decode_view(bytes);
    ASSERT_EQ(view.has_value(), row.at("kvferry_decode") == "ok")
        << (view ? "accepted" : view.error().message);
    if (!view) {
      EXPECT_EQ(view.error().code, ErrorCode::kCorrupt);
      EXPECT_NE(view.error().message.find(" at "), std::string::npos) << view.error().message;
      EXPECT_FALSE(is_canonical(bytes));
      continue;
    }
    EXPECT_EQ(value_of(*view), row.at("value"));
    EXPECT_EQ(value_of(to_owned(*view)), row.at("value"));
    EXPECT_EQ(lint_of(*view), row.at("lint"));
    EXPECT_EQ(is_canonical(bytes), row.at("canonical").get<bool>());
  }
}

}  // namespace
}  // namespace kvferry::wire::golden
