// SPDX-License-Identifier: Apache-2.0
// Goal: a StrongInt behaves like its integer among its own kind, and mixes with nothing else.
// Method: by hand; what must not compile is asked of the type traits here, and of the compiler
// in tests/compile_fail.
#include "kvferry/base/strong_int.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <type_traits>
#include <unordered_set>

namespace kvferry {
namespace {

using Apple = StrongInt<struct AppleTag, std::uint32_t>;
using Pear = StrongInt<struct PearTag, std::uint32_t>;

TEST(StrongInt, KeepsItsValue) {
  EXPECT_EQ(Apple{5}.value(), 5U);
  EXPECT_EQ(Apple{}.value(), 0U);
}

TEST(StrongInt, OrdersLikeItsInteger) {
  EXPECT_EQ(Apple{5}, Apple{5});
  EXPECT_NE(Apple{5}, Apple{6});
  EXPECT_LT(Apple{5}, Apple{6});
  EXPECT_GE(Apple{6}, Apple{6});
}

TEST(StrongInt, IsAKeyOfAHashTable) {
  const std::unordered_set<Apple> apples{Apple{1}, Apple{2}, Apple{1}};
  EXPECT_EQ(apples.size(), 2U);
  EXPECT_TRUE(apples.contains(Apple{2}));
  EXPECT_FALSE(apples.contains(Apple{3}));
}

TEST(StrongInt, MixesWithNothingElse) {
  static_assert(!std::is_convertible_v<std::uint32_t, Apple>);
  static_assert(!std::is_convertible_v<Apple, std::uint32_t>);
  static_assert(!std::is_convertible_v<Pear, Apple>);
  static_assert(!std::is_constructible_v<Apple, Pear>);
  static_assert(std::is_constructible_v<Apple, std::uint32_t>);
}

TEST(StrongInt, CostsNothing) {
  static_assert(sizeof(Apple) == sizeof(std::uint32_t));
  static_assert(std::is_trivially_copyable_v<Apple>);
}

}  // namespace
}  // namespace kvferry
