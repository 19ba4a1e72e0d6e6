// SPDX-License-Identifier: Apache-2.0
// Goal: a case counts as passed only when both sides were measured and the bar is met. Method: the
// suite beside scripts that are slow, fast, missing and broken.
#include <gtest/gtest.h>

#include "kvferry/testing/matchers.hpp"
#include "scripts.hpp"
#include "suites.hpp"

namespace kvferry::bench {
namespace {

using testing::FailsWith;

/// A program that needs `nanoseconds` for each operation.
Script taking(const std::string& nanoseconds) {
  return Script{
      "while read -r command argument; do\n"
      "  case $command in\n"
      "    message) echo ok ;;\n"
      "    *) echo \"ns $((argument * " +
      nanoseconds +
      "))\" ;;\n"
      "  esac\n"
      "done"};
}

std::vector<CaseResult> run_with(const std::string& program) {
  return run_wire_suite({.quick = true, .socket_directory = {}, .rust_program = program}).value();
}

TEST(WireSuite, PassesBesideASlowProgram) {
  const Script slow = taking("1000000000");
  const std::vector<CaseResult> results = run_with(slow.path());
  ASSERT_EQ(results.size(), 6U);
  for (const CaseResult& result : results) {
    EXPECT_TRUE(result.ok) << result.name;
    EXPECT_EQ(result.skipped, "");
    EXPECT_GT(result.seconds.min, 0);
    EXPECT_NEAR(result.seconds.median * result.ratio.median, 1.0, 1e-6) << result.name;
  }
}

TEST(WireSuite, MissesBesideAFastProgram) {
  const Script fast = taking("1");
  for (const CaseResult& result : run_with(fast.path())) {
    EXPECT_FALSE(result.ok) << result.name;
    EXPECT_EQ(result.skipped, "");
  }
}

TEST(WireSuite, SkipsEveryCaseWithTheReasonWhereThereIsNoProgram) {
  for (const auto& [program, reason] :
       {std::pair{"", "--rust"}, std::pair{"/nowhere/program", "No such file"}}) {
    const std::vector<CaseResult> results = run_with(program);
    ASSERT_EQ(results.size(), 6U);
    for (const CaseResult& result : results) {
      EXPECT_FALSE(result.ok);
      EXPECT_NE(result.skipped.find(reason), std::string::npos) << result.skipped;
      EXPECT_GT(result.bar, 1);
    }
  }
}

TEST(WireSuite, FailsWithWhatTheProgramSays) {
  const Script broken{"read -r line; echo ok; read -r line; echo 'error out of order'"};
  EXPECT_THAT(
      run_wire_suite({.quick = true, .socket_directory = {}, .rust_program = broken.path()}),
      FailsWith(ErrorCode::kCorrupt, "out of order"));
}

}  // namespace
}  // namespace kvferry::bench
