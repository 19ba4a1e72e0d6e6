// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "bench_words.hpp"
#include "charts.hpp"
#include "html.hpp"

namespace kvferry::tool {
namespace {

using bench::CaseResult;

std::string machine_text(const Machine& machine) {
  return fmt::format("{}, {} processor{}, {}; files in {} ({}).", machine.processor,
                     machine.processors, machine.processors == 1 ? "" : "s", machine.kernel,
                     machine.directory, machine.file_system);
}

std::string summary_of(const std::vector<CaseResult>& results) {
  const auto skipped = std::ranges::count_if(
      results, [](const CaseResult& result) { return !result.skipped.empty(); });
  const auto met =
      std::ranges::count_if(results, [](const CaseResult& result) { return result.ok; });
  return fmt::format("{} cases: {} meet their bar, {} miss it, {} were skipped.", results.size(),
                     met, static_cast<std::ptrdiff_t>(results.size()) - met - skipped, skipped);
}

/// Of one suite: its series that have several sizes, in the order in which they were measured.
std::vector<RateChart> rate_charts(const std::vector<CaseResult>& cases) {
  std::vector<RateChart> charts;
  for (const CaseResult& result : cases) {
    if (!result.skipped.empty() || result.chart.series.empty()) {
      continue;
    }
    auto chart = std::ranges::find(charts, result.chart.series, &RateChart::title);
    if (chart == charts.end()) {
      chart = charts.insert(charts.end(), RateChart{result.chart.series, {}});
    }
    chart->points.push_back({result.chart.bytes, result.gb_per_s, result.baseline_gb_per_s});
  }
  std::erase_if(charts, [](const RateChart& chart) { return chart.points.size() < 2; });
  for (RateChart& chart : charts) {
    std::ranges::sort(chart.points, {}, &RatePoint::bytes);
  }
  return charts;
}

/// Of the cases of which single samples are known.
std::string html_percentiles(const std::vector<CaseResult>& cases) {
  std::vector<TimeSpread> spreads;
  std::vector<std::vector<std::string>> rows{{"case", "p50, us", "p90, us", "p99, us", "bar, us"}};
  for (const CaseResult& result : cases) {
    if (!result.tail.has_value()) {
      continue;
    }
    constexpr double kMicro = 1e6;
    const auto us = [](double seconds) { return fmt::format("{:.2f}", seconds * kMicro); };
    rows.push_back({result.name, us(result.tail->p50), us(result.tail->p90), us(result.tail->p99),
                    fmt::format("{:g}", result.bar)});
    spreads.push_back({result.name, result.seconds.min * kMicro, result.seconds.q1 * kMicro,
                       result.seconds.median * kMicro, result.seconds.q3 * kMicro, result.bar});
  }
  if (spreads.empty()) {
    return {};
  }
  return html_paragraph(
             "Percentiles of all samples, and how the medians of the rounds spread: "
             "the box from quartile to quartile, the mark where the bar is.") +
         html_table(rows) + html_spreads(spreads, "us");
}

std::string html_suite(const std::string& name, const std::vector<CaseResult>& cases) {
  std::string body = html_heading("Suite " + name);
  if (const std::vector<RateChart> charts = rate_charts(cases); !charts.empty()) {
    body += html_rates(charts);
  }
  body += html_percentiles(cases);
  std::vector<std::vector<std::string>> rows{bench_heads()};
  for (const CaseResult& result : cases) {
    rows.push_back(row_of(result));
    rows.back()[3] += result.baseline.empty() ? "" : " (" + result.baseline + ")";
  }
  for (auto& row : rows) {
    row.erase(row.begin());  // The heading says it.
  }
  return body + html_table(rows);
}

}  // namespace

std::string html_of(const std::vector<CaseResult>& results, const Machine& machine) {
  std::string body = html_paragraph(machine_text(machine)) + html_paragraph(summary_of(results)) +
                     html_paragraph(
                         "Both sides ran in turns, in one run; a ratio is the baseline's time over "
                         "kvferry's, the median of all rounds with its quartiles. Times of "
                         "different runs are not to be compared.");
  for (auto begin = results.begin(); begin != results.end();) {
    const auto end = std::find_if(begin, results.end(),
                                  [&](const CaseResult& one) { return one.suite != begin->suite; });
    body += html_suite(begin->suite, {begin, end});
    begin = end;
  }
  return html_document("kvferry bench", body);
}

}  // namespace kvferry::tool
