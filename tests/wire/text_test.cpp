// SPDX-License-Identifier: Apache-2.0
// Goal: names are UTF-8 exactly when Rust says so, control characters are found, and quoting keeps
// messages printable. Method: every code point, and each kind of malformed sequence.
#include "wire/text.hpp"

#include <gtest/gtest.h>

#include <cstdint>

namespace kvferry::wire {
namespace {

using namespace std::string_literals;

/// The bytes of a code point, valid or not, in the form for its size.
std::string utf8(std::uint32_t code) {
  const auto byte = [](std::uint32_t value) { return static_cast<char>(value); };
  const auto tail = [code, byte](unsigned shift) {
    return byte(0x80U | ((code >> shift) & 0x3FU));
  };
  if (code < 0x80) return {byte(code)};
  if (code < 0x800) return {byte(0xC0U | (code >> 6U)), tail(0)};
  if (code < 0x10000) return {byte(0xE0U | (code >> 12U)), tail(6), tail(0)};
  return {byte(0xF0U | (code >> 18U)), tail(12), tail(6), tail(0)};
}

TEST(Utf8, AcceptsEveryCodePointButSurrogatesAndThosePastTheLast) {
  for (std::uint32_t code = 0; code < 0x120000; ++code) {
    const std::string text = utf8(code);
    const bool valid = code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
    ASSERT_EQ(valid_utf8_prefix(text), valid ? text.size() : 0U) << std::hex << code;
  }
}

TEST(Utf8, RefusesOverlongCutAndLoneBytes) {
  for (const std::string& bad :
       {"\xC0\x80"s, "\xC1\xBF"s, "\xE0\x80\x80"s, "\xE0\x9F\xBF"s, "\xF0\x8F\xBF\xBF"s, "\x80"s,
        "\xBF"s, "\xFF"s, "\xFE"s, "\xF5\x80\x80\x80"s, "\xC3"s, "\xE2\x82"s, "\xF0\x9F\x9A"s,
        "\xE2(\xA1"s, "\xE2\x82("s, "\xF0\x9F\x9A("s}) {
    EXPECT_EQ(valid_utf8_prefix(bad), 0U) << bad;
    EXPECT_EQ(valid_utf8_prefix("12345678ab" + bad), 10U) << bad;
    EXPECT_EQ(valid_utf8_prefix(bad + "12345678ab"), 0U) << bad;
  }
}

TEST(Utf8, LooksAtEveryPosition) {
  for (std::size_t length = 0; length < 40; ++length) {
    std::string text(length, 'a');
    ASSERT_EQ(valid_utf8_prefix(text), length);
    ASSERT_TRUE(is_utf8(text));
    ASSERT_EQ(is_short_ascii(text), length >= 4 && length <= 16);
    for (std::size_t i = 0; i < length; ++i) {
      text[i] = '\x80';
      ASSERT_EQ(valid_utf8_prefix(text), i);
      ASSERT_FALSE(is_utf8(text)) << i << " of " << length;
      text[i] = 'a';
    }
  }
}

TEST(ControlCharacters, AreThoseOfUnicode) {
  for (std::uint32_t code = 0; code < 0x3000; ++code) {
    const bool control = code < 0x20 || (code >= 0x7F && code <= 0x9F);
    ASSERT_EQ(has_control_character("ab" + utf8(code) + "cd"), control) << std::hex << code;
  }
  EXPECT_FALSE(has_control_character(""));
}

TEST(Printable, EscapesWhatWouldReachATerminal) {
  EXPECT_EQ(printable("worker \"7\"\\"), R"("worker \"7\"\\")");
  EXPECT_EQ(printable("a\x1B[31m\n\x7F\0b"s), R"("a\u001b[31m\u000a\u007f\u0000b")");
  EXPECT_EQ(printable("\xC2\x9B\xC3\xA9"), "\"\\u009b\xC3\xA9\"");
}

TEST(Printable, CutsLongTextBetweenCharacters) {
  const std::string long_text = std::string(79, 'a') + "\xC3\xA9" + std::string(50, 'b');
  EXPECT_EQ(printable(long_text), "\"" + std::string(79, 'a') + "\xC3\xA9...\" (131 bytes)");
}

}  // namespace
}  // namespace kvferry::wire
