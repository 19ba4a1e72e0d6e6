// SPDX-License-Identifier: Apache-2.0
// Goal: pages say what they were given, and nothing that they were given becomes markup.
// Method: pieces of pages, looked at as text.
#include "html.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvferry::tool {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kHostile = "<script>\"a\"&b</script>";
constexpr const char* kHarmless = "&lt;script&gt;&quot;a&quot;&amp;b&lt;/script&gt;";

TEST(Html, EscapesTextEverywhere) {
  EXPECT_EQ(html_escaped(kHostile), kHarmless);
  for (const std::string& html :
       {html_heading(kHostile), html_paragraph(kHostile), html_table({{kHostile}, {kHostile}}),
        html_bars({{kHostile, 1, false}}, kHostile), html_document(kHostile, "")}) {
    EXPECT_THAT(html, HasSubstr(kHarmless));
    EXPECT_THAT(html, Not(HasSubstr("<script>")));
  }
}

TEST(Html, SetsNumbersToTheRight) {
  EXPECT_EQ(html_table({{"2 heads"}, {"2"}, {"two"}, {""}}),
            "<div><table>\n<tr><th>2 heads</th></tr>\n<tr><td class=\"number\">2</td></tr>\n"
            "<tr><td>two</td></tr>\n<tr><td></td></tr>\n</table></div>\n");
}

TEST(Html, DrawsBarsInProportion) {
  const std::string chart = html_bars({{"memcpy", 10, true}, {"ours", 5, false}}, "GB/s");
  EXPECT_THAT(chart, HasSubstr("class=\"baseline\" x=\"380\" y=\"7\" width=\"420.0\""));
  EXPECT_THAT(chart, HasSubstr("class=\"bar\" x=\"380\" y=\"41\" width=\"210.0\""));
  EXPECT_THAT(chart, HasSubstr("5.0 GB/s</text>"));
  EXPECT_THAT(html_bars({{"nothing moved", 0, false}}, "GB/s"), HasSubstr("width=\"0.0\""));
}

}  // namespace
}  // namespace kvferry::tool
