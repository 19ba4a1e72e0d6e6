// SPDX-License-Identifier: Apache-2.0
#include "measure.hpp"

#include <algorithm>
#include <cstddef>

namespace kvferry::bench {
Spread spread_of(std::vector<double> figures) {
  std::sort(figures.begin(), figures.end());
  const auto at = [&figures](std::size_t quarter) {
    return figures[(figures.size() - 1) * quarter / 4];
  };
  return {figures.front(), at(1), at(2), at(3), figures.back()};
}

CaseResult measure(const TimedWork& work, int rounds) {
  std::vector<double> ours;
  std::vector<double> ratios;
  static_cast<void>(work.baseline());
  static_cast<void>(work.ours());
  for (int round = 0; round < rounds; ++round) {
    const double theirs = work.baseline();
    ours.push_back(work.ours());
    ratios.push_back(theirs / ours.back());
  }
  CaseResult result;
  result.seconds = spread_of(std::move(ours));
  result.ratio = spread_of(std::move(ratios));
  return result;
}

CaseResult measure(const Work& work, const MeasureOptions& options) {
  const int repetitions = options.repetitions;
  return measure(TimedWork{[&] { return seconds_of(work.ours, repetitions); },
                           [&] { return seconds_of(work.baseline, repetitions); }},
                 options.rounds);
}

void set_rates(CaseResult& result) {
  result.gb_per_s = static_cast<double>(result.bytes) / result.seconds.median / 1e9;
  result.baseline_gb_per_s = result.gb_per_s / result.ratio.median;
  result.ok = result.ratio.median >= result.bar;
}

}  // namespace kvferry::bench
