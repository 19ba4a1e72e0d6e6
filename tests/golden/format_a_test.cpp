// SPDX-License-Identifier: Apache-2.0
// Goal: every message that the original wrote in format A is read as it was meant, and written back
// byte for byte. Method: each row of vectors.json, through the view and through what owns, compared
// with values built here from the structs.
#include <gtest/gtest.h>

#include <algorithm>

#include "kvferry/wire/message_view.hpp"
#include "kvferry/wire/serialized_layout.hpp"
#include "vectors.hpp"

namespace kvferry::wire::golden {
namespace {

/// Calls `check` with the row, the bytes and the view of each message of format A.
template <class Check>
void for_each_message(const Check& check) {
  const std::vector<Json> rows = rows_of_format_a(read_json("vectors.json"));
  ASSERT_EQ(rows.size(), 133U);
  for (const Json& row : rows) {
    const std::string name = row.at("name");
    SCOPED_TRACE(name);
    const Bytes bytes = read_message(name + ".bin");
    ASSERT_EQ(bytes.size(), row.at("bytes").get<std::size_t>());
    const auto view = decode_view(bytes);
    ASSERT_TRUE(view) << view.error().message;
    check(row, bytes, *view);
  }
}

TEST(FormatA, ViewsSayWhatTheOriginalWrote) {
  for_each_message([](const Json& row, const Bytes&, const MessageView& view) {
    Json actual = value_of(view);
    shorten_blob(row.at("value"), actual);
    EXPECT_EQ(actual, row.at("value"));
  });
}

TEST(FormatA, OwnedMessagesSayWhatTheOriginalWrote) {
  for_each_message([](const Json& row, const Bytes& bytes, const MessageView&) {
    const auto message = SerializedLayout::from_bytes(bytes).unpack();
    ASSERT_TRUE(message) << message.error().message;
    Json actual = value_of(*message);
    shorten_blob(row.at("value"), actual);
    EXPECT_EQ(actual, row.at("value"));
  });
}

TEST(FormatA, MessagesAreWrittenBackByteForByte) {
  for_each_message([](const Json&, const Bytes& bytes, const MessageView& view) {
    EXPECT_EQ(encode(view), bytes);
    EXPECT_TRUE(is_canonical(bytes));
    const RdmaLayoutDescriptors message = to_owned(view);
    const auto packed =
        SerializedLayout::pack(message.worker_address, message.nixl_metadata, message.layouts);
    ASSERT_TRUE(packed) << packed.error().message;
    EXPECT_TRUE(std::ranges::equal(packed->as_bytes(), bytes));
  });
}

TEST(FormatA, MessagesBreakTheRulesThatTheyAreSaidToBreak) {
  for_each_message([](const Json& row, const Bytes&, const MessageView& view) {
    EXPECT_EQ(lint_of(view), row.at("lint"));
  });
}

}  // namespace
}  // namespace kvferry::wire::golden
