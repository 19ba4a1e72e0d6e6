// SPDX-License-Identifier: Apache-2.0
// Goal: the figures of a case are those of its rounds, and the baseline is the better one.
// Method: sides that say themselves how long they took.
#include "measure.hpp"

#include <gtest/gtest.h>

#include <utility>

namespace kvferry::bench {
namespace {

/// Says the given seconds one after the other.
std::function<double()> saying(std::vector<double> seconds) {
  return [seconds = std::move(seconds), next = std::size_t{0}]() mutable {
    return seconds.at(next++);
  };
}

TEST(MeasureBesideBest, TakesTheBaselineWithTheSmallerMedian) {
  const CaseResult result = measure_beside_best(
      saying({9, 1, 1, 2}), {{"slow", saying({0, 1, 8, 8})}, {"fast", saying({0, 4, 3, 2})}}, 3);
  EXPECT_EQ(result.baseline, "fast");
  EXPECT_EQ(result.ratio.min, 1) << "2 / 2, round by round";
  EXPECT_EQ(result.ratio.median, 3);
  EXPECT_EQ(result.ratio.max, 4);
  EXPECT_EQ(result.seconds.max, 2) << "the first round is not counted";
}

TEST(TailOf, IsOfAllSamples) {
  std::vector<double> samples;
  for (int i = 100; i >= 0; --i) {
    samples.push_back(i);
  }
  const Tail tail = tail_of(samples);
  EXPECT_EQ(tail.p50, 50);
  EXPECT_EQ(tail.p90, 90);
  EXPECT_EQ(tail.p99, 99);
  EXPECT_EQ(tail_of({7}).p99, 7);
}

TEST(SetCost, IsComparedWithTheBarItself) {
  CaseResult result;
  set_cost(result, {3.0, "ns a piece"}, 3.0);
  EXPECT_TRUE(result.ok);
  set_cost(result, {3.1, "ns a piece"}, 3.0);
  EXPECT_FALSE(result.ok);
}

}  // namespace
}  // namespace kvferry::bench
