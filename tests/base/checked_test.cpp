// SPDX-License-Identifier: Apache-2.0
// Goal: sums, products and roundings that do not fit are seen, and no other is refused.
// Method: all pairs of 8-bit numbers against 32-bit arithmetic; the corners of 64 bits by hand.
#include "kvferry/base/checked.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <optional>

namespace kvferry {
namespace {

constexpr std::uint64_t kMax64 = std::numeric_limits<std::uint64_t>::max();

// What `exact` is in 8 bits, if it fits.
std::optional<std::uint8_t> in_8_bits(unsigned exact) {
  return exact <= 255 ? std::optional{static_cast<std::uint8_t>(exact)} : std::nullopt;
}

TEST(CheckedAdd, EqualsWideArithmeticForAllBytes) {
  for (unsigned a = 0; a < 256; ++a) {
    for (unsigned b = 0; b < 256; ++b) {
      ASSERT_EQ(checked_add(static_cast<std::uint8_t>(a), static_cast<std::uint8_t>(b)),
                in_8_bits(a + b))
          << a << " + " << b;
    }
  }
}

TEST(CheckedAdd, SeesTheEndOf64Bits) {
  EXPECT_EQ(checked_add<std::uint64_t>(kMax64, 0), kMax64);
  EXPECT_EQ(checked_add<std::uint64_t>(kMax64 - 1, 1), kMax64);
  EXPECT_EQ(checked_add<std::uint64_t>(kMax64, 1), std::nullopt);
  EXPECT_EQ(checked_add<std::uint64_t>(kMax64, kMax64), std::nullopt);
}

TEST(CheckedProduct, EqualsWideArithmeticForAllBytes) {
  for (unsigned a = 0; a < 256; ++a) {
    for (unsigned b = 0; b < 256; ++b) {
      ASSERT_EQ(checked_product<std::uint8_t>(
                    {static_cast<std::uint8_t>(a), static_cast<std::uint8_t>(b)}),
                in_8_bits(a * b))
          << a << " * " << b;
    }
  }
}

TEST(CheckedProduct, SeesTheEndOf64Bits) {
  constexpr std::uint64_t k2To32 = std::uint64_t{1} << 32U;
  EXPECT_EQ(checked_product<std::uint64_t>({k2To32, k2To32 - 1}), kMax64 - k2To32 + 1);
  EXPECT_EQ(checked_product<std::uint64_t>({k2To32, k2To32}), std::nullopt);
  EXPECT_EQ(checked_product<std::uint64_t>({k2To32, 2, k2To32 / 2}), std::nullopt);
  EXPECT_EQ(checked_product<std::uint64_t>({k2To32, k2To32, 3, 5}), std::nullopt);
}

TEST(CheckedProduct, IsZeroWhereverAZeroStands) {
  EXPECT_EQ(checked_product<std::uint64_t>({0, kMax64, kMax64}), 0U);
  EXPECT_EQ(checked_product<std::uint64_t>({kMax64, kMax64, 0}), 0U);
}

TEST(CheckedProduct, OfNothingIsOne) { EXPECT_EQ(checked_product<std::uint64_t>({}), 1U); }

TEST(CheckedRoundUp, EqualsWideArithmeticForAllBytes) {
  for (unsigned value = 0; value < 256; ++value) {
    for (unsigned unit = 1; unit < 256; ++unit) {
      ASSERT_EQ(checked_round_up(static_cast<std::uint8_t>(value), static_cast<std::uint8_t>(unit)),
                in_8_bits((value + unit - 1) / unit * unit))
          << value << " to a multiple of " << unit;
    }
  }
}

TEST(CheckedRoundUp, SeesTheEndOf64Bits) {
  EXPECT_EQ(checked_round_up<std::uint64_t>(kMax64 - 4095, 4096), kMax64 - 4095);
  EXPECT_EQ(checked_round_up<std::uint64_t>(kMax64 - 4094, 4096), std::nullopt);
}

TEST(Checked, WorksAtCompileTime) {
  static_assert(checked_add<std::uint16_t>(65535, 1) == std::nullopt);
  static_assert(checked_product<std::uint32_t>({3, 5, 7}) == 105U);
  static_assert(checked_round_up<std::uint32_t>(4097, 4096) == 8192U);
}

}  // namespace
}  // namespace kvferry
