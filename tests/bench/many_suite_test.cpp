// SPDX-License-Identifier: Apache-2.0
// Goal: every number of transfers in flight is measured, and none is lost.
// Method: the suite itself, quickly; whether bars are met is a matter of the machine.
#include <gtest/gtest.h>

#include "kvferry/testing/matchers.hpp"
#include "kvferry/testing/temporary_directory.hpp"
#include "suites.hpp"

namespace kvferry::bench {
namespace {

TEST(ManySuite, MeasuresEveryCaseOrSaysWhyNot) {
  const testing::TemporaryDirectory directory;
  const auto results = run_many_suite(
      {.quick = true, .socket_directory = directory.path(), .disk_directory = directory.path()});
  ASSERT_THAT(results, testing::IsOk());
  EXPECT_EQ(results->size(), 5U);
  for (const CaseResult& result : *results) {
    EXPECT_EQ(result.suite, "many");
    EXPECT_GT(result.bar, 0) << result.name;
    if (result.skipped.empty()) {
      EXPECT_GT(result.seconds.median, 0) << result.name;
    }
  }
}

}  // namespace
}  // namespace kvferry::bench
