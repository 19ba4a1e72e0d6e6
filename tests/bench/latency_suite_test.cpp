// SPDX-License-Identifier: Apache-2.0
// Goal: each way is measured spinning and sleeping, or skipped with the reason.
// Method: the suite itself, quickly; whether bars are met is a matter of the machine.
#include <gtest/gtest.h>

#include "kvferry/testing/matchers.hpp"
#include "kvferry/testing/temporary_directory.hpp"
#include "suites.hpp"

namespace kvferry::bench {
namespace {

TEST(LatencySuite, MeasuresEveryCaseOrSaysWhyNot) {
  const testing::TemporaryDirectory directory;
  const auto results = run_latency_suite(
      {.quick = true, .socket_directory = directory.path(), .disk_directory = directory.path()});
  ASSERT_THAT(results, testing::IsOk());
  EXPECT_EQ(results->size(), 6U);
  for (const CaseResult& result : *results) {
    EXPECT_EQ(result.suite, "latency");
    EXPECT_GT(result.bar, 0) << result.name;
    if (result.skipped.empty()) {
      EXPECT_GT(result.cost.value, 0) << result.name;
      ASSERT_TRUE(result.tail.has_value()) << result.name;
      EXPECT_LE(result.tail->p50, result.tail->p99) << result.name;
    }
  }
}

}  // namespace
}  // namespace kvferry::bench
