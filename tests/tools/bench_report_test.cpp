// SPDX-License-Identifier: Apache-2.0
// Goal: the page has every case in the section of its suite, charts where sizes can be compared,
//       percentiles where there are samples, and loads nothing. Method: results made up, the page
//       looked at as text.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bench_words.hpp"

namespace kvferry::tool {
namespace {

using bench::CaseResult;
using ::testing::HasSubstr;
using ::testing::Not;

CaseResult made_up(std::string suite, std::string name) {
  CaseResult result;
  result.suite = std::move(suite);
  result.name = std::move(name);
  result.bytes = 1'000'000;
  result.seconds = {1, 1, 1, 1, 1};
  result.ratio = {1, 1, 1, 1, 1};
  result.baseline = "raw <loop>";
  bench::set_rates(result);
  return result;
}

std::string page() {
  CaseResult small = made_up("disk", "read 64 KiB");
  small.chart = {"read, direct", 65'536};
  CaseResult large = made_up("disk", "read 2 MiB");
  large.chart = {"read, direct", 2U << 20U};
  CaseResult alone = made_up("disk", "write 2 MiB");
  alone.chart = {"write, direct", 2U << 20U};
  alone.ok = false;
  CaseResult wait = made_up("latency", "shm read, sleeping");
  wait.tail = bench::Tail{1e-6, 2e-6, 3e-6};
  CaseResult none = made_up("latency", "host, sleeping");
  none.ok = false;
  none.skipped = "one processor";
  return html_of({small, large, alone, wait, none}, {"Some CPU", 2, "Linux 6", "/tmp", "ext4"});
}

TEST(BenchReport, SaysWhatWasMeasuredOnWhat) {
  EXPECT_THAT(page(), HasSubstr("Some CPU, 2 processors, Linux 6; files in /tmp (ext4)."));
  EXPECT_THAT(page(), HasSubstr("5 cases: 3 meet their bar, 1 miss it, 1 were skipped."));
  for (const char* words : {"Suite disk", "Suite latency", "read 64 KiB", "read 2 MiB",
                            "write 2 MiB", "shm read, sleeping", "skipped: one processor"}) {
    EXPECT_THAT(page(), HasSubstr(words));
  }
}

TEST(BenchReport, DrawsOnlyWhatHasSeveralSizes) {
  EXPECT_THAT(page(), HasSubstr("read, direct: GB/s over bytes"));
  EXPECT_THAT(page(), Not(HasSubstr("write, direct: GB/s")));
}

TEST(BenchReport, ListsPercentilesOfSamples) {
  EXPECT_THAT(page(), HasSubstr("<td class=\"number\">1.00</td><td class=\"number\">2.00</td>"
                                "<td class=\"number\">3.00</td>"));
}

TEST(BenchReport, LoadsNothingAndEscapes) {
  for (const char* words : {"src=", "href=", "@import", "url(", "<script", "<loop>"}) {
    EXPECT_THAT(page(), Not(HasSubstr(words)));
  }
}

}  // namespace
}  // namespace kvferry::tool
