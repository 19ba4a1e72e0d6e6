// SPDX-License-Identifier: Apache-2.0
// Goal: names are safe as file names and on a terminal.
// Method: one example for each rule, and every one-character name.
#include "kvferry/exchange/exchange.hpp"

#include <gtest/gtest.h>

#include <string>

namespace kvferry::exchange {
namespace {

TEST(WorkerName, AcceptsExactlyPrintableAsciiWithoutSlashAndDot) {
  for (int code = 0; code < 256; ++code) {
    const std::string name(1, static_cast<char>(code));
    const bool fine = code >= 0x20 && code <= 0x7E && name != "/" && name != ".";
    EXPECT_EQ(validate_name(name).has_value(), fine) << "code " << code;
  }
}

TEST(WorkerName, HasOneTo128Characters) {
  EXPECT_FALSE(validate_name(""));
  EXPECT_TRUE(validate_name(std::string(128, 'n')));
  const Result<void> long_name = validate_name(std::string(129, 'n'));
  ASSERT_FALSE(long_name);
  EXPECT_EQ(long_name.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(long_name.error().message, "name: 129 characters, not 1 to 128");
}

TEST(WorkerName, SaysWhichCharacterIsWrong) {
  const Result<void> result = validate_name("ab\ncd");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message,
            "name: character 2 (code 10) is '/', '.' or not printable ASCII");
}

}  // namespace
}  // namespace kvferry::exchange
