// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace kvferry::bench {

/// Where a case lies on the axis of a chart: with others of its series, which differ in size alone.
struct ChartPlace {
  std::string series{};    ///< "read, direct"; empty: on none
  std::uint64_t bytes{0};  ///< of a piece, or of a transfer
};

/// Minimum, quartiles and maximum of some figures.
struct Spread {
  double min{0};
  double q1{0};
  double median{0};
  double q3{0};
  double max{0};
};

/// Of at least one figure.
[[nodiscard]] Spread spread_of(std::vector<double> figures);

/// Percentiles of single samples.
struct Tail {
  double p50{0};
  double p90{0};
  double p99{0};
};

/// Of at least one sample.
[[nodiscard]] Tail tail_of(std::vector<double> samples);

/// What tells most about a case: bytes in a time, or the time of one repetition.
enum class Figure : std::uint8_t { kRate, kTime };

/// A figure that is compared with its bar itself, not as a ratio: it may be that much at most.
struct Cost {
  double value{-1};  ///< below zero: there is none
  std::string unit;  ///< "ns a piece"
};

/// One line of a report: kvferry's way beside a baseline, measured in turns in one run.
struct CaseResult {
  std::string suite;
  std::string name;
  std::uint64_t bytes{0};  ///< of one repetition
  Spread seconds;          ///< of one repetition
  double gb_per_s{0};      ///< at the median; GB = 10^9 bytes
  std::string baseline;    ///< what it is compared with; empty: with its bar alone
  double baseline_gb_per_s{0};
  Spread ratio;  ///< baseline's time / kvferry's, round by round
  double bar{0};
  Cost cost;               ///< in the unit of the bar
  double overhead_us{-1};  ///< per call over the copy itself; -1: not measured
  Figure figure{Figure::kRate};
  ChartPlace chart;
  std::optional<Tail> tail;  ///< seconds, where single samples were taken
  std::string skipped;       ///< why it was not measured; empty: it was
  bool ok{false};            ///< measured, and the bar is met
};

struct Work {
  std::function<void()> ours;
  std::function<void()> baseline;
};

struct MeasureOptions {
  int rounds{11};      ///< both sides in each, one after the other
  int repetitions{1};  ///< of the work in a round; a round shorter than 1 ms measures the clock
};

/// As Work, when each side has its own way of measuring: the seconds of one repetition in a round.
struct TimedWork {
  std::function<double()> ours;
  std::function<double()> baseline;
};

/// The seconds of one `work()`, from `repetitions` of it.
template <class Callable>
[[nodiscard]] double seconds_of(const Callable& work, int repetitions) {
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < repetitions; ++i) {
    work();
  }
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
  return taken.count() / repetitions;
}

/// Runs both sides in turns, A B A B, after one round that is not counted.
///
/// Shape: fills seconds and ratio, per repetition; the rest is the caller's.
[[nodiscard]] CaseResult measure(const Work& work, const MeasureOptions& options);
[[nodiscard]] CaseResult measure(const TimedWork& work, int rounds);

/// One of several that kvferry is compared with.
struct Baseline {
  std::string name;
  std::function<double()> seconds;  ///< of one repetition in a round
};

/// As measure(), beside whichever of `baselines` has the smaller median.
///
/// Shape: `baselines` is not empty; fills baseline too.
[[nodiscard]] CaseResult measure_beside_best(const std::function<double()>& ours,
                                             const std::vector<Baseline>& baselines, int rounds);

/// Fills in the rates of `result` from its times and bytes.
void set_rates(CaseResult& result);

/// Sets what `result` costs, and that it may cost `bar` at most.
void set_cost(CaseResult& result, Cost cost, double bar);

}  // namespace kvferry::bench
