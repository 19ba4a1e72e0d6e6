// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "bench_words.hpp"
#include "commands.hpp"
#include "files.hpp"
#include "kvferry/base/try.hpp"
#include "node.hpp"
#include "outcome.hpp"
#include "output.hpp"
#include "suites.hpp"

namespace kvferry::tool {
namespace {

using bench::CaseResult;

void print_text(const std::vector<CaseResult>& results) {
  Table table{bench_heads()};
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
  if (options.report) {
    KVFERRY_RETURN_IF_ERROR(write_output(*options.report, html_of(results, machine_with(disk))));
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
