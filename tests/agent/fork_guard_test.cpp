// SPDX-License-Identifier: Apache-2.0
// Goal: a forked child knows that it is one, the parent that it is not.
// Method: fork twice, look on both sides.
#include "agent/fork_guard.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kvferry/testing/matchers.hpp"

namespace kvferry::agent {
namespace {

TEST(ForkGuard, KnowsChildrenAndGrandchildren) {
  const auto guard = ForkGuard::create();
  ASSERT_THAT(guard, kvferry::testing::IsOk());
  EXPECT_FALSE((*guard)->is_child());
  const pid_t child = fork();
  if (child == 0) {
    const bool noticed = (*guard)->is_child();
    const pid_t grandchild = fork();
    if (grandchild == 0) {
      _exit((*guard)->is_child() ? 0 : 1);
    }
    int status = 1;
    waitpid(grandchild, &status, 0);
    _exit(noticed && status == 0 ? 0 : 1);
  }
  int status = 1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_FALSE((*guard)->is_child());
}

}  // namespace
}  // namespace kvferry::agent
