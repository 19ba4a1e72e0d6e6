// SPDX-License-Identifier: Apache-2.0
#include "kvferry/base/epoch.hpp"

#include <sys/random.h>

#include <array>
#include <string_view>

namespace kvferry {
namespace {

std::string hex(std::uint64_t value) {
  constexpr std::string_view kDigits{"0123456789abcdef"};
  std::string text(16, '0');
  for (std::size_t i = 0; i < text.size(); ++i) {
    text[text.size() - 1 - i] = kDigits[(value >> (4 * i)) & 0xFU];
  }
  return text;
}

}  // namespace

std::string to_string(Epoch epoch) { return hex(epoch.high) + hex(epoch.low); }

Result<Epoch> draw_epoch() {
  std::array<std::uint64_t, 2> words{};
  if (::getrandom(words.data(), sizeof words, 0) != static_cast<ssize_t>(sizeof words)) {
    return Error{ErrorCode::kUnavailable, "epoch: the system gave no random bytes"};
  }
  return Epoch{words[0], words[1]};
}

}  // namespace kvferry
