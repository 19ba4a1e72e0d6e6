// SPDX-License-Identifier: Apache-2.0
// Goal: what imported layouts take is measured, or skipped where the heap cannot be asked.
// Method: the suite itself, quickly; whether bars are met is a matter of the machine.
#include <gtest/gtest.h>

#include "kvferry/testing/matchers.hpp"
#include "kvferry/testing/temporary_directory.hpp"
#include "suites.hpp"

namespace kvferry::bench {
namespace {

TEST(MemorySuite, MeasuresEveryCaseOrSaysWhyNot) {
  const testing::TemporaryDirectory directory;
  const auto results = run_memory_suite(
      {.quick = true, .socket_directory = directory.path(), .disk_directory = directory.path()});
  ASSERT_THAT(results, testing::IsOk());
  EXPECT_EQ(results->size(), 3U);
  for (const CaseResult& result : *results) {
    EXPECT_EQ(result.suite, "memory");
    EXPECT_GT(result.bar, 0) << result.name;
    if (result.skipped.empty()) {
      EXPECT_GT(result.cost.value, 0) << result.name;
    }
  }
}

}  // namespace
}  // namespace kvferry::bench
