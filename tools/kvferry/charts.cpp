// SPDX-License-Identifier: Apache-2.0
#include "charts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "html.hpp"
#include "output.hpp"

namespace kvferry::tool {
namespace {

constexpr double kWidth = 340;
constexpr double kHeight = 200;
constexpr double kLeft = 46;
constexpr double kRight = 12;
constexpr double kTop = 34;
constexpr double kBottom = 32;

std::string svg_of(double width, double height, std::string_view title, std::string_view body) {
  return fmt::format(
      "<svg role=\"img\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" "
      "width=\"{0}\">\n<title>{2}</title>\n{3}</svg>\n",
      width, height, html_escaped(title), body);
}

std::string text(double x, double y, std::string_view anchor, std::string_view words,
                 std::string_view css_class = "") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" class=\"{}\">{}</text>\n",
                     x, y, anchor, css_class, html_escaped(words));
}

std::string line(double x1, double y1, double x2, double y2, std::string_view css_class) {
  return fmt::format(
      "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" class=\"{}\"/>\n", x1, y1, x2,
      y2, css_class);
}

/// The next of 1, 2, 5, 10, 20... that is not below `value`.
double round_up(double value) {
  double step = std::pow(10.0, std::floor(std::log10(std::max(value, 1e-9))));
  for (const double factor : {1.0, 2.0, 5.0, 10.0}) {
    if (value <= factor * step) {
      return factor * step;
    }
  }
  return value;
}

/// "64 KiB", "2 MiB": human_bytes() without a fraction that is none.
std::string size_text(std::uint64_t bytes) {
  std::string human = human_bytes(bytes);
  const std::size_t zero = human.find(".0 ");
  return zero == std::string::npos ? human : human.erase(zero, 2);
}

/// Both axes of a chart of rates.
class Axes {
 public:
  Axes(const std::vector<RatePoint>& points, double most)
      : first_{std::log2(static_cast<double>(points.front().bytes))},
        last_{std::log2(static_cast<double>(points.back().bytes))},
        most_{most} {}

  [[nodiscard]] double x(std::uint64_t bytes) const {
    const double part =
        last_ > first_ ? (std::log2(static_cast<double>(bytes)) - first_) / (last_ - first_) : 0.5;
    constexpr double kInset = 26;  // Half of a label at either end.
    return kLeft + kInset + part * (kWidth - kLeft - kRight - 2 * kInset);
  }
  [[nodiscard]] double y(double rate) const {
    return kHeight - kBottom - rate / most_ * (kHeight - kTop - kBottom);
  }

 private:
  double first_;
  double last_;
  double most_;
};

std::string rates_of(const RateChart& chart, const Axes& axes, bool is_ours) {
  const std::string_view css_class = is_ours ? "ours" : "other";
  std::string path;
  std::string marks;
  for (const RatePoint& point : chart.points) {
    const double x = axes.x(point.bytes);
    const double y = axes.y(is_ours ? point.ours : point.baseline);
    path += fmt::format("{}{:.1f},{:.1f}", path.empty() ? "M" : " L", x, y);
    marks += is_ours ? fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" class=\"{}\"/>", x,
                                   y, css_class)
                     : fmt::format(
                           "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"9\" height=\"9\" "
                           "class=\"{}\"/>",
                           x - 4.5, y - 4.5, css_class);
  }
  return fmt::format("<path d=\"{}\" class=\"{} line\"/>\n{}\n", path, css_class, marks);
}

std::string svg_of(const RateChart& chart, double most) {
  const Axes axes{chart.points, most};
  std::string body = text(0, 16, "start", chart.title);
  for (const double part : {0.0, 0.5, 1.0}) {
    const double y = axes.y(most * part);
    body += line(kLeft, y, kWidth - kRight, y, "grid");
    body += text(kLeft - 8, y + 5, "end", fmt::format("{:g}", most * part), "small");
  }
  for (const RatePoint& point : chart.points) {
    body += text(axes.x(point.bytes), kHeight - kBottom + 20, "middle", size_text(point.bytes),
                 "small");
  }
  body += rates_of(chart, axes, false) + rates_of(chart, axes, true);
  return svg_of(kWidth, kHeight, chart.title + ": GB/s over bytes, kvferry and baseline", body);
}

/// What the marks mean.
std::string legend() {
  return svg_of(340, 24, "kvferry and baseline",
                line(0, 12, 34, 12, "ours line") +
                    "<circle cx=\"17\" cy=\"12\" r=\"4\" class=\"ours\"/>" +
                    text(42, 17, "start", "kvferry, GB/s") + line(170, 12, 204, 12, "other line") +
                    "<rect x=\"182.5\" y=\"7.5\" width=\"9\" height=\"9\" class=\"other\"/>" +
                    text(212, 17, "start", "baseline"));
}

}  // namespace

std::string html_rates(const std::vector<RateChart>& charts) {
  double most{0};
  for (const RateChart& chart : charts) {
    for (const RatePoint& point : chart.points) {
      most = std::max({most, point.ours, point.baseline});
    }
  }
  std::string html = "<p>" + legend() + "</p>\n<div class=\"charts\">\n";
  for (const RateChart& chart : charts) {
    html += svg_of(chart, round_up(most));
  }
  return html + "</div>\n";
}

std::string html_spreads(const std::vector<TimeSpread>& spreads, std::string_view unit) {
  constexpr double kTitleWidth = 260;
  constexpr double kSpreadWidth = 480;
  constexpr double kRow = 34;
  constexpr double kAll = kTitleWidth + kSpreadWidth + 30;
  double most{0};
  for (const TimeSpread& spread : spreads) {
    most = std::max({most, spread.q3, spread.bar});
  }
  most = round_up(most);
  const auto x = [most](double value) { return kTitleWidth + value / most * kSpreadWidth; };
  const double height = kRow * static_cast<double>(spreads.size());
  std::string body;
  for (const double part : {0.0, 0.5, 1.0}) {
    body += line(x(most * part), 0, x(most * part), height, "grid");
    body += text(x(most * part), height + 20, "middle", fmt::format("{:g} {}", most * part, unit),
                 "small");
  }
  double middle = kRow / 2;
  for (const TimeSpread& spread : spreads) {
    body += text(kTitleWidth - 14, middle + 5, "end", spread.title);
    body += line(x(spread.min), middle, x(spread.q3), middle, "ours line");
    body += fmt::format(
        "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"14\" class=\"quartiles\"/>\n",
        x(spread.q1), middle - 7, std::max(1.0, x(spread.q3) - x(spread.q1)));
    body += line(x(spread.median), middle - 9, x(spread.median), middle + 9, "median");
    body += line(x(spread.bar), middle - 13, x(spread.bar), middle + 13, "other line");
    middle += kRow;
  }
  return "<div>" + svg_of(kAll, height + 30, "spread of times and their bars", body) + "</div>\n";
}

}  // namespace kvferry::tool
