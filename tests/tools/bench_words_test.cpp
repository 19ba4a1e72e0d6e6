// SPDX-License-Identifier: Apache-2.0
// Goal: JSON and rows say what was measured, and of what was not measured that it was not.
// Method: results made up, one of each kind.
#include "bench_words.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace kvferry::tool {
namespace {

using bench::CaseResult;
using ::testing::ElementsAre;

CaseResult made_up() {
  CaseResult result;
  result.suite = "disk";
  result.name = "read";
  result.bytes = 2'000'000;
  result.seconds = {0.0005, 0.0008, 0.001, 0.002, 0.003};
  result.ratio = {0.5, 0.8, 0.96, 1.1, 1.2};
  result.baseline = "raw loop";
  result.bar = 0.95;
  bench::set_rates(result);
  return result;
}

TEST(BenchWords, OfARatio) {
  EXPECT_THAT(row_of(made_up()), ElementsAre("disk", "read", "2.0 GB/s", "2.1 GB/s",
                                             "0.96 (0.80 to 1.10)", "0.95", "ok"));
  const nlohmann::ordered_json json = json_of(made_up());
  EXPECT_EQ(json["ratio"], 0.96);
  EXPECT_EQ(json["seconds"]["q3"], 0.002);
  EXPECT_EQ(json["ok"], true);
  EXPECT_FALSE(json.contains("cost") || json.contains("percentiles") || json.contains("skipped"));
}

TEST(BenchWords, OfACost) {
  CaseResult result = made_up();
  result.baseline.clear();
  result.tail = bench::Tail{1, 2, 3};
  bench::set_cost(result, {7, "bytes a layout"}, 6);
  EXPECT_THAT(row_of(result), ElementsAre("disk", "read", "2.0 GB/s", "-", "7.00 bytes a layout",
                                          "at most 6.00 bytes a layout", "MISSED"));
  EXPECT_EQ(json_of(result)["cost"], 7);
  EXPECT_EQ(json_of(result)["percentiles"]["p99"], 3);
}

TEST(BenchWords, OfWhatWasSkipped) {
  CaseResult result = made_up();
  result.skipped = "no disk";
  EXPECT_THAT(row_of(result),
              ElementsAre("disk", "read", "-", "-", "-", "0.95", "skipped: no disk"));
  EXPECT_FALSE(json_of(result).contains("ok"));
}

}  // namespace
}  // namespace kvferry::tool
