// SPDX-License-Identifier: Apache-2.0
#include "bench_words.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace kvferry::tool {
namespace {

using bench::CaseResult;
using bench::Spread;

nlohmann::ordered_json json_of(const Spread& spread) {
  return {{"min", spread.min}, {"q1", spread.q1}, {"median", spread.median}, {"q3", spread.q3}};
}

}  // namespace

nlohmann::ordered_json json_of(const CaseResult& result) {
  if (!result.skipped.empty()) {
    return {{"suite", result.suite},
            {"case", result.name},
            {"baseline", result.baseline},
            {"bar", result.bar},
            {"skipped", result.skipped}};
  }
  nlohmann::ordered_json document{{"suite", result.suite},
                                  {"case", result.name},
                                  {"bytes", result.bytes},
                                  {"seconds", json_of(result.seconds)},
                                  {"gb_per_s", result.gb_per_s},
                                  {"baseline", result.baseline},
                                  {"baseline_gb_per_s", result.baseline_gb_per_s},
                                  {"ratio", result.ratio.median},
                                  {"ratio_q1", result.ratio.q1},
                                  {"ratio_q3", result.ratio.q3},
                                  {"bar", result.bar},
                                  {"ok", result.ok}};
  if (result.cost.value >= 0) {
    document["cost"] = result.cost.value;
    document["cost_unit"] = result.cost.unit;
  }
  if (result.overhead_us >= 0) {
    document["overhead_us"] = result.overhead_us;
  }
  if (result.tail.has_value()) {
    document["percentiles"] = {
        {"p50", result.tail->p50}, {"p90", result.tail->p90}, {"p99", result.tail->p99}};
  }
  return document;
}

namespace {

/// The figure of one side, whose rate and time these are.
std::string figure_text(const CaseResult& result, double gb_per_s, double seconds) {
  return result.figure == bench::Figure::kRate ? fmt::format("{:.1f} GB/s", gb_per_s)
                                               : fmt::format("{:.3f} us", seconds * 1e6);
}

}  // namespace

std::vector<std::string> bench_heads() {
  return {"suite", "case", "kvferry", "baseline", "ratio (quartiles)", "bar", ""};
}

std::vector<std::string> row_of(const CaseResult& result) {
  const std::string bar = fmt::format("{:.2f}", result.bar);
  if (!result.skipped.empty()) {
    return {result.suite, result.name, "-", "-", "-", bar, "skipped: " + result.skipped};
  }
  const double seconds = result.seconds.median;
  const bool has_cost = result.cost.value >= 0;
  const bool is_call = result.overhead_us >= 0;
  return {result.suite,
          result.name,
          figure_text(result, result.gb_per_s, seconds),
          result.baseline.empty()
              ? "-"
              : figure_text(result, result.baseline_gb_per_s, seconds * result.ratio.median),
          has_cost  ? fmt::format("{:.2f} {}", result.cost.value, result.cost.unit)
          : is_call ? fmt::format("{:.2f} us over memcpy", result.overhead_us)
                    : fmt::format("{:.2f} ({:.2f} to {:.2f})", result.ratio.median, result.ratio.q1,
                                  result.ratio.q3),
          has_cost  ? fmt::format("at most {} {}", bar, result.cost.unit)
          : is_call ? fmt::format("at most {} us", bar)
                    : bar,
          result.ok ? "ok" : "MISSED"};
}

}  // namespace kvferry::tool
