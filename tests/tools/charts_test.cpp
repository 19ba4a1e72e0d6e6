// SPDX-License-Identifier: Apache-2.0
// Goal: charts put every figure where its value is, on one scale, and show both sides apart.
// Method: charts of known figures, looked at as text.
#include "charts.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvferry::tool {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(RateCharts, PutSizesAndRatesOnTheirAxes) {
  const std::string html =
      html_rates({{"read", {{65'536, 5, 10}, {262'144, 10, 10}, {1'048'576, 7.5, 2.5}}}});
  // From 34 at the top, which is 10 GB/s, to 168 at the bottom; sizes as powers.
  EXPECT_THAT(html, HasSubstr("d=\"M72.0,101.0 L187.0,34.0 L302.0,67.5\" class=\"ours line\""));
  EXPECT_THAT(html, HasSubstr("d=\"M72.0,34.0 L187.0,34.0 L302.0,134.5\" class=\"other line\""));
  EXPECT_THAT(html, HasSubstr(">64 KiB</text>"));
  EXPECT_THAT(html, HasSubstr(">1 MiB</text>"));
}

TEST(RateCharts, ShareOneScale) {
  const std::string html =
      html_rates({{"slow", {{1024, 1, 1}, {2048, 1, 1}}}, {"fast", {{1024, 17, 1}, {2048, 1, 1}}}});
  EXPECT_THAT(html, HasSubstr(">20</text>"));
  EXPECT_THAT(html, Not(HasSubstr(">1</text>"))) << "a scale of its own";
}

TEST(RateCharts, EscapeTitles) {
  EXPECT_THAT(html_rates({{"<b>", {{1024, 1, 1}}}}), Not(HasSubstr("<b>")));
}

TEST(Spreads, ShowQuartilesMedianAndBar) {
  const std::string html = html_spreads({{"shm, sleeping", 1, 2, 4, 8, 10}}, "us");
  // 480 wide for 10 us, from 260 on.
  EXPECT_THAT(html, HasSubstr("<line x1=\"308.0\" y1=\"17.0\" x2=\"644.0\""));
  EXPECT_THAT(html, HasSubstr("<rect x=\"356.0\" y=\"10.0\" width=\"288.0\""));
  EXPECT_THAT(html, HasSubstr("<line x1=\"452.0\" y1=\"8.0\" x2=\"452.0\""));
  EXPECT_THAT(html, HasSubstr("<line x1=\"740.0\" y1=\"4.0\" x2=\"740.0\""));
  EXPECT_THAT(html, HasSubstr(">10 us</text>"));
}

}  // namespace
}  // namespace kvferry::tool
