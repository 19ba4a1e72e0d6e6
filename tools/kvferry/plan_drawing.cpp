// SPDX-License-Identifier: Apache-2.0
#include "plan_drawing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "kvferry/base/try.hpp"
#include "memory_row.hpp"
#include "strip.hpp"
#include "svg.hpp"

namespace kvferry::tool {
namespace {

using layout::Axis;
using layout::LayoutView;

constexpr double kWidth = 1000;
constexpr double kMargin = 24;
constexpr double kInner = kWidth - 2 * kMargin;
constexpr double kGivesX = 460;
constexpr double kGridX = 640;
constexpr double kGridWidth = kWidth - kMargin - kGridX;
constexpr double kGridHeight = 96;
constexpr double kMemoryHeight = 26;
constexpr double kRibbonHeight = 120;
constexpr double kRowHeight = 18;
constexpr double kGroupHeight = 16;
/// Of more sources, some have no line of their own.
constexpr std::size_t kSourceRows = 8;

std::string source_class(std::size_t colour) {
  return fmt::format("source{}", colour % kSourceClasses);
}

/// "block 4", "blocks 4, 9, 2 and 5 more".
std::string blocks_text(std::span<const BlockId> blocks) {
  constexpr std::size_t kNamed = 6;
  std::string text{blocks.size() == 1 ? "block " : "blocks "};
  for (std::size_t i = 0; i < std::min(blocks.size(), kNamed); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(blocks[i].value());
  }
  return blocks.size() <= kNamed ? text
                                 : fmt::format("{} and {} more", text, blocks.size() - kNamed);
}

std::string joined(std::span<const std::string> names) {
  return fmt::format("{}", fmt::join(names, ", "));
}

/// The drawing of one plan.
class Picture {
 public:
  Picture(const PlannedMove& move, const PlanTexts& texts, const Landing& landing)
      : move_{move}, texts_{texts}, landing_{landing} {}

  std::string draw() {
    line_of_text("How blocks move", {.size = kTitleSize, .bold = true});
    for (const std::string& caption : texts_.captions) {
      line_of_text(caption, {});
    }
    draw_givers();
    draw_landing();
    draw_notes();
    return svg_.document("How blocks move", y_ + kMargin);
  }

 private:
  void line_of_text(std::string_view text, const TextStyle& style) {
    y_ += style.size + 5;
    svg_.text({kMargin, y_}, fitted(text, style.size, kInner), style);
  }

  void rule_and_head(std::string_view text) {
    y_ += 14;
    svg_.line({kMargin, y_}, {kWidth - kMargin, y_}, "rule");
    y_ += 4;
    line_of_text(text, {.size = kHeadSize, .bold = true});
  }

  /// Who gives what: the sources, and the part of the destination that each of them holds.
  void draw_givers() {
    rule_and_head(texts_.sources.size() > 1 ? "Which source gives what" : "From where to where");
    const double top = y_ + 12;
    y_ = top;
    const Folding rows = folding_of(texts_.sources.size(), kSourceRows);
    for (std::size_t i = 0; i < rows.first; ++i) {
      draw_source_row(i);
    }
    if (rows.left_out > 0) {
      svg_.text({kMargin + 24, y_ + 11}, fmt::format("... {} more sources", rows.left_out),
                {.faint = true});
      y_ += kRowHeight;
      draw_source_row(texts_.sources.size() - 1);
    }
    svg_.text({kMargin, y_ + 11}, "to", {.bold = true});
    svg_.text({kMargin + 24, y_ + 11},
              fitted_end(texts_.destination, kTextSize, kGivesX - kMargin - 36));
    y_ += kRowHeight;
    if (has_grid()) {
      draw_grid(top);
      y_ = std::max(y_, top + kGridHeight + 34);
    }
  }

  /// Whether there is more to say than that one source gives everything.
  [[nodiscard]] bool has_grid() const {
    return texts_.sources.size() > 1 || move_.gather.coverage() < 1;
  }

  void draw_source_row(std::size_t source) {
    std::uint64_t bytes{0};
    std::size_t blocks{0};
    for (const plan::GatherPart& part : move_.gather.parts()) {
      if (part.source == source) {
        bytes += part.plan.total_bytes();
        blocks = std::max(blocks, part.plan.destination_blocks().size());
      }
    }
    // Where one source gives everything, colours tell apart what it sends.
    svg_.rect({kMargin, y_, 16, 13}, has_grid() ? "piece " + source_class(source) : "bar");
    const std::string gives =
        bytes == 0 ? std::string{"nothing"}
                   : fmt::format("{} into {}", size_text(bytes), counted(blocks, "block"));
    const std::string who = fmt::format("source {}: ", source);
    svg_.text({kMargin + 24, y_ + 11},
              who + fitted_end(texts_.sources[source], kTextSize,
                               kGivesX - kMargin - 36 - text_width(who, kTextSize)));
    svg_.text({kGivesX, y_ + 11}, fitted(gives, kTextSize, kGridX - kGivesX - 12), {.faint = true});
    y_ += kRowHeight;
  }

  /// The first destination block as layers by heads, each part in the colour of who gives it.
  void draw_grid(double top) {
    const layout::AxisSpan& layers = move_.destination.axis(Axis::kLayer);
    const layout::AxisSpan& heads = move_.destination.axis(Axis::kHead);
    const Box box{kGridX, top, kGridWidth, kGridHeight};
    const double across = box.width / static_cast<double>(layers.extent);
    const double down = box.height / static_cast<double>(heads.extent);
    const std::uint64_t first = std::max(layers.origin, move_.layers.first);
    const std::uint64_t end = std::min(layers.origin + layers.extent, move_.layers.end);
    svg_.open("grid");
    svg_.rect(box, "unsent", "not asked for");
    if (first < end) {
      svg_.rect({box.x + static_cast<double>(first - layers.origin) * across, box.y,
                 static_cast<double>(end - first) * across, box.height},
                "uncovered", "no source gives this");
    }
    for (const plan::GatherPart& part : move_.gather.parts()) {
      const std::span<const BlockId> fed = part.plan.destination_blocks();
      if (std::ranges::find(fed, landing_.destination_blocks.front()) == fed.end()) {
        continue;
      }
      const layout::AxisSpan& l = part.plan.shape().destination().axis(Axis::kLayer);
      const layout::AxisSpan& h = part.plan.shape().destination().axis(Axis::kHead);
      const bool is_told = !part.plan.shape().destination().is_opaque();
      const Box given{box.x + static_cast<double>(l.origin - layers.origin) * across,
                      box.y + (is_told ? static_cast<double>(h.origin - heads.origin) * down : 0),
                      static_cast<double>(l.extent) * across,
                      is_told ? static_cast<double>(h.extent) * down : box.height};
      svg_.rect(given, "piece " + source_class(part.source),
                fmt::format("source {}: layers {} to {}", part.source, l.origin,
                            l.origin + l.extent - 1));
      label({given.x + given.width / 2, given.y + given.height / 2},
            first_fitting({fmt::format("source {}", part.source), std::to_string(part.source)},
                          kSmallSize, given.height < 12 ? 0 : given.width - 6));
    }
    svg_.close();
    const std::string below = fmt::format("layers {} to {} of the model", layers.origin,
                                          layers.origin + layers.extent - 1);
    svg_.text({box.x, box.bottom() + 14}, below, {.size = kSmallSize});
    svg_.text({box.x, box.bottom() + 28},
              heads.extent == 1
                  ? std::string{"one head, or heads not told apart"}
                  : fmt::format("downwards: heads {} to {}; {}", heads.origin,
                                heads.origin + heads.extent - 1,
                                blocks_text(std::span{landing_.destination_blocks}.first(1))),
              {.size = kSmallSize, .faint = true});
  }

  /// A text in the middle of something hatched.
  void label(const Point& middle, std::string_view text) {
    if (text.empty()) {
      return;
    }
    const double width = text_width(text, kSmallSize);
    svg_.rect({middle.x - width / 2 - 1, middle.y - 6.5, width + 2, 13}, "label");
    svg_.text({middle.x, middle.y + 4}, text, {.size = kSmallSize, .centred = true});
  }

  std::vector<MemoryRow> source_rows() const {
    std::vector<MemoryRow> rows;
    for (std::size_t i = 0; i < landing_.sources.size(); ++i) {
      std::vector<MemoryItem> items;
      for (std::size_t p = 0; p < landing_.pieces.size(); ++p) {
        if (landing_.pieces[p].source == landing_.sources[i]) {
          items.push_back({MemoryItem::Kind::kPiece, landing_.pieces[p].from, p, {}, 0, 0});
        }
      }
      for (const Extent& extent : landing_.unsent[i]) {
        items.push_back({MemoryItem::Kind::kIdle, extent, 0, {}, 0, 0});
      }
      rows.push_back(memory_row(move_.sources[landing_.sources[i]], std::move(items)));
    }
    place_rows(rows, {kMargin, kInner});
    return rows;
  }

  MemoryRow destination_row() const {
    std::vector<MemoryItem> items;
    for (std::size_t p = 0; p < landing_.pieces.size(); ++p) {
      items.push_back({MemoryItem::Kind::kPiece, landing_.pieces[p].to, p, {}, 0, 0});
    }
    for (const Extent& extent : landing_.uncovered) {
      items.push_back({MemoryItem::Kind::kIdle, extent, 0, {}, 0, 0});
    }
    std::vector<MemoryRow> rows{memory_row(move_.destination, std::move(items))};
    place_rows(rows, {kMargin, kInner});
    return std::move(rows.front());
  }

  /// A colour for each piece: that of its source, or, with one source, of what moves together.
  void choose_colours(const std::vector<MemoryRow>& rows) {
    colours_.assign(landing_.pieces.size(), 0);
    if (texts_.sources.size() > 1) {
      for (std::size_t p = 0; p < landing_.pieces.size(); ++p) {
        colours_[p] = landing_.pieces[p].source;
      }
      return;
    }
    // The last name tells pieces apart that follow each other; the block's, when several are read.
    const LayoutView& source = move_.sources.front();
    std::vector<std::string> seen;
    for (const MemoryRow& row : rows) {
      for (const MemoryItem& item : row.items) {
        if (item.kind == MemoryItem::Kind::kPiece) {
          std::string key = item.names.back();
          if (landing_.source_blocks.size() > 1) {
            const auto place = place_at(source, {item.extent.region, item.extent.offset_bytes});
            key = std::to_string(place ? (*place)[Axis::kBlock] : 0);
          }
          const auto found = std::ranges::find(seen, key);
          colours_[item.piece] = static_cast<std::size_t>(found - seen.begin());
          if (found == seen.end()) {
            seen.push_back(key);
          }
        }
      }
    }
  }

  std::string scope_text() const {
    std::string text = fmt::format("{} to {}", blocks_text(landing_.source_blocks),
                                   blocks_text(landing_.destination_blocks));
    if (landing_.scope == LandingScope::kFirstLayer) {
      text += move_.destination.axis(Axis::kOuter).extent == 2 ? ", only K of the first layer"
                                                               : ", only the first layer";
      text += texts_.sources.size() > 1 ? " of each source" : "";
    }
    return text;
  }

  void draw_landing() {
    rule_and_head("Where bytes land: " + scope_text());
    line_of_text(
        "above the memory that is read, below that which is written, each in the order of "
        "its addresses; dots: bytes left out",
        {.size = kSmallSize, .faint = true});
    if (landing_.pieces.empty()) {
      line_of_text("Nothing moves.", {.bold = true});
    }
    const std::vector<MemoryRow> above = source_rows();
    const MemoryRow below = destination_row();
    choose_colours(above);
    std::vector<Box> from(landing_.pieces.size());
    std::vector<Box> to(landing_.pieces.size());
    y_ += 18;
    std::size_t depths{0};
    for (const MemoryRow& row : above) {
      depths = std::max(depths, group_rows_of(row));
    }
    const double top = y_ + 8 + static_cast<double>(depths) * kGroupHeight;
    for (std::size_t i = 0; i < above.size() && !above[i].items.empty(); ++i) {
      const Box span{above[i].items.front().x, y_, above[i].width(), 0};
      draw_row_title(span, fmt::format("source {}", landing_.sources[i]), above[i]);
      for (std::size_t depth = 0; depth < depths; ++depth) {
        const double base = top - 7 - static_cast<double>(depth) * kGroupHeight;
        draw_groups(above[i], depth, base, base + 4);
      }
      draw_items(above[i], top, true, from);
    }
    const double bottom = landing_.pieces.empty() ? y_ + 8 : top + kMemoryHeight + kRibbonHeight;
    y_ = bottom;
    if (!below.items.empty()) {
      draw_items(below, bottom, false, to);
      y_ += kMemoryHeight;
      for (std::size_t depth = 0; depth < group_rows_of(below); ++depth) {
        draw_groups(below, depth, y_ + 14, y_ + 3);
        y_ += kGroupHeight;
      }
      y_ += 18;
      draw_row_title({below.items.front().x, y_, below.width(), 0}, "destination", below);
      y_ += 8;
    }
    draw_ribbons(from, to);
  }

  void draw_row_title(const Box& place, const std::string& who, const MemoryRow& row) {
    const std::string text = row.common.empty() ? who : who + ": " + joined(row.common);
    std::string more;
    switch (naming_of(row)) {
      case Naming::kFull: break;
      case Naming::kShort: more = "; in the cells: " + axis_word(row); break;
      case Naming::kNone: more = "; each cell: " + axis_word(row); break;
    }
    const std::string whole = text + more;
    svg_.text({place.x, place.y}, first_fitting({whole, text, who}, kTextSize, place.width),
              {.bold = true});
  }

  /// Names that neighbours share, over or under them: at depth 0, nearest to the memory, the last
  /// but one of each, at depth 1 what is before that.
  void draw_groups(const MemoryRow& row, std::size_t depth, double y, double rule) {
    const auto key_of = [depth](const MemoryItem& item) {
      const std::size_t count = item.names.size() > depth ? item.names.size() - depth - 1 : 0;
      return std::vector<std::string>{item.names.begin(),
                                      item.names.begin() + static_cast<std::ptrdiff_t>(count)};
    };
    for (auto first = row.items.begin(); first != row.items.end();) {
      const std::vector<std::string> key = key_of(*first);
      auto last = first;  // Of those with the same names; breaks between them have none.
      for (auto next = first; next != row.items.end(); ++next) {
        if (next->is_memory() && key_of(*next) != key) {
          break;
        }
        last = next->is_memory() ? next : last;
      }
      const double width = last->x + last->width - first->x;
      if (first->is_memory() && !key.empty()) {
        const std::string all = depth == 0 ? key.back() : joined(key);
        const std::string_view shown =
            first_fitting({all, key.back(), last_word(key.back())}, kSmallSize, width - 2);
        if (!shown.empty()) {
          svg_.line({first->x + 1, rule}, {first->x + width - 1, rule}, "rule");
          svg_.text({first->x + width / 2, y}, shown,
                    {.size = kSmallSize, .faint = true, .centred = true});
        }
      }
      first = std::next(last);
    }
  }

  /// Draws the memory, and says where each piece is.
  void draw_items(const MemoryRow& row, double y, bool is_source, std::vector<Box>& boxes) {
    svg_.open(is_source ? "memory source" : "memory destination");
    for (const MemoryItem& item : row.items) {
      const Box box{item.x, y, item.width, kMemoryHeight};
      const std::string tip =
          fmt::format("{}: {} bytes at offset {} of region {}", joined(item.names),
                      item.extent.bytes, item.extent.offset_bytes, item.extent.region);
      if (item.kind == MemoryItem::Kind::kPiece) {
        svg_.rect(box, "piece " + source_class(colours_[item.piece]), tip);
        boxes[item.piece] = box;
      } else if (item.kind == MemoryItem::Kind::kIdle) {
        svg_.rect(box, is_source ? "unsent" : "uncovered", tip);
      }
    }
    svg_.close();
    const Naming naming = naming_of(row);
    for (const MemoryItem& item : row.items) {
      const Point middle{item.x + item.width / 2, y + kMemoryHeight / 2};
      if (item.kind == MemoryItem::Kind::kLeftOut) {
        svg_.text({middle.x, middle.y + 3}, first_fitting({"...", "."}, kSmallSize, item.width),
                  {.size = kSmallSize, .faint = true, .centred = true});
      } else if (item.is_memory()) {
        const std::string& name = item.names.back();
        if (item.kind == MemoryItem::Kind::kIdle) {
          label(middle, first_fitting({name, last_word(name)}, kSmallSize, item.width - 4));
        } else if (naming != Naming::kNone) {
          label(middle, naming == Naming::kFull ? std::string_view{name} : last_word(name));
        }
      }
    }
  }

  void draw_ribbons(const std::vector<Box>& above, const std::vector<Box>& below) {
    svg_.open("ribbons");
    for (std::size_t p = 0; p < above.size(); ++p) {
      svg_.ribbon(above[p], below[p], source_class(colours_[p]));
    }
    svg_.close();
  }

  void draw_notes() {
    y_ += 10;
    double x{kMargin};
    const auto entry = [&](std::string_view css_class, std::string_view text) {
      svg_.rect({x, y_, 16, 12}, css_class);
      svg_.text({x + 21, y_ + 10}, text, {.size = kSmallSize});
      x += 21 + text_width(text, kSmallSize) + 16;
    };
    if (!landing_.uncovered.empty()) {
      entry("uncovered", "no source gives this: stays as it is");
    }
    if (std::ranges::any_of(landing_.unsent, [](const auto& all) { return !all.empty(); })) {
      entry("unsent", "held, but not sent");
    }
    y_ += x > kMargin ? 16 : 0;
    const TextStyle faint{.faint = true};
    line_of_text(fmt::format("Drawn: {} of the {} copies of {}.", landing_.pieces.size(),
                             landing_.pieces_count, scope_text()),
                 faint);
    if (landing_.sources_count > landing_.sources.size()) {
      line_of_text(
          fmt::format("Left out: {} of their {} sources.",
                      landing_.sources_count - landing_.sources.size(), landing_.sources_count),
          faint);
    }
    const std::size_t others = move_.blocks.destination.size() - landing_.destination_blocks.size();
    if (others > 0) {
      line_of_text(fmt::format("Left out: {}.", counted(others, "more destination block")), faint);
    }
  }

  const PlannedMove& move_;
  const PlanTexts& texts_;
  const Landing& landing_;
  Svg svg_{kWidth};
  double y_{kMargin};
  std::vector<std::size_t> colours_;  ///< of the pieces
};

}  // namespace

Result<std::string> draw_plan(const PlannedMove& move, const PlanTexts& texts) {
  KVFERRY_ASSIGN_OR_RETURN(const Landing landing, landing_of(move));
  return Picture{move, texts, landing}.draw();
}

}  // namespace kvferry::tool
