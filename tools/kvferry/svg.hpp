// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>

// Drawings that a person opens: one SVG file each, which loads nothing and runs nothing. All text
// is escaped here, and becomes printable ASCII. Colours and hatches go by class; each class has a
// hatch or stands beside a word, so that colour alone never tells anything.

namespace kvferry::tool {

/// Units of the drawing, to the right and down.
struct Point {
  double x{0};
  double y{0};
};

struct Box {
  double x{0};
  double y{0};
  double width{0};
  double height{0};

  [[nodiscard]] double right() const noexcept { return x + width; }
  [[nodiscard]] double bottom() const noexcept { return y + height; }
};

/// How many classes `source0`, `source1`... there are, each with a colour and a hatch of its own.
inline constexpr std::size_t kSourceClasses = 8;

/// Sizes of text.
inline constexpr double kTitleSize = 17;
inline constexpr double kHeadSize = 14;
inline constexpr double kTextSize = 12;
inline constexpr double kSmallSize = 10.5;

/// `text` as it may stand in XML, in an element or in a quoted attribute: all but printable ASCII
/// becomes a question mark.
[[nodiscard]] std::string svg_escaped(std::string_view text);

/// At least as wide as `text` is in any of the common fonts without serifs.
[[nodiscard]] double text_width(std::string_view text, double size) noexcept;

/// `text`, or as much of it as fits into `width`, with three dots after it; nothing where they do
/// not fit either.
[[nodiscard]] std::string fitted(std::string_view text, double size, double width);

/// As fitted(), with the end of `text` and three dots before it: the ends of paths tell most.
[[nodiscard]] std::string fitted_end(std::string_view text, double size, double width);

/// The first of `choices` that fits into `width`, or nothing.
[[nodiscard]] std::string_view first_fitting(std::initializer_list<std::string_view> choices,
                                             double size, double width);

/// What a text looks like.
struct TextStyle {
  double size{kTextSize};
  bool bold{false};
  bool faint{false};
  bool centred{false};  ///< the place is its middle, not its beginning
};

/// A drawing, from its first shape to its last: later ones lie above earlier ones.
class Svg {
 public:
  explicit Svg(double width) noexcept : width_{width} {}

  [[nodiscard]] double width() const noexcept { return width_; }

  /// Begins a group of shapes, which close() ends.
  void open(std::string_view css_class);
  void close();

  /// `tip`, if any, is shown where a pointer rests on it.
  void rect(const Box& box, std::string_view css_class, std::string_view tip = {});
  /// The place is on the line that the letters stand on.
  void text(const Point& place, std::string_view text, const TextStyle& style = {});
  void line(const Point& from, const Point& to, std::string_view css_class);
  /// A band from the lower edge of `above` to the upper edge of `below`; straight, or curved so
  /// that one can follow it through others.
  void lens(const Box& above, const Box& below, std::string_view css_class);
  void ribbon(const Box& above, const Box& below, std::string_view css_class);

  /// The whole file, as high as `height`, with `title` for those who do not see it.
  [[nodiscard]] std::string document(std::string_view title, double height) const;

 private:
  double width_;
  std::string body_;
};

}  // namespace kvferry::tool
