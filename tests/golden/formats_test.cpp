// SPDX-License-Identifier: Apache-2.0
// Goal: every message that the original wrote is read as it was meant, and written back byte for
// byte. Method: each row of vectors.json, through the view and through what owns, compared with
// values built here from the structs.
#include <gtest/gtest.h>

#include <algorithm>

#include "kvferry/wire/message_view.hpp"
#include "kvferry/wire/serialized_layout.hpp"
#include "vectors.hpp"

namespace kvferry::wire::golden {
namespace {

class Formats : public ::testing::TestWithParam<MessageFormat> {};

/// Calls `check` with the row, the bytes and the view of each message of the format.
template <class Check>
void for_each_message(const Check& check) {
  const MessageFormat format = Formats::GetParam();
  const std::vector<Json> rows = rows_of(format, read_json("vectors.json"));
  ASSERT_EQ(rows.size(), format == MessageFormat::kA ? 133U : 160U);
  for (const Json& row : rows) {
    const std::string name = row.at("name");
    SCOPED_TRACE(name);
    const Bytes bytes = read_message(name + ".bin");
    ASSERT_EQ(bytes.size(), row.at("bytes").get<std::size_t>());
    const auto view = decode_view_as(format, bytes);
    ASSERT_TRUE(view) << view.error().message;
    check(row, bytes, *view);
  }
}

TEST_P(Formats, ViewsSayWhatTheOriginalWrote) {
  for_each_message([](const Json& row, const Bytes&, const MessageView& view) {
    Json actual = value_of(view);
    shorten_blob(row.at("value"), actual);
    EXPECT_EQ(actual, row.at("value"));
  });
}

TEST_P(Formats, OwnedMessagesSayWhatTheOriginalWrote) {
  for_each_message([](const Json& row, const Bytes& bytes, const MessageView&) {
    Json actual = value_of(to_owned(*decode_view_as(GetParam(), bytes)));
    shorten_blob(row.at("value"), actual);
    EXPECT_EQ(actual, row.at("value"));
  });
}

TEST_P(Formats, MessagesAreWrittenBackByteForByte) {
  for_each_message([](const Json&, const Bytes& bytes, const MessageView& view) {
    EXPECT_EQ(encode(view), bytes);
    EXPECT_TRUE(is_canonical(view, bytes));
    const RdmaLayoutDescriptors message = to_owned(view);
    const auto packed = SerializedLayout::pack(message.worker_address, message.nixl_metadata,
                                               message.layouts, GetParam());
    ASSERT_TRUE(packed) << packed.error().message;
    EXPECT_TRUE(std::ranges::equal(packed->as_bytes(), bytes));
  });
}

TEST_P(Formats, MessagesBreakTheRulesThatTheyAreSaidToBreak) {
  for_each_message([](const Json& row, const Bytes&, const MessageView& view) {
    EXPECT_EQ(lint_of(view), row.at("lint"));
  });
}

INSTANTIATE_TEST_SUITE_P(Original, Formats, ::testing::Values(MessageFormat::kA, MessageFormat::kB),
                         name_of_format);

}  // namespace
}  // namespace kvferry::wire::golden
