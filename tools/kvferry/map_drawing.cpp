// SPDX-License-Identifier: Apache-2.0
#include "map_drawing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <span>

#include "nesting.hpp"
#include "strip.hpp"
#include "svg.hpp"

namespace kvferry::tool {
namespace {

using layout::Axis;
using layout::LayoutView;

constexpr double kWidth = 1000;
constexpr double kMargin = 24;
constexpr double kInner = kWidth - 2 * kMargin;
constexpr double kBarX = 190;
constexpr double kBarWidth = 520;
constexpr double kBarHeight = 14;
constexpr double kRow = 21;
constexpr double kStripHeight = 28;
constexpr double kLensHeight = 34;
/// Of more regions, some are left out.
constexpr std::uint64_t kRegionRows = 8;
/// A gap behind a region is drawn as long as it is at most this part of the region's length.
constexpr double kDrawnGap = 0.25;

/// A drawing that grows downwards.
struct Sheet {
  Svg svg{kWidth};
  double y{kMargin};
  std::set<std::string_view> used;  ///< classes that the legend explains

  void line_of_text(std::string_view text, const TextStyle& style) {
    y += style.size + 5;
    svg.text({kMargin, y}, fitted(text, style.size, kInner), style);
  }
};

/// The layouts whose inside was drawn before.
struct Drawn {
  const LayoutView* view;
  std::string title;
};

bool same_inside(const LayoutView& left, const LayoutView& right) {
  for (std::size_t i = 0; i < layout::kAxisCount; ++i) {
    if (!(left.axis(static_cast<Axis>(i)) == right.axis(static_cast<Axis>(i)))) {
      return false;
    }
  }
  return left.packing() == right.packing() && left.element_bytes() == right.element_bytes() &&
         left.page_size() == right.page_size();
}

/// How long a region's bar is with the gap behind it, if that is drawn.
std::uint64_t gap_behind(const LayoutView& view, std::size_t region) {
  const std::span<const Region> regions = view.regions();
  if (region + 1 >= regions.size()) {
    return 0;
  }
  const std::uint64_t end = regions[region].address + regions[region].size_bytes;
  return regions[region + 1].address > end ? regions[region + 1].address - end : 0;
}

/// Shows where the bytes of the first block lie in a region: in each where they lie in the first.
void draw_marks(Sheet& sheet, const Box& bar, const std::vector<Extent>& block, double scale) {
  for (const Extent& extent : block) {
    if (extent.region == block.front().region) {
      const double x = bar.x + static_cast<double>(extent.offset_bytes) * scale;
      const double width = std::max(2.0, static_cast<double>(extent.bytes) * scale);
      sheet.svg.rect({std::min(x, bar.right() - width), bar.y, width, bar.height}, "mark");
    }
  }
}

/// One region: its name, its bytes to scale, its address and size.
void draw_region(Sheet& sheet, const MapLayout& layout, const Extents& block, std::size_t index,
                 double scale) {
  const LayoutView& view = *layout.view;
  const Region& region = view.regions()[index];
  const Nesting nesting = nesting_of(view);
  const std::uint64_t used = view.offset_bytes() + nesting.inside.front().spanned_bytes();
  const std::string name = region_name(view, index);
  const std::string title =
      name.empty() ? fmt::format("region {}", index) : fmt::format("region {}: {}", index, name);
  const Box bar{kBarX, sheet.y, std::max(3.0, static_cast<double>(region.size_bytes) * scale),
                kBarHeight};
  const double used_width = used == region.size_bytes
                                ? bar.width
                                : std::min(bar.width - 2, static_cast<double>(used) * scale);
  sheet.svg.text({kMargin, sheet.y + 11.5}, fitted(title, kSmallSize, kBarX - kMargin - 8),
                 {.size = kSmallSize});
  sheet.svg.open("region");
  std::string tip = fmt::format("{}: {} bytes", title, region.size_bytes);
  if (layout.has_memory) {
    tip += fmt::format(" from {:#x} to {:#x}", region.address, region.address + region.size_bytes);
  }
  sheet.svg.rect({bar.x, bar.y, used_width, bar.height}, "bar", tip);
  if (used < region.size_bytes) {
    sheet.used.insert("unused");
    sheet.svg.rect({bar.x + used_width, bar.y, bar.width - used_width, bar.height}, "unused",
                   fmt::format("{} bytes that the layout does not use", region.size_bytes - used));
  }
  sheet.svg.close();
  draw_marks(sheet, bar, block.first, scale);
  sheet.svg.rect(bar, "frame");
  const std::uint64_t gap = layout.has_memory ? gap_behind(view, index) : 0;
  std::string text = size_text(region.size_bytes);
  text += used < region.size_bytes ? fmt::format(", {} unused", size_text(region.size_bytes - used))
                                   : "";
  text += layout.has_memory ? fmt::format(" at {:#x}", region.address) : "";
  if (gap > 0 && static_cast<double>(gap) <= kDrawnGap * static_cast<double>(region.size_bytes)) {
    const double width = std::max(2.0, static_cast<double>(gap) * scale);
    sheet.used.insert("unused");
    sheet.svg.rect(
        {bar.right(), bar.y + 3, std::min(width, kBarX + kBarWidth - bar.right()), bar.height - 6},
        "unused", fmt::format("{} bytes between this region and the next", gap));
  }
  const double x = kBarX + kBarWidth + 10;
  sheet.svg.text({x, sheet.y + 11.5}, fitted(text, kSmallSize, kWidth - kMargin - x),
                 {.size = kSmallSize, .faint = true});
  sheet.y += kRow;
}

/// "a region for each layer, and in it block, K and V, token, head, element".
std::string order_text(const LayoutView& view) {
  const Nesting nesting = nesting_of(view);
  const auto names = [](const std::vector<Level>& levels) {
    std::vector<std::string_view> axes;
    axes.reserve(levels.size());
    for (const Level& level : levels) {
      axes.push_back(level.axis == Axis::kOuter ? "K and V" : to_string(level.axis));
    }
    return axes;
  };
  std::vector<std::string_view> inside = names(nesting.inside);
  if (view.is_opaque()) {
    inside.back() = "an opaque piece";
  }
  const std::string text = fmt::format("{}, outermost first", fmt::join(inside, ", "));
  return nesting.regions.empty() ? text
                                 : fmt::format("a region for each {}; in it {}",
                                               fmt::join(names(nesting.regions), " and "), text);
}

void draw_regions(Sheet& sheet, const MapLayout& layout) {
  const LayoutView& view = *layout.view;
  constexpr std::size_t kMostMarks = 4096;
  const auto first_block = view.slice(Axis::kBlock, 0, 1);
  const Extents block = first_block ? extents_of(*first_block, kMostMarks) : Extents{};
  std::uint64_t longest{1};
  for (std::size_t i = 0; i < view.regions().size(); ++i) {
    const std::uint64_t size = view.regions()[i].size_bytes;
    const std::uint64_t gap = layout.has_memory ? gap_behind(view, i) : 0;
    longest = std::max(
        longest,
        size + (static_cast<double>(gap) <= kDrawnGap * static_cast<double>(size) ? gap : 0));
  }
  const double scale = kBarWidth / static_cast<double>(longest);
  sheet.used.insert("mark");
  sheet.line_of_text("Order: " + order_text(view), {});
  sheet.y += 8;
  sheet.line_of_text("Regions, to scale: " + regions_text(view, layout.has_memory),
                     {.size = kTextSize, .bold = true});
  sheet.line_of_text(
      fmt::format("dark: the bytes of {}, {} in {}", name_of(view, Axis::kBlock, 0),
                  size_text(block.first.empty() ? 0 : block.count * block.first.front().bytes),
                  block.count == 1 ? std::string{"one piece"}
                                   : fmt::format("{} pieces of {}", block.count,
                                                 size_text(block.first.front().bytes))),
      {.size = kSmallSize, .faint = true});
  sheet.y += 9;
  const Folding rows = folding_of(view.regions().size(), kRegionRows);
  for (std::uint64_t i = 0; i < rows.first; ++i) {
    draw_region(sheet, layout, block, i, scale);
  }
  if (rows.left_out > 0) {
    sheet.svg.text({kBarX, sheet.y + 11.5},
                   fmt::format("... {} more: regions {} to {}", rows.left_out, rows.first,
                               rows.first + rows.left_out - 1),
                   {.size = kSmallSize, .faint = true});
    sheet.y += kRow;
    draw_region(sheet, layout, block, view.regions().size() - 1, scale);
  }
}

/// What a strip is called and made of: "block 0, 2 MiB: 32 layers of 64 KiB".
std::string caption_of(const LayoutView& view, const Level& level, const std::string& whole) {
  std::string text = fmt::format("{}, {}: ", whole, size_text(level.spanned_bytes()));
  if (view.is_opaque() && level.axis == Axis::kElement) {
    return text + "one opaque piece, moved only whole";
  }
  text += fmt::format("{} of {}{}", count_text(view, level.axis), size_text(level.bytes),
                      level.axis == Axis::kOuter && level.count == 2 ? " each" : "");
  if (level.count > 1 && level.stride_bytes > level.bytes) {
    text += fmt::format(", with {} unused after each", size_text(level.stride_bytes - level.bytes));
  }
  return text;
}

std::string packing_text(const LayoutView& view) {
  const std::string order =
      view.packing() == "Unknown" ? "of unknown order" : "packed as " + view.packing();
  return fmt::format("opaque, {}: {} of {} of {} B, heads not told apart", order,
                     counted(view.page_size(), "token"), counted(view.inner_dim(), "element"),
                     view.element_bytes());
}

void draw_cell(Sheet& sheet, const LayoutView& view, const Level& level, const Cell& cell) {
  const Box box{kMargin + cell.x, sheet.y, cell.width, kStripHeight};
  const Point middle{box.x + box.width / 2, box.y + kStripHeight / 2 + 4};
  const TextStyle style{.size = kSmallSize, .centred = true};
  const double room = box.width - 4;
  if (cell.kind == Cell::Kind::kPadding) {
    sheet.used.insert("unused");
    sheet.svg.rect(box, "unused", fmt::format("{} bytes unused", level.stride_bytes - level.bytes));
    return;
  }
  if (cell.kind == Cell::Kind::kFolded) {
    sheet.used.insert("folded");
    sheet.svg.rect(box, "folded");
    const std::string more = fmt::format("... {} more ...", cell.count);
    sheet.svg.text(middle, first_fitting({more, "..."}, style.size, room), style);
    return;
  }
  const std::string_view axis = to_string(level.axis);
  sheet.used.insert(axis);
  const std::string name = name_of(view, level.axis, cell.index);
  sheet.svg.rect(box, fmt::format("cell {}{}", axis, cell.index % 2 == 1 ? " odd" : ""),
                 fmt::format("{}: {} bytes from offset {}", name, level.bytes,
                             cell.index * level.stride_bytes));
  sheet.svg.text(
      middle, first_fitting({name, short_name_of(view, level.axis, cell.index)}, style.size, room),
      style);
}

/// One level of the zoom: a strip under the light that falls from its place in the strip above.
void draw_strip(Sheet& sheet, const LayoutView& view, const Level& level) {
  sheet.svg.open(fmt::format("strip {}", to_string(level.axis)));
  if (view.is_opaque() && level.axis == Axis::kElement) {
    const Box box{kMargin, sheet.y, kInner, kStripHeight};
    sheet.used.insert("opaque");
    sheet.svg.rect(box, "opaque", packing_text(view));
    const std::string text = fitted(packing_text(view), kTextSize, kInner - 20);
    const double width = text_width(text, kTextSize);
    sheet.svg.close();
    sheet.svg.rect({kMargin + kInner / 2 - width / 2 - 4, sheet.y + 6, width + 8, 17}, "label");
    sheet.svg.text({kMargin + kInner / 2, sheet.y + kStripHeight / 2 + 4}, text,
                   {.size = kTextSize, .centred = true});
    return;
  }
  for (const Cell& cell : cells_of(level, kInner)) {
    draw_cell(sheet, view, level, cell);
  }
  sheet.svg.close();
}

void draw_inside(Sheet& sheet, const LayoutView& view) {
  const Nesting nesting = nesting_of(view);
  sheet.y += 10;
  sheet.line_of_text(
      "Inside the first region: each strip is the first place of the strip above, "
      "enlarged",
      {.size = kTextSize, .bold = true});
  std::string whole = "region 0";
  if (const std::string name = region_name(view, 0); !name.empty()) {
    whole += fmt::format(" ({})", name);
  }
  Box above{kMargin, sheet.y + 4, kInner, 0};
  for (const Level& level : nesting.inside) {
    const Box below{kMargin, above.bottom() + kLensHeight, kInner, kStripHeight};
    sheet.svg.lens(above, below, "lens");
    sheet.svg.text({kMargin + 8, below.y - 8},
                   fitted(caption_of(view, level, whole), kTextSize, kInner - 16));
    sheet.y = below.y;
    draw_strip(sheet, view, level);
    above = {kMargin, below.y, cells_of(level, kInner).front().width, kStripHeight};
    whole = name_of(view, level.axis, 0);
  }
  sheet.y = above.bottom() + 6;
}

void draw_layout(Sheet& sheet, const MapLayout& layout, std::vector<Drawn>& drawn) {
  sheet.y += 14;
  sheet.svg.line({kMargin, sheet.y}, {kWidth - kMargin, sheet.y}, "rule");
  sheet.y += 4;
  sheet.line_of_text(layout.title, {.size = kHeadSize, .bold = true});
  for (const std::string& fact : layout.facts) {
    sheet.line_of_text(fact, {});
  }
  if (!layout.view) {
    sheet.line_of_text("Cannot be drawn: " + layout.refusal, {.bold = true});
    return;
  }
  draw_regions(sheet, layout);
  const auto same = std::ranges::find_if(
      drawn, [&](const Drawn& other) { return same_inside(*other.view, *layout.view); });
  if (same != drawn.end()) {
    sheet.line_of_text("Inside as in " + same->title + ", above", {.bold = true});
    return;
  }
  draw_inside(sheet, *layout.view);
  drawn.push_back({&*layout.view, layout.title});
}

void draw_legend(Sheet& sheet) {
  constexpr std::array<std::array<std::string_view, 2>, 10> kRows{{{"block", "block"},
                                                                   {"layer", "layer"},
                                                                   {"outer", "K or V"},
                                                                   {"token", "token"},
                                                                   {"head", "head"},
                                                                   {"element", "element"},
                                                                   {"opaque", "not told apart"},
                                                                   {"unused", "not used"},
                                                                   {"mark", "first block"},
                                                                   {"folded", "left out"}}};
  sheet.y += 18;
  double x{kMargin};
  for (const auto& [css_class, name] : kRows) {
    if (!sheet.used.contains(css_class)) {
      continue;
    }
    sheet.svg.rect({x, sheet.y, 14, 12}, css_class);
    sheet.svg.text({x + 19, sheet.y + 10}, name, {.size = kSmallSize});
    x += 28 + text_width(name, kSmallSize) + 14;
  }
  sheet.y += 12;
}

}  // namespace

std::string regions_text(const LayoutView& view, bool has_memory) {
  const std::span<const Region> regions = view.regions();
  const auto [smallest, largest] = std::ranges::minmax(regions, {}, &Region::size_bytes);
  std::string text = regions.size() == 1 ? "one region" : fmt::format("{} regions", regions.size());
  text += " of " + size_text(smallest.size_bytes);
  text += smallest.size_bytes == largest.size_bytes ? "" : " to " + size_text(largest.size_bytes);
  if (!has_memory) {
    return text + ", without memory yet";
  }
  std::vector<Region> sorted{regions.begin(), regions.end()};
  std::ranges::sort(sorted, {}, &Region::address);
  std::uint64_t least{~std::uint64_t{0}};
  std::uint64_t most{0};
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    const std::uint64_t end = sorted[i - 1].address + sorted[i - 1].size_bytes;
    if (sorted[i].address < end) {
      return text + ", some of which overlap";
    }
    least = std::min(least, sorted[i].address - end);
    most = std::max(most, sorted[i].address - end);
  }
  if (sorted.size() > 1 && most == 0) {
    text += ", one right behind the other";
  } else if (sorted.size() > 1) {
    text += least == most ? fmt::format(", {} apart", size_text(most))
                          : fmt::format(", {} to {} apart", size_text(least), size_text(most));
  }
  return text;
}

std::string draw_map(const MapContent& content) {
  Sheet sheet;
  sheet.line_of_text(content.title, {.size = kTitleSize, .bold = true});
  for (const std::string& fact : content.facts) {
    sheet.line_of_text(fact, {.faint = true});
  }
  std::vector<Drawn> drawn;
  for (const MapLayout& layout : content.layouts) {
    draw_layout(sheet, layout, drawn);
  }
  if (content.layouts_left_out > 0) {
    sheet.y += 14;
    sheet.line_of_text(fmt::format("{} more layouts are not drawn; FILE:LAYOUT_ID draws one",
                                   content.layouts_left_out),
                       {.size = kHeadSize, .bold = true});
  }
  if (!drawn.empty()) {
    draw_legend(sheet);
  }
  return sheet.svg.document(content.title, sheet.y + kMargin);
}

}  // namespace kvferry::tool
