// SPDX-License-Identifier: Apache-2.0
// Goal: the exchange is the one that is named, else the environment's, else the user's own.
// Method: the three variables set and unset; words that name no exchange.
#include "exchange_option.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "outcome_matchers.hpp"

namespace kvferry::tool {
namespace {

class ExchangeOption : public testing::Test {
 protected:
  void SetUp() override {
    ::unsetenv("KVFERRY_EXCHANGE");
    ::unsetenv("XDG_RUNTIME_DIR");
  }
};

TEST_F(ExchangeOption, DefaultsToTheUsersOwnDirectory) {
  EXPECT_EQ(default_exchange(), "dir:/tmp/kvferry-" + std::to_string(::getuid()));
}

TEST_F(ExchangeOption, PrefersTheRuntimeDirectoryAndThenItsOwnVariable) {
  ::setenv("XDG_RUNTIME_DIR", "/run/user/1000", 1);
  EXPECT_EQ(default_exchange(), "dir:/run/user/1000/kvferry");
  ::setenv("KVFERRY_EXCHANGE", "", 1);
  EXPECT_EQ(default_exchange(), "dir:/run/user/1000/kvferry") << "empty is unset";
  ::setenv("KVFERRY_EXCHANGE", "dir:/elsewhere", 1);
  EXPECT_EQ(default_exchange(), "dir:/elsewhere");
}

TEST_F(ExchangeOption, OpensTheDirectoryThatIsNamed) {
  const std::string base = testing::TempDir() + "kvferry-option-" + std::to_string(::getpid());
  const auto named = open_exchange("dir:" + base);
  ASSERT_TRUE(named) << named.error().message;
  EXPECT_TRUE((*named)->list(exchange_deadline()));
  EXPECT_TRUE(std::filesystem::is_directory(base));
  ::setenv("KVFERRY_EXCHANGE", ("dir:" + base).c_str(), 1);
  EXPECT_TRUE(open_exchange(""));
  std::filesystem::remove_all(base);
}

TEST_F(ExchangeOption, FindsADirectoryWithoutMakingIt) {
  const std::string base = testing::TempDir() + "kvferry-find-" + std::to_string(::getpid());
  const auto nobody = find_exchange("dir:" + base);
  ASSERT_TRUE(nobody) << nobody.error().message;
  EXPECT_EQ(*nobody, nullptr);
  EXPECT_FALSE(std::filesystem::exists(base));
  ASSERT_TRUE(open_exchange("dir:" + base));
  EXPECT_NE(*find_exchange("dir:" + base), nullptr);
  std::filesystem::remove_all(base);
  EXPECT_THAT(find_exchange("dir:/no/such/parent"), EndsWith(4, "/no/such/parent"));
  EXPECT_THAT(find_exchange("/tmp/x"), EndsWith(2, "is not dir:PATH"));
}

TEST_F(ExchangeOption, RefusesWhatIsNoExchange) {
  for (const char* text : {"dir:", "/tmp/x", "dir", "file:/tmp/x"}) {
    EXPECT_THAT(open_exchange(text), EndsWith(2, "is not dir:PATH")) << text;
  }
  EXPECT_THAT(open_exchange("etcd:http://host:2379/kvferry"), EndsWith(3, "not known yet"));
  EXPECT_THAT(open_exchange("dir:/no/such/parent"), EndsWith(4, "/no/such/parent"));
}

}  // namespace
}  // namespace kvferry::tool
