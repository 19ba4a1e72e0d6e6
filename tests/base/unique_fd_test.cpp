// SPDX-License-Identifier: Apache-2.0
// Goal: a descriptor is closed exactly once, when its last owner lets go of it.
// Method: ask the kernel whether a descriptor is open.
#include "base/unique_fd.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <utility>

namespace kvferry {
namespace {

bool is_open(int number) { return ::fcntl(number, F_GETFD) >= 0; }

UniqueFd null() { return UniqueFd{::open("/dev/null", O_RDONLY | O_CLOEXEC)}; }

TEST(UniqueFd, ClosesWhatItStillHolds) {
  UniqueFd one = null();
  UniqueFd two = null();
  ASSERT_TRUE(one && two);
  const int first = one.get();
  const int second = two.get();
  one = std::move(two);
  EXPECT_FALSE(is_open(first)) << "at once, though the other lives on";
  EXPECT_TRUE(is_open(second));
  {
    const UniqueFd three{std::move(one)};
    EXPECT_EQ(three.get(), second);
  }
  EXPECT_FALSE(is_open(second));
  EXPECT_FALSE(UniqueFd{});
}

TEST(UniqueFd, LeavesOpenWhatItGaveAway) {
  UniqueFd one = null();
  const UniqueFd taken{one.release()};
  EXPECT_FALSE(one);
  { const UniqueFd ends{std::move(one)}; }
  EXPECT_TRUE(is_open(taken.get()));
}

}  // namespace
}  // namespace kvferry
