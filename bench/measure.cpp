// SPDX-License-Identifier: Apache-2.0
#include "measure.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>

namespace kvferry::bench {
namespace {

double seconds_of(const std::function<void()>& work, int repetitions) {
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < repetitions; ++i) {
    work();
  }
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
  return taken.count() / repetitions;
}

}  // namespace

Spread spread_of(std::vector<double> figures) {
  std::sort(figures.begin(), figures.end());
  const auto at = [&figures](std::size_t quarter) {
    return figures[(figures.size() - 1) * quarter / 4];
  };
  return {figures.front(), at(1), at(2), at(3), figures.back()};
}

CaseResult measure(const Work& work, const MeasureOptions& options) {
  std::vector<double> ours;
  std::vector<double> ratios;
  static_cast<void>(seconds_of(work.baseline, options.repetitions));
  static_cast<void>(seconds_of(work.ours, options.repetitions));
  for (int round = 0; round < options.rounds; ++round) {
    const double theirs = seconds_of(work.baseline, options.repetitions);
    ours.push_back(seconds_of(work.ours, options.repetitions));
    ratios.push_back(theirs / ours.back());
  }
  CaseResult result;
  result.seconds = spread_of(std::move(ours));
  result.ratio = spread_of(std::move(ratios));
  return result;
}

void set_rates(CaseResult& result) {
  result.gb_per_s = static_cast<double>(result.bytes) / result.seconds.median / 1e9;
  result.baseline_gb_per_s = result.gb_per_s / result.ratio.median;
  result.ok = result.ratio.median >= result.bar;
}

}  // namespace kvferry::bench
