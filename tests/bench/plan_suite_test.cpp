// SPDX-License-Identifier: Apache-2.0
// Goal: every case of suite plan is measured, beside loops that plan the same bytes, and judged by
// what it costs. Method: the suite itself, quickly; whether bars are met is a matter of the
// machine.
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "kvferry/layout/packed.hpp"
#include "kvferry/testing/matchers.hpp"
#include "pieces.hpp"
#include "plan_by_hand.hpp"
#include "suites.hpp"

namespace kvferry::bench {
namespace {

layout::LayoutView view(layout::BlockAxes order) {
  const layout::LayoutConfig config = llama_config(4);
  return layout::packed_view({.config = config, .order = order}, {{4096, config.required_bytes()}})
      .value();
}

TEST(PlanSuite, MeasuresEveryCaseAndJudgesItByItsCost) {
  const auto results = run_plan_suite({.quick = true, .socket_directory = {}, .rust_program = {}});
  ASSERT_TRUE(results.has_value()) << results.error().message;
  const auto count = [&results](std::string_view unit) {
    return std::count_if(results->begin(), results->end(),
                         [unit](const CaseResult& result) { return result.cost.unit == unit; });
  };
  EXPECT_EQ(count("ns a piece"), 8);
  EXPECT_EQ(count("us a plan"), 5);
  EXPECT_EQ(count("as power of the size"), 3);
  for (const CaseResult& result : *results) {
    EXPECT_EQ(result.suite, "plan");
    EXPECT_EQ(result.skipped, "");
    EXPECT_GT(result.seconds.min, 0) << result.name;
    EXPECT_GT(result.ratio.median, 0) << result.name;
    EXPECT_GT(result.cost.value, 0) << result.name;
    EXPECT_EQ(result.ok, result.cost.value <= result.bar) << result.name;
  }
}

TEST(PlanByHand, MakesAsManyPiecesAsTheGrainSays) {
  const std::vector<BlockId> ids = block_ids({3, 1});
  const std::uint64_t bytes = ids.size() * llama_config(4).block_bytes();
  for (const auto& [grain, pieces] :
       {std::pair{Grain::kOuter, 64U}, std::pair{Grain::kToken, 1024U},
        std::pair{Grain::kHead, 8192U}}) {
    Tally tally;
    plan_by_hand(view(layout::kNhd), view(layout::kHnd), {ids, ids}, grain, tally);
    EXPECT_EQ(tally.bytes(), bytes);
    EXPECT_EQ(tally.pieces(), ids.size() * pieces);
  }
}

}  // namespace
}  // namespace kvferry::bench
