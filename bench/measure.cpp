// SPDX-License-Identifier: Apache-2.0
#include "measure.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace kvferry::bench {

Spread spread_of(std::vector<double> figures) {
  std::sort(figures.begin(), figures.end());
  const auto at = [&figures](std::size_t quarter) {
    return figures[(figures.size() - 1) * quarter / 4];
  };
  return {figures.front(), at(1), at(2), at(3), figures.back()};
}

Tail tail_of(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  const auto at = [&samples](std::size_t percent) {
    return samples[(samples.size() - 1) * percent / 100];
  };
  return {at(50), at(90), at(99)};
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

CaseResult measure_beside_best(const std::function<double()>& ours,
                               const std::vector<Baseline>& baselines, int rounds) {
  std::vector<double> mine;
  std::vector<std::vector<double>> theirs(baselines.size());
  for (int round = -1; round < rounds; ++round) {
    for (std::size_t i = 0; i < baselines.size(); ++i) {
      theirs[i].push_back(baselines[i].seconds());
    }
    mine.push_back(ours());
    if (round == -1) {  // The first of all pays for what was never touched.
      mine.clear();
      std::for_each(theirs.begin(), theirs.end(), [](auto& figures) { figures.clear(); });
    }
  }
  std::size_t best = 0;
  for (std::size_t i = 1; i < baselines.size(); ++i) {
    best = spread_of(theirs[i]).median < spread_of(theirs[best]).median ? i : best;
  }
  std::vector<double> ratios;
  for (std::size_t i = 0; i < mine.size(); ++i) {
    ratios.push_back(theirs[best][i] / mine[i]);
  }
  CaseResult result;
  result.baseline = baselines[best].name;
  result.seconds = spread_of(std::move(mine));
  result.ratio = spread_of(std::move(ratios));
  return result;
}

void set_rates(CaseResult& result) {
  result.gb_per_s = static_cast<double>(result.bytes) / result.seconds.median / 1e9;
  result.baseline_gb_per_s = result.gb_per_s / result.ratio.median;
  result.ok = result.ratio.median >= result.bar;
}

void set_cost(CaseResult& result, Cost cost, double bar) {
  result.cost = std::move(cost);
  result.bar = bar;
  result.ok = result.cost.value <= bar;
}

}  // namespace kvferry::bench
