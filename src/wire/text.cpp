// SPDX-License-Identifier: Apache-2.0
#include "wire/text.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <cstring>

namespace kvferry::wire {
namespace {

constexpr std::size_t kQuotedBytesMax = 80;

std::uint8_t byte_at(std::string_view text, std::size_t i) noexcept {
  return static_cast<std::uint8_t>(text[i]);
}

bool in(std::uint8_t value, std::uint8_t low, std::uint8_t high) noexcept {
  return low <= value && value <= high;
}

/// How many continuation bytes follow `lead`, with the range of the first of them: what keeps out
/// overlong forms, surrogates and code points past U+10FFFF. Zero for a byte that leads nothing.
struct Sequence {
  std::size_t continuations;
  std::uint8_t second_low;
  std::uint8_t second_high;
};

Sequence sequence_of(std::uint8_t lead) noexcept {
  if (in(lead, 0xC2, 0xDF)) return {1, 0x80, 0xBF};
  if (lead == 0xE0) return {2, 0xA0, 0xBF};
  if (lead == 0xED) return {2, 0x80, 0x9F};
  if (in(lead, 0xE1, 0xEF)) return {2, 0x80, 0xBF};
  if (lead == 0xF0) return {3, 0x90, 0xBF};
  if (in(lead, 0xF1, 0xF3)) return {3, 0x80, 0xBF};
  if (lead == 0xF4) return {3, 0x80, 0x8F};
  return {0, 0, 0};
}

/// Bytes of the character at `i`, which is not ASCII; 0 when there is none.
std::size_t wide_character(std::string_view text, std::size_t i) noexcept {
  const Sequence sequence = sequence_of(byte_at(text, i));
  if (sequence.continuations == 0 || text.size() - i <= sequence.continuations ||
      !in(byte_at(text, i + 1), sequence.second_low, sequence.second_high)) {
    return 0;
  }
  for (std::size_t k = 2; k <= sequence.continuations; ++k) {
    if (!in(byte_at(text, i + k), 0x80, 0xBF)) {
      return 0;
    }
  }
  return 1 + sequence.continuations;
}

/// The code of the control character at `i` and how many bytes it takes; 0 bytes for any other.
struct Control {
  std::size_t bytes;
  std::uint8_t code;
};

Control control_at(std::string_view text, std::size_t i) noexcept {
  const std::uint8_t first = byte_at(text, i);
  if (first < 0x20 || first == 0x7F) {
    return {1, first};
  }
  // U+0080 to U+009F are C2 80 to C2 9F.
  if (first == 0xC2 && i + 1 < text.size() && in(byte_at(text, i + 1), 0x80, 0x9F)) {
    return {2, byte_at(text, i + 1)};
  }
  return {0, 0};
}

}  // namespace

std::size_t valid_utf8_prefix(std::string_view text) noexcept {
  constexpr std::uint64_t kHighBits = 0x8080'8080'8080'8080;
  std::size_t i{0};
  while (i < text.size()) {
    // Names are nearly always ASCII: eight at a time.
    std::uint64_t eight{0};
    if (text.size() - i >= sizeof eight) {
      std::memcpy(&eight, text.data() + i, sizeof eight);
      if ((eight & kHighBits) == 0) {
        i += sizeof eight;
        continue;
      }
    }
    if (byte_at(text, i) < 0x80) {
      ++i;
      continue;
    }
    const std::size_t bytes = wide_character(text, i);
    if (bytes == 0) {
      break;
    }
    i += bytes;
  }
  return i;
}

bool has_control_character(std::string_view text) noexcept {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (control_at(text, i).bytes != 0) {
      return true;
    }
  }
  return false;
}

std::string printable(std::string_view text) {
  std::string out{"\""};
  for (std::size_t i = 0; i < text.size();) {
    // Only cut in front of a character, so that the message stays UTF-8.
    if (i >= kQuotedBytesMax && !in(byte_at(text, i), 0x80, 0xBF)) {
      return out + fmt::format("...\" ({} bytes)", text.size());
    }
    if (const Control control = control_at(text, i); control.bytes != 0) {
      out += fmt::format("\\u{:04x}", control.code);
      i += control.bytes;
      continue;
    }
    if (text[i] == '"' || text[i] == '\\') {
      out += '\\';
    }
    out += text[i++];
  }
  return out + '"';
}

std::string harmless_text(std::string_view text) {
  const std::string_view valid = text.substr(0, valid_utf8_prefix(text));
  const bool is_harmless = valid.size() == text.size() && !has_control_character(text);
  return is_harmless ? std::string{text} : printable(valid);
}

}  // namespace kvferry::wire
