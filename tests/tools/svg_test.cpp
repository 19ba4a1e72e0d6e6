// SPDX-License-Identifier: Apache-2.0
// Goal: a drawing is XML whatever it was told to say, and no text is wider than it was allowed.
// Method: every byte as text; widths from one letter to more than there are.
#include "svg.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace kvferry::tool {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kHostile = "</text><script>\"a\"&b</script>";
constexpr const char* kHarmless = "&lt;/text&gt;&lt;script&gt;&quot;a&quot;&amp;b&lt;/script&gt;";

TEST(Svg, EscapesTextEverywhere) {
  Svg svg{100};
  svg.open(kHostile);
  svg.rect({0, 0, 1, 1}, kHostile, kHostile);
  svg.text({1, 1}, kHostile);
  svg.line({0, 0}, {1, 1}, kHostile);
  svg.lens({0, 0, 1, 1}, {0, 2, 1, 1}, kHostile);
  svg.ribbon({0, 0, 1, 1}, {0, 2, 1, 1}, kHostile);
  svg.close();
  const std::string drawing = svg.document(kHostile, 100);
  EXPECT_THAT(drawing, Not(HasSubstr("<script")));
  EXPECT_THAT(drawing, HasSubstr(kHarmless));
}

TEST(Svg, HoldsOnlyPrintableAscii) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text(1, static_cast<char>(byte));
    for (const char letter : svg_escaped(text)) {
      EXPECT_TRUE(letter >= ' ' && letter <= '~') << byte;
    }
    if (byte < ' ' || byte > '~') {
      EXPECT_EQ(svg_escaped(text), "?") << byte;
    }
  }
}

TEST(Svg, LoadsAndRunsNothing) {
  const std::string drawing = Svg{100}.document("title", 50);
  EXPECT_THAT(drawing, HasSubstr("viewBox=\"0 0 100 50\""));
  for (const char* word : {"href", "@import", "<script", "<image", "onload", "url(h"}) {
    EXPECT_THAT(drawing, Not(HasSubstr(word)));
  }
}

TEST(Svg, WritesNumbersShort) {
  Svg svg{100};
  svg.rect({1.0, 0.5, 1.0 / 3, -0.0001}, "a");
  EXPECT_THAT(svg.document("", 1), HasSubstr("x=\"1\" y=\"0.5\" width=\"0.33\" height=\"0\""));
}

TEST(Svg, CutsTextThatDoesNotFit) {
  const std::string text{"geometry:llama-3.1-8b,layout=ls"};
  EXPECT_EQ(fitted(text, 12, 1000), text);
  EXPECT_EQ(fitted(text, 12, 1), "");
  std::size_t longest{0};
  for (double width = 0; width < 400; width += 3) {
    const std::string shown = fitted(text, 12, width);
    EXPECT_LE(text_width(shown, 12), width);
    EXPECT_GE(shown.size() + 3, longest);  // The dots take three letters from the whole text.
    longest = std::max(longest, shown.size());
  }
  EXPECT_EQ(longest, text.size());
}

TEST(Svg, KeepsTheEndOfAPath) {
  const std::string path{"/a/very/long/path/of/a/message.kvfy"};
  EXPECT_EQ(fitted_end(path, 12, 1000), path);
  EXPECT_EQ(fitted_end(path, 12, 1), "");
  const std::string shown = fitted_end(path, 12, 120);
  EXPECT_THAT(shown, testing::StartsWith("..."));
  EXPECT_THAT(shown, testing::EndsWith("message.kvfy"));
  EXPECT_LE(text_width(shown, 12), 120);
}

TEST(Svg, ChoosesTheFirstTextThatFits) {
  EXPECT_EQ(first_fitting({"token 3", "3"}, 10, 100), "token 3");
  EXPECT_EQ(first_fitting({"token 3", "3"}, 10, 10), "3");
  EXPECT_EQ(first_fitting({"token 3", "3"}, 10, 1), "");
}

}  // namespace
}  // namespace kvferry::tool
