// SPDX-License-Identifier: Apache-2.0
// Goal: the first signal asks, the second ends the process.
// Method: death tests, since both signals and the flag belong to the whole process.
#include "interruption.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>

namespace kvferry::tool {
namespace {

TEST(InterruptionDeathTest, SetsAFlagAtTheFirstSignal) {
  EXPECT_FALSE(interrupted());
  for (const int signal : {SIGINT, SIGTERM}) {
    EXPECT_EXIT(
        {
          catch_interruption();
          const bool before = interrupted();
          std::raise(signal);
          std::_Exit(!before && interrupted() ? 0 : 1);
        },
        ::testing::ExitedWithCode(0), "");
  }
}

TEST(InterruptionDeathTest, LetsTheSecondSignalEndTheProcess) {
  for (const int signal : {SIGINT, SIGTERM}) {
    EXPECT_EXIT(
        {
          catch_interruption();
          std::raise(signal);
          std::raise(signal);
          std::_Exit(0);
        },
        ::testing::KilledBySignal(signal), "");
  }
}

}  // namespace
}  // namespace kvferry::tool
