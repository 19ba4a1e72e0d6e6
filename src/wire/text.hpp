// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace kvferry::wire {

/// How many bytes at the front of `text` are whole, valid UTF-8 characters; all of them for UTF-8.
[[nodiscard]] std::size_t valid_utf8_prefix(std::string_view text) noexcept;

/// Whether `text`, which is UTF-8, holds a control character: U+0000 to U+001F, U+007F to U+009F.
[[nodiscard]] bool has_control_character(std::string_view text) noexcept;

/// `text`, which is UTF-8, in quotes, with control characters escaped and cut after about 80 bytes:
/// error messages end up on terminals and in logs.
[[nodiscard]] std::string printable(std::string_view text);

/// `text`, whatever bytes it is: as it is where it is UTF-8 without control characters, else what
/// of it is UTF-8, as printable() writes it.
[[nodiscard]] std::string harmless_text(std::string_view text);

/// Whether `text` is ASCII of at most 16 bytes, as names of agents mostly are. Such text is UTF-8.
[[nodiscard]] inline bool is_short_ascii(std::string_view text) noexcept {
  const auto halves = [&text]<class Half>(Half first) {
    Half last{0};
    std::memcpy(&first, text.data(), sizeof first);
    std::memcpy(&last, text.data() + text.size() - sizeof last, sizeof last);
    constexpr Half kHighBits = static_cast<Half>(0x8080'8080'8080'8080);
    return ((first | last) & kHighBits) == 0;
  };
  if (text.size() < sizeof(std::uint32_t) || text.size() > 2 * sizeof(std::uint64_t)) {
    return false;
  }
  return text.size() < sizeof(std::uint64_t) ? halves(std::uint32_t{0}) : halves(std::uint64_t{0});
}

[[nodiscard]] inline bool is_utf8(std::string_view text) noexcept {
  return is_short_ascii(text) || valid_utf8_prefix(text) == text.size();
}

}  // namespace kvferry::wire
