// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "commands.hpp"
#include "kvferry/base/try.hpp"
#include "node.hpp"
#include "outcome.hpp"
#include "output.hpp"
#include "suites.hpp"

namespace kvferry::tool {
namespace {

using bench::CaseResult;
using bench::Spread;

nlohmann::ordered_json json_of(const Spread& spread) {
  return {{"min", spread.min}, {"q1", spread.q1}, {"median", spread.median}, {"q3", spread.q3}};
}

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
  return document;
}

/// The figure of one side, whose rate and time these are.
std::string figure_text(const CaseResult& result, double gb_per_s, double seconds) {
  return result.figure == bench::Figure::kRate ? fmt::format("{:.1f} GB/s", gb_per_s)
                                               : fmt::format("{:.3f} us", seconds * 1e6);
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
          figure_text(result, result.baseline_gb_per_s, seconds * result.ratio.median),
          has_cost  ? fmt::format("{:.2f} {}", result.cost.value, result.cost.unit)
          : is_call ? fmt::format("{:.2f} us over memcpy", result.overhead_us)
                    : fmt::format("{:.2f} ({:.2f} to {:.2f})", result.ratio.median, result.ratio.q1,
                                  result.ratio.q3),
          has_cost  ? fmt::format("at most {} {}", bar, result.cost.unit)
          : is_call ? fmt::format("at most {} us", bar)
                    : bar,
          result.ok ? "ok" : "MISSED"};
}

void print_text(const std::vector<CaseResult>& results) {
  Table table{{"suite", "case", "kvferry", "baseline", "ratio (quartiles)", "bar", ""}};
  for (const CaseResult& result : results) {
    table.add_row(row_of(result));
  }
  print(table.to_string());
}

Outcome<int> measure(const BenchOptions& options) {
  std::vector<std::string_view> suites{options.suites.begin(), options.suites.end()};
  if (suites.empty()) {
    suites = bench::suite_names();
  }
  // All names before the first measurement.
  const std::vector<std::string_view> known = bench::suite_names();
  for (const std::string_view suite : suites) {
    if (std::find(known.begin(), known.end(), suite) == known.end()) {
      return usage(fmt::format("suite '{}' is none of: {}", suite, fmt::join(known, ", ")));
    }
  }
  std::error_code failure;
  const std::string disk =
      options.disk.empty() ? std::filesystem::temp_directory_path(failure).string() : options.disk;
  std::vector<CaseResult> results;
  for (const std::string_view suite : suites) {
    KVFERRY_ASSIGN_OR_RETURN(std::vector<CaseResult> more,
                             bench::run_suite(suite, {.quick = options.quick,
                                                      .socket_directory = socket_directory(),
                                                      .disk_directory = disk,
                                                      .rust_program = options.rust}));
    std::move(more.begin(), more.end(), std::back_inserter(results));
  }
  if (options.json) {
    nlohmann::ordered_json cases = nlohmann::ordered_json::array();
    for (const CaseResult& result : results) {
      cases.push_back(json_of(result));
    }
    print_json({{"cases", std::move(cases)}});
  } else {
    print_text(results);
  }
  const bool missed = std::any_of(results.begin(), results.end(), [](const CaseResult& result) {
    return result.skipped.empty() && !result.ok;
  });
  return missed ? kExitNo : kExitYes;
}

}  // namespace

int run_bench(const BenchOptions& options) {
  const Outcome<int> done = measure(options);
  return done ? *done : fail(done.error(), options.json);
}

}  // namespace kvferry::tool
