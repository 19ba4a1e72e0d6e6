// SPDX-License-Identifier: Apache-2.0
// Goal: a process counts as alive exactly while it runs, and never because a later one has its pid.
// Method: lines of /proc/PID/stat; this process with one field changed at a time; children that
// wait, that have ended, and that nobody has waited for.
#include "exchange/process.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

namespace kvferry::exchange {
namespace {

const std::string kFields4To21 = " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 ";

TEST(ProcessStat, ReadsStateAndStartTime) {
  const auto stat = parse_process_stat("42 (kvferry) S" + kFields4To21 + "987654 0 0\n");
  ASSERT_TRUE(stat.has_value());
  EXPECT_EQ(stat->state, 'S');
  EXPECT_EQ(stat->start_time, 987654U);
}

TEST(ProcessStat, PassesOverACommandWithSpacesAndBrackets) {
  const auto stat = parse_process_stat("42 (a) Z (1 2) 3) R" + kFields4To21 + "5 0\n");
  ASSERT_TRUE(stat.has_value());
  EXPECT_EQ(stat->state, 'R');
  EXPECT_EQ(stat->start_time, 5U);
}

TEST(ProcessStat, IsNothingWhenCutBeforeTheStartTime) {
  const std::string line = "42 (kvferry) S" + kFields4To21;
  for (std::size_t length = 0; length <= line.size(); ++length) {
    EXPECT_FALSE(parse_process_stat(line.substr(0, length)).has_value()) << "length " << length;
  }
}

TEST(ProcessIdentity, OfThisProcessIsAlive) {
  const Result<ProcessIdentity> own = own_process();
  ASSERT_TRUE(own);
  EXPECT_EQ(own->pid, static_cast<std::uint64_t>(::getpid()));
  EXPECT_EQ(own->boot_id.size(), 36U);
  EXPECT_TRUE(*is_alive(*own));
}

TEST(ProcessIdentity, IsDeadWhenAnyPartDiffers) {
  const ProcessIdentity own = *own_process();
  ProcessIdentity other = own;
  other.start_time += 1;
  EXPECT_FALSE(*is_alive(other)) << "a later process with this pid";
  other = own;
  other.boot_id = "00000000-0000-0000-0000-000000000000";
  EXPECT_FALSE(*is_alive(other)) << "an earlier boot";
  other = own;
  other.pid = ~std::uint64_t{0};
  EXPECT_FALSE(*is_alive(other)) << "no such process";
}

TEST(ProcessIdentity, OfAProcessThatEndedIsDeadEvenBeforeAnybodyWaitedForIt) {
  int pipe_ends[2];
  ASSERT_EQ(::pipe(pipe_ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(pipe_ends[1]);
    char nothing{};
    const ssize_t end = ::read(pipe_ends[0], &nothing, 1);
    ::_exit(end == 0 ? 0 : 1);
  }
  ASSERT_GT(child, 0);
  ::close(pipe_ends[0]);
  ProcessIdentity identity = *own_process();
  identity.pid = static_cast<std::uint64_t>(child);
  // The start time of a child is not known from outside this unit: find it by asking.
  const std::uint64_t first = identity.start_time;
  while (!*is_alive(identity) && identity.start_time < first + 100'000) {
    ++identity.start_time;
  }
  EXPECT_TRUE(*is_alive(identity));
  const UniqueFd process = *open_process(identity);
  ASSERT_TRUE(process);
  pollfd end{process.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&end, 1, 0), 0) << "runs";

  ::close(pipe_ends[1]);
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);
  EXPECT_FALSE(*is_alive(identity)) << "a zombie";
  EXPECT_EQ(::poll(&end, 1, 0), 1);
  EXPECT_FALSE(*open_process(identity));
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_FALSE(*is_alive(identity)) << "gone";
}

}  // namespace
}  // namespace kvferry::exchange
