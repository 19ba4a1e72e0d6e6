// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

// Pages that a person opens: one file each, which loads nothing. All text is escaped here.

namespace kvferry::tool {

/// `text` as it may stand in HTML, in an element or in a quoted attribute.
[[nodiscard]] std::string html_escaped(std::string_view text);

[[nodiscard]] std::string html_heading(std::string_view text);
[[nodiscard]] std::string html_paragraph(std::string_view text);

/// The first row holds the heads. Cells that begin with a digit are set to the right.
[[nodiscard]] std::string html_table(const std::vector<std::vector<std::string>>& rows);

/// One line of a bar chart.
struct Bar {
  std::string title;
  double value{0};
  bool is_baseline{false};  ///< drawn in another colour, with a line down the chart
};

/// A chart as SVG; `unit` follows each value.
[[nodiscard]] std::string html_bars(const std::vector<Bar>& bars, std::string_view unit);

/// A whole page with `body`, which is HTML.
[[nodiscard]] std::string html_document(std::string_view title, std::string_view body);

}  // namespace kvferry::tool
