// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <initializer_list>
#include <optional>

namespace kvferry {

/// `a + b`, or nothing when the sum does not fit.
template <std::unsigned_integral T>
[[nodiscard]] constexpr std::optional<T> checked_add(T a, T b) noexcept {
  T sum{};
  if (__builtin_add_overflow(a, b, &sum)) {
    return std::nullopt;
  }
  return sum;
}

/// The product of all `factors`, or nothing when it does not fit. A zero factor makes it zero,
/// whatever the others are.
template <std::unsigned_integral T>
[[nodiscard]] constexpr std::optional<T> checked_product(
    std::initializer_list<T> factors) noexcept {
  T product{1};
  bool overflow{false};
  for (const T factor : factors) {
    if (factor == 0) {
      return T{0};
    }
    overflow = overflow || __builtin_mul_overflow(product, factor, &product);
  }
  return overflow ? std::nullopt : std::optional<T>{product};
}

/// `value` rounded up to a multiple of `unit` (not zero), or nothing when that does not fit.
template <std::unsigned_integral T>
[[nodiscard]] constexpr std::optional<T> checked_round_up(T value, T unit) noexcept {
  const T rest = value % unit;
  return rest == 0 ? std::optional<T>{value} : checked_add<T>(value, unit - rest);
}

}  // namespace kvferry
