// SPDX-License-Identifier: Apache-2.0
#include "kvferry/exchange/exchange.hpp"

#include <sys/random.h>

#include <array>

namespace kvferry::exchange {
namespace {

// Leaves room for suffixes and for the prefix of temporary files in a file name of 255 bytes.
constexpr std::size_t kNameBytesMax = 128;

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

Result<void> validate_name(std::string_view name) {
  if (name.empty() || name.size() > kNameBytesMax) {
    return Error{ErrorCode::kInvalidArgument, "name: " + std::to_string(name.size()) +
                                                  " characters, not 1 to " +
                                                  std::to_string(kNameBytesMax)};
  }
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (c < ' ' || c > '~' || c == '/' || c == '.') {
      return Error{ErrorCode::kInvalidArgument, "name: character " + std::to_string(i) + " (code " +
                                                    std::to_string(static_cast<unsigned char>(c)) +
                                                    ") is '/', '.' or not printable ASCII"};
    }
  }
  return {};
}

}  // namespace kvferry::exchange
