// SPDX-License-Identifier: Apache-2.0
// Goal: codes keep the numbers that travel between workers; outer layers only add to a message.
// Method: the whole table, by hand.
#include "kvferry/base/error.hpp"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace kvferry {
namespace {

TEST(ErrorCode, KeepsNumberAndName) {
  const std::vector<std::pair<int, std::string_view>> names{
      {1, "InvalidArgument"}, {2, "Incompatible"}, {3, "Corrupt"}, {4, "Refused"},
      {5, "Unavailable"},     {6, "Stale"},        {7, "Busy"},    {8, "Deadline"},
      {9, "Cancelled"},       {10, "WrongBytes"},
  };
  for (const auto& [number, name] : names) {
    EXPECT_EQ(to_string(static_cast<ErrorCode>(number)), name);
  }
}

TEST(ErrorCode, HasANameEvenWhenItIsOfALaterVersion) {
  EXPECT_EQ(to_string(static_cast<ErrorCode>(0)), "unknown");
  EXPECT_EQ(to_string(static_cast<ErrorCode>(11)), "unknown");
}

TEST(Error, PutsContextInFront) {
  Error error{ErrorCode::kCorrupt, "need 48 bytes, have 31"};
  error = std::move(error).with_context("entry 3").with_context("decode manifest");
  EXPECT_EQ(error.code, ErrorCode::kCorrupt);
  EXPECT_EQ(error.message, "decode manifest: entry 3: need 48 bytes, have 31");
}

TEST(Error, ComparesCodeAndMessage) {
  const Error error{ErrorCode::kBusy, "block 4"};
  EXPECT_EQ(error, (Error{ErrorCode::kBusy, "block 4"}));
  EXPECT_NE(error, (Error{ErrorCode::kStale, "block 4"}));
  EXPECT_NE(error, (Error{ErrorCode::kBusy, "block 5"}));
}

}  // namespace
}  // namespace kvferry
