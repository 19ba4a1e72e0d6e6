// SPDX-License-Identifier: Apache-2.0
#include "svg.hpp"

#include <fmt/format.h>

#include <array>

#include "html.hpp"

namespace kvferry::tool {
namespace {

// Colours are those of Okabe and Ito, which people with any kind of colour vision tell apart,
// lightened where dark text stands on them.
constexpr std::string_view kStyle = R"(
text { font-family: Helvetica, Arial, 'DejaVu Sans', sans-serif; fill: #1f2328; }
.faint { fill: #57606a; } .bold { font-weight: bold; }
.paper { fill: #ffffff; } .card { fill: none; stroke: #d0d7de; }
.block { fill: #9bd1f2; } .block.odd { fill: #c3e3f7; }
.layer { fill: #f3bf55; } .layer.odd { fill: #f9dda5; }
.outer { fill: #6cc9ad; } .outer.odd { fill: #abe0d0; }
.token { fill: #e0a9c8; } .token.odd { fill: #eecde0; }
.head { fill: #f2e85c; } .head.odd { fill: #f8f3ac; }
.element { fill: #c9d1d9; } .element.odd { fill: #e3e8ed; }
.cell { stroke: #ffffff; stroke-width: 1; }
.folded { fill: #f6f8fa; stroke: #8c959f; stroke-dasharray: 3 3; }
.opaque { fill: url(#hatch-opaque); stroke: #57606a; }
.unused { fill: url(#hatch-unused); }
.uncovered { fill: url(#hatch-uncovered); stroke: #a40e26; stroke-dasharray: 4 2; }
.unsent { fill: #f6f8fa; stroke: #8c959f; stroke-dasharray: 2 2; }
.bar { fill: #dbe9f4; } .frame { fill: none; stroke: #57606a; }
.mark { fill: #0a3d66; } .tick { stroke: #ffffff; }
.lens { fill: #eaeef2; } .rule { stroke: #8c959f; }
.label { fill: #ffffff; fill-opacity: 0.85; }
.ribbon { fill-opacity: 0.45; stroke-width: 0.5; }
.piece { stroke: #1f2328; stroke-width: 0.5; }
)";

struct SourceColour {
  std::string_view fill;
  std::string_view hatch;  ///< what is drawn over it, in a square of 8
};

constexpr std::array<SourceColour, kSourceClasses> kSources{{
    {"#8cc5ee", ""},
    {"#f0b347", "M-2,2 l4,-4 M0,8 l8,-8 M6,10 l4,-4"},
    {"#5dc2a4", "M0,4 h8"},
    {"#de9cc0", "M4,0 v8"},
    {"#efe455", "M2,2 h1 v1 h-1 z M6,6 h1 v1 h-1 z"},
    {"#e8935a", "M0,4 h8 M4,0 v8"},
    {"#b7bfc8", "M-2,6 l4,4 M0,0 l8,8 M6,-2 l4,4"},
    {"#b9a3e3", "M1,1 h3 v3 h-3 z"},
}};

std::string style() {
  std::string text{kStyle};
  for (std::size_t i = 0; i < kSources.size(); ++i) {
    text += fmt::format(".source{0} {{ fill: url(#hatch-source{0}); }}\n", i);
    text += fmt::format(".ribbon.source{0} {{ fill: {1}; stroke: {1}; }}\n", i, kSources[i].fill);
  }
  return text;
}

std::string pattern(std::string_view name, std::string_view fill, std::string_view stroke,
                    std::string_view hatch) {
  return fmt::format(
      "<pattern id=\"hatch-{}\" width=\"8\" height=\"8\" patternUnits=\"userSpaceOnUse\">"
      "<rect width=\"8\" height=\"8\" fill=\"{}\"/><path d=\"{}\" fill=\"none\" stroke=\"{}\"/>"
      "</pattern>\n",
      name, fill, hatch, stroke);
}

std::string patterns() {
  std::string text = pattern("unused", "#ffffff", "#8c959f", "M-2,2 l4,-4 M0,8 l8,-8 M6,10 l4,-4");
  text += pattern("uncovered", "#ffebe9", "#a40e26", "M0,0 l8,8 M0,8 l8,-8");
  text += pattern("opaque", "#eaeef2", "#afb8c1", "M2,2 h2 M6,6 h2");
  for (std::size_t i = 0; i < kSources.size(); ++i) {
    text += pattern(fmt::format("source{}", i), kSources[i].fill, "#4d5661", kSources[i].hatch);
  }
  return text;
}

/// A number with two decimals and no more zeros than it needs, in every locale the same.
std::string number(double value) {
  std::string text = fmt::format("{:.2f}", value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) {
    text.pop_back();
  }
  return text == "-0" ? "0" : text;
}

double letter_width(char letter) noexcept {
  constexpr std::string_view kNarrow{"fijlrt .,:;'|/\\!()[]-"};
  constexpr std::string_view kWide{"mwMW@%#=+<>~&^"};
  if (kNarrow.find(letter) != std::string_view::npos) {
    return 0.42;
  }
  if (kWide.find(letter) != std::string_view::npos) {
    return 1.0;
  }
  return letter >= 'A' && letter <= 'Z' ? 0.78 : 0.64;
}

constexpr std::string_view kDots{"..."};

/// How many letters fit beside three dots.
template <class Letter>
std::size_t letters_within(Letter first, Letter last, double size, double width) noexcept {
  double left = width - text_width(kDots, size);
  std::size_t letters{0};
  for (; first != last && letter_width(*first) * size <= left; ++first, ++letters) {
    left -= letter_width(*first) * size;
  }
  return letters;
}

}  // namespace

std::string svg_escaped(std::string_view text) {
  std::string plain{text};
  for (char& letter : plain) {
    letter = letter >= ' ' && letter <= '~' ? letter : '?';
  }
  return html_escaped(plain);
}

double text_width(std::string_view text, double size) noexcept {
  double width{0};
  for (const char letter : text) {
    width += letter_width(letter);
  }
  return width * size;
}

std::string fitted(std::string_view text, double size, double width) {
  if (text_width(text, size) <= width) {
    return std::string{text};
  }
  const std::size_t letters = letters_within(text.begin(), text.end(), size, width);
  return letters == 0 ? std::string{} : std::string{text.substr(0, letters)}.append(kDots);
}

std::string fitted_end(std::string_view text, double size, double width) {
  if (text_width(text, size) <= width) {
    return std::string{text};
  }
  const std::size_t letters = letters_within(text.rbegin(), text.rend(), size, width);
  return letters == 0 ? std::string{}
                      : std::string{kDots}.append(text.substr(text.size() - letters));
}

std::string_view first_fitting(std::initializer_list<std::string_view> choices, double size,
                               double width) {
  for (const std::string_view choice : choices) {
    if (text_width(choice, size) <= width) {
      return choice;
    }
  }
  return {};
}

void Svg::open(std::string_view css_class) {
  body_ += fmt::format("<g class=\"{}\">\n", svg_escaped(css_class));
}

void Svg::close() { body_ += "</g>\n"; }

void Svg::rect(const Box& box, std::string_view css_class, std::string_view tip) {
  body_ += fmt::format("<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"",
                       svg_escaped(css_class), number(box.x), number(box.y), number(box.width),
                       number(box.height));
  body_ += tip.empty() ? "/>\n" : fmt::format("><title>{}</title></rect>\n", svg_escaped(tip));
}

void Svg::text(const Point& place, std::string_view text, const TextStyle& style) {
  if (text.empty()) {
    return;
  }
  std::string css_class{style.bold ? "bold" : ""};
  css_class += style.faint ? (style.bold ? " faint" : "faint") : "";
  body_ += fmt::format("<text x=\"{}\" y=\"{}\" font-size=\"{}\"{}{}>{}</text>\n", number(place.x),
                       number(place.y), number(style.size),
                       css_class.empty() ? "" : fmt::format(" class=\"{}\"", css_class),
                       style.centred ? " text-anchor=\"middle\"" : "", svg_escaped(text));
}

void Svg::line(const Point& from, const Point& to, std::string_view css_class) {
  body_ += fmt::format("<line class=\"{}\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>\n",
                       svg_escaped(css_class), number(from.x), number(from.y), number(to.x),
                       number(to.y));
}

void Svg::lens(const Box& above, const Box& below, std::string_view css_class) {
  body_ += fmt::format("<polygon class=\"{}\" points=\"{},{} {},{} {},{} {},{}\"/>\n",
                       svg_escaped(css_class), number(above.x), number(above.bottom()),
                       number(above.right()), number(above.bottom()), number(below.right()),
                       number(below.y), number(below.x), number(below.y));
}

void Svg::ribbon(const Box& above, const Box& below, std::string_view css_class) {
  const double top = above.bottom();
  const double bottom = below.y;
  const double middle = (top + bottom) / 2;
  body_ += fmt::format(
      "<path class=\"ribbon {}\" d=\"M{},{} C{},{} {},{} {},{} H{} C{},{} {},{} {},{} Z\"/>\n",
      svg_escaped(css_class), number(above.x), number(top), number(above.x), number(middle),
      number(below.x), number(middle), number(below.x), number(bottom), number(below.right()),
      number(below.right()), number(middle), number(above.right()), number(middle),
      number(above.right()), number(top));
}

std::string Svg::document(std::string_view title, double height) const {
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" viewBox=\"0 0 {0} {1}\" "
      "width=\"{0}\" height=\"{1}\">\n<title>{2}</title>\n<defs>\n{3}</defs>\n"
      "<style>{4}</style>\n<rect class=\"paper\" width=\"{0}\" height=\"{1}\"/>\n{5}</svg>\n",
      number(width_), number(height), svg_escaped(title), patterns(), style(), body_);
}

}  // namespace kvferry::tool
