// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sodium.h>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "kvferry/base/result.hpp"

namespace kvferry::trust {

/// Sets libsodium up; whatever makes a key calls it first. Any number of times, from any thread.
///
/// Errors: kUnavailable.
[[nodiscard]] inline Result<void> set_up_sodium() {
  if (::sodium_init() < 0) {
    return Error{ErrorCode::kUnavailable, "libsodium: cannot be set up"};
  }
  return {};
}

[[nodiscard]] inline const unsigned char* octets(const std::byte* bytes) noexcept {
  return reinterpret_cast<const unsigned char*>(bytes);
}

[[nodiscard]] inline unsigned char* octets(std::byte* bytes) noexcept {
  return reinterpret_cast<unsigned char*>(bytes);
}

/// Fills `bytes` from twice as many lower-case hexadecimal digits; false when that is not what
/// `digits` are. How long it takes does not depend on their values.
[[nodiscard]] inline bool decode_hex(std::string_view digits, std::span<std::byte> bytes) {
  const bool has_upper_case =
      std::ranges::any_of(digits, [](char digit) { return digit >= 'A' && digit <= 'F'; });
  std::size_t count{0};
  return !has_upper_case && digits.size() == 2 * bytes.size() &&
         ::sodium_hex2bin(octets(bytes.data()), bytes.size(), digits.data(), digits.size(), nullptr,
                          &count, nullptr) == 0 &&
         count == bytes.size();
}

/// `bytes` as lower-case hexadecimal digits.
[[nodiscard]] inline std::string encode_hex(std::span<const std::byte> bytes) {
  // sodium_bin2hex() writes a zero after the digits, where std::string has one anyway.
  std::string digits(2 * bytes.size(), '\0');
  ::sodium_bin2hex(digits.data(), digits.size() + 1, octets(bytes.data()), bytes.size());
  return digits;
}

}  // namespace kvferry::trust
