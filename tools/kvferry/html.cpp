// SPDX-License-Identifier: Apache-2.0
#include "html.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kvferry::tool {
namespace {

constexpr std::string_view kStyle = R"(
:root { color-scheme: light dark; --ink: #1f2328; --faint: #59636e; --line: #d1d9e0;
        --page: #fff; --bar: #2f6fb4; --baseline: #8c959f; --other: #b35900; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --faint: #9198a1; --line: #3d444d; --page: #0d1117; --bar: #58a6ff;
          --baseline: #6e7681; --other: #f0a04b; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
       max-width: 72rem; margin: 2rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2rem; } p { max-width: 46rem; }
div { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { white-space: nowrap; }
th { text-align: left; color: var(--faint); font-weight: 500; }
th, td { padding: .35rem 1.1rem .35rem 0; border-bottom: 1px solid var(--line); }
td.number { text-align: right; }
svg { max-width: 100%; height: auto; }
svg text { font: 14px system-ui, sans-serif; fill: var(--ink); }
.bar { fill: var(--bar); } .baseline { fill: var(--baseline); }
.mark { stroke: var(--baseline); stroke-dasharray: 3 3; }
.charts { display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; }
svg text.small { font-size: 12px; fill: var(--faint); } .grid { stroke: var(--line); }
.ours { fill: var(--bar); stroke: var(--bar); } .quartiles { fill: var(--bar); }
.other { fill: var(--page); stroke: var(--other); stroke-width: 2; }
.line { fill: none; stroke-width: 2; } .other.line { stroke-dasharray: 6 4; }
.median { stroke: var(--ink); stroke-width: 2.5; }
)";

bool begins_with_digit(std::string_view text) {
  return !text.empty() && text.front() >= '0' && text.front() <= '9';
}

}  // namespace

std::string html_escaped(std::string_view text) {
  std::string escaped;
  for (const char character : text) {
    switch (character) {
      case '&': escaped += "&amp;"; break;
      case '<': escaped += "&lt;"; break;
      case '>': escaped += "&gt;"; break;
      case '"': escaped += "&quot;"; break;
      default: escaped += character;
    }
  }
  return escaped;
}

std::string html_heading(std::string_view text) {
  return fmt::format("<h2>{}</h2>\n", html_escaped(text));
}

std::string html_paragraph(std::string_view text) {
  return fmt::format("<p>{}</p>\n", html_escaped(text));
}

std::string html_table(const std::vector<std::vector<std::string>>& rows) {
  std::string html = "<div><table>\n";
  bool is_head = true;
  for (const auto& row : rows) {
    html += "<tr>";
    for (const std::string& cell : row) {
      const std::string_view tag = is_head ? "th" : "td";
      const std::string_view numeric =
          !is_head && begins_with_digit(cell) ? " class=\"number\"" : "";
      html += fmt::format("<{}{}>{}</{}>", tag, numeric, html_escaped(cell), tag);
    }
    html += "</tr>\n";
    is_head = false;
  }
  return html + "</table></div>\n";
}

std::string html_bars(const std::vector<Bar>& bars, std::string_view unit) {
  constexpr double kTitleWidth = 380;
  constexpr double kBarWidth = 420;
  constexpr double kValueWidth = 100;
  constexpr double kRow = 34;
  constexpr double kThickness = 20;
  double largest{0};
  for (const Bar& bar : bars) {
    largest = std::max(largest, bar.value);
  }
  const double scale = largest > 0 ? kBarWidth / largest : 0;
  const double height = kRow * static_cast<double>(bars.size());
  std::string html = fmt::format(
      "<svg role=\"img\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" "
      "width=\"{}\">\n",
      kTitleWidth + kBarWidth + kValueWidth, height, kTitleWidth + kBarWidth + kValueWidth);
  double top{0};
  for (const Bar& bar : bars) {
    const double middle = top + (kRow / 2);
    const double length = bar.value * scale;
    html += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>", kTitleWidth - 12,
                        middle + 5, html_escaped(bar.title));
    html += fmt::format(
        "<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{:.1f}\" height=\"{}\" rx=\"2\"/>",
        bar.is_baseline ? "baseline" : "bar", kTitleWidth, middle - (kThickness / 2), length,
        kThickness);
    html += fmt::format("<text x=\"{}\" y=\"{}\">{:.1f} {}</text>\n", kTitleWidth + kBarWidth + 12,
                        middle + 5, bar.value, html_escaped(unit));
    if (bar.is_baseline) {
      html += fmt::format(
          "<line class=\"mark\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/>\n",
          kTitleWidth + length, middle + (kThickness / 2), height);
    }
    top += kRow;
  }
  return html + "</svg>\n";
}

std::string html_document(std::string_view title, std::string_view body) {
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width\">\n<title>{0}</title>\n"
      "<style>{1}</style>\n</head>\n<body>\n<h1>{0}</h1>\n{2}</body>\n</html>\n",
      html_escaped(title), kStyle, body);
}

}  // namespace kvferry::tool
