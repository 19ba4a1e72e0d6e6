// SPDX-License-Identifier: Apache-2.0
// Goal: no message is taken for one of the other format, except those without layouts, which are
// the same bytes in both. Method: each message that cross_format.json gave to the original's reader
// of the other format.
#include <gtest/gtest.h>

#include <map>

#include "kvferry/wire/message_view.hpp"
#include "vectors.hpp"

namespace kvferry::wire::golden {
namespace {

TEST(CrossFormat, MessagesAreRefusedByTheOtherReaderUnlessTheyHaveNoLayouts) {
  std::map<MessageFormat, std::size_t> accepted;
  std::size_t refused{0};
  for (const Json& row : read_json("cross_format.json")) {
    const MessageFormat reader = row.at("reader") == "A" ? MessageFormat::kA : MessageFormat::kB;
    const std::string name = row.at("name");
    SCOPED_TRACE(name);
    const auto bytes = read_message(name + ".bin");
    const auto view = decode_view_as(reader, bytes);
    const bool fits = row.at("verdict") == "accepted" && row.at("kvferry_trial_parse") == "ok";
    ASSERT_EQ(view.has_value(), fits) << (view ? "accepted" : view.error().message);
    if (view) {
      EXPECT_TRUE(view->layouts().empty());
      EXPECT_TRUE(view->is_ambiguous);
      EXPECT_EQ(lint_of(*view), row.at("lint"));
      ++accepted[reader];
    } else {
      ++refused;
    }
  }
  EXPECT_EQ(accepted[MessageFormat::kA], 14U);
  EXPECT_EQ(accepted[MessageFormat::kB], 14U);
  EXPECT_EQ(refused, 265U);
}

}  // namespace
}  // namespace kvferry::wire::golden
