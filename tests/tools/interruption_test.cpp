// SPDX-License-Identifier: Apache-2.0
// Goal: the first signal asks, the second ends the process; what can be cancelled begins or is
// ended
//       before, never both.
// Method: death tests, since both signals and the flag belong to the whole process.
#include "interruption.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <csignal>
#include <cstdlib>

namespace kvferry::tool {
namespace {

bool is_ready(int descriptor) {
  pollfd entry{descriptor, POLLIN, 0};
  return ::poll(&entry, 1, 0) == 1 && entry.revents == POLLIN;
}

TEST(InterruptionDeathTest, SetsAFlagAtTheFirstSignal) {
  EXPECT_FALSE(interrupted());
  for (const int signal : {SIGINT, SIGTERM}) {
    EXPECT_EXIT(
        {
          catch_interruption();
          const bool before = interrupted() || is_ready(interruption_fd());
          std::raise(signal);
          std::_Exit(!before && interrupted() && is_ready(interruption_fd()) ? 0 : 1);
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

TEST(InterruptionDeathTest, IsAnsweredByOneOfTwo) {
  EXPECT_EXIT(
      std::_Exit(begin_cancellable() && begin_cancellable() && !end_before_it_begins() ? 0 : 1),
      ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(std::_Exit(end_before_it_begins() && !begin_cancellable() ? 0 : 1),
              ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace kvferry::tool
