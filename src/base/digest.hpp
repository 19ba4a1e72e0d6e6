// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "kvferry/base/ids.hpp"

namespace kvferry {

/// XXH3-128 of some bytes.
struct Digest {
  std::uint64_t low{0};
  std::uint64_t high{0};

  friend constexpr bool operator==(const Digest&, const Digest&) = default;
};

/// As the reference tools print it: 32 digits, the high half first.
[[nodiscard]] inline std::string to_string(const Digest& digest) {
  constexpr std::array<char, 17> kDigits{"0123456789abcdef"};
  std::string text;
  for (const std::uint64_t half : {digest.high, digest.low}) {
    for (unsigned shift = 64; shift != 0; shift -= 4) {
      text += kDigits[(half >> (shift - 4)) % 16];
    }
  }
  return text;
}

/// What one digest is of: tokens of one layer of a block, with all that their layout holds of it or
/// a range of that, in the order of outer, token, head and element.
struct DigestBox {
  BlockId block{};
  std::uint64_t layer{0};  ///< of the whole model
  std::uint64_t first_token{0};
  std::uint64_t tokens{0};

  friend constexpr bool operator==(const DigestBox&, const DigestBox&) = default;
};

}  // namespace kvferry
