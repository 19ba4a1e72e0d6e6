// SPDX-License-Identifier: Apache-2.0
// Goal: $KVFERRY_LOG decides what is said on stderr, and a word that is no level does not pass in
// silence.
// Method: each level, no level and a wrong one; what stderr holds afterwards.
#include "logging.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <string>

namespace kvferry::tool {
namespace {

/// What stderr holds after one message at each level.
std::string said_with(const char* word) {
  word == nullptr ? ::unsetenv("KVFERRY_LOG") : ::setenv("KVFERRY_LOG", word, 1);
  testing::internal::CaptureStderr();
  set_up_logging();
  for (const LogLevel level :
       {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn, LogLevel::kError}) {
    log_to_stderr(level, "x");
  }
  ::unsetenv("KVFERRY_LOG");
  return testing::internal::GetCapturedStderr();
}

TEST(Logging, SaysWhatIsAtLeastOfTheLevelThatIsNamed) {
  const std::string error = "kvferry: error: x\n";
  const std::string warn = "kvferry: warn: x\n" + error;
  const std::string info = "kvferry: info: x\n" + warn;
  const std::string debug = "kvferry: debug: x\n" + info;
  EXPECT_EQ(said_with("warn"), warn);
  EXPECT_EQ(said_with("info"), info);
  EXPECT_EQ(said_with("error"), error);
  EXPECT_EQ(said_with(nullptr), warn);
  EXPECT_EQ(said_with("debug"), debug);
  EXPECT_EQ(said_with(""), warn);
  EXPECT_EQ(said_with("bogus"),
            "kvferry: KVFERRY_LOG: \"bogus\" is not debug, info, warn or error\n" + warn);
}

TEST(Logging, KnowsOnlyWholeLowerCaseWords) {
  EXPECT_EQ(parse_log_level("info"), LogLevel::kInfo);
  for (const char* text : {"", "DEBUG", "inf", "info "}) {
    EXPECT_EQ(parse_log_level(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace kvferry::tool
