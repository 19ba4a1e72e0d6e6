// SPDX-License-Identifier: Apache-2.0
// Goal: messages of format B are not taken for format A, except those without layouts, which are
// the same bytes in both. Method: each message of format B that cross_format.json gave to the
// original's reader of A.
#include <gtest/gtest.h>

#include "kvferry/wire/message_view.hpp"
#include "vectors.hpp"

namespace kvferry::wire::golden {
namespace {

TEST(CrossFormat, MessagesOfFormatBAreRefusedUnlessTheyHaveNoLayouts) {
  std::size_t accepted{0};
  std::size_t refused{0};
  for (const Json& row : read_json("cross_format.json")) {
    if (row.at("reader") != "A") {
      continue;
    }
    const std::string name = row.at("name");
    SCOPED_TRACE(name);
    const auto bytes = read_message(name + ".bin");
    const auto view = decode_view(bytes);
    const bool fits = row.at("verdict") == "accepted" && row.at("kvferry_trial_parse") == "ok";
    ASSERT_EQ(view.has_value(), fits) << (view ? "accepted" : view.error().message);
    if (view) {
      EXPECT_TRUE(view->layouts.empty());
      EXPECT_EQ(lint_of(*view), row.at("lint"));
    }
    ++(view ? accepted : refused);
  }
  EXPECT_EQ(accepted, 14U);
  EXPECT_EQ(refused, 146U);
}

}  // namespace
}  // namespace kvferry::wire::golden
