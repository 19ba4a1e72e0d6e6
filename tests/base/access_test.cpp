// SPDX-License-Identifier: Apache-2.0
// Goal: access prints with the words of the command line.
// Method: every value.
#include "kvferry/base/access.hpp"

#include <gtest/gtest.h>

namespace kvferry {
namespace {

TEST(Access, PrintsTheWordsOfTheCommandLine) {
  EXPECT_EQ(to_string(Access::kNone), "none");
  EXPECT_EQ(to_string(Access::kRead), "read");
  EXPECT_EQ(to_string(Access::kReadWrite), "read-write");
  EXPECT_EQ(to_string(static_cast<Access>(3)), "invalid");
}

}  // namespace
}  // namespace kvferry
