// SPDX-License-Identifier: Apache-2.0
#include "nesting.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "output.hpp"

namespace kvferry::tool {
namespace {

using layout::Axis;
using layout::AxisSpan;
using layout::LayoutView;
using layout::Location;
using layout::Place;

constexpr std::array<Axis, layout::kAxisCount> kAxes{Axis::kBlock, Axis::kLayer, Axis::kOuter,
                                                     Axis::kToken, Axis::kHead,  Axis::kElement};

/// One loop over ranges of bytes.
struct Loop {
  std::uint64_t count{1};
  std::uint64_t region_step{0};
  std::uint64_t stride_bytes{0};
};

std::uint64_t times(std::uint64_t left, std::uint64_t right) noexcept {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  return left != 0 && right > kMost / left ? kMost : left * right;
}

bool is_key_and_value(const AxisSpan& outer) noexcept { return outer.whole == 2; }

/// "tokens 0-7", or the name of the one.
std::string range_name(const LayoutView& view, Axis axis, std::uint64_t first, std::uint64_t last) {
  if (first == last) {
    return name_of(view, axis, first);
  }
  return std::string{to_string(axis)} + "s " + short_name_of(view, axis, first) + "-" +
         short_name_of(view, axis, last);
}

}  // namespace

Nesting nesting_of(const LayoutView& view) {
  Nesting nesting;
  std::vector<Axis> axes;
  std::ranges::copy_if(kAxes, std::back_inserter(axes), [&view](Axis axis) {
    return view.axis(axis).extent > 1 && view.axis(axis).region_step == 0 && axis != Axis::kElement;
  });
  // The elements are always there, so that a view of one place is not nothing.
  std::ranges::stable_sort(axes, {}, [&](Axis axis) { return view.axis(axis).stride_bytes; });
  const std::uint64_t elements = view.axis(Axis::kElement).extent;
  nesting.inside.push_back({Axis::kElement, elements, view.element_bytes(), view.element_bytes()});
  for (const Axis axis : axes) {
    const AxisSpan& span = view.axis(axis);
    nesting.inside.push_back(
        {axis, span.extent, span.stride_bytes, nesting.inside.back().spanned_bytes()});
  }
  std::ranges::reverse(nesting.inside);
  axes.clear();
  std::ranges::copy_if(kAxes, std::back_inserter(axes), [&view](Axis axis) {
    return view.axis(axis).extent > 1 && view.axis(axis).region_step != 0;
  });
  std::ranges::stable_sort(axes, std::ranges::greater{},
                           [&](Axis axis) { return view.axis(axis).region_step; });
  for (const Axis axis : axes) {
    nesting.regions.push_back({axis, view.axis(axis).extent, 0, 0});
  }
  return nesting;
}

Extents extents_of(const LayoutView& view, std::size_t most) {
  const Nesting nesting = nesting_of(view);
  Extents extents;
  std::vector<Loop> loops;  // outermost first
  std::uint64_t bytes{1};
  for (const Level& level : nesting.regions) {
    loops.push_back({level.count, view.axis(level.axis).region_step, 0});
  }
  auto whole = nesting.inside.end();  // From here on, all is one range.
  bytes = view.element_bytes();
  while (whole != nesting.inside.begin() && std::prev(whole)->stride_bytes == bytes) {
    --whole;
    bytes *= whole->count;
  }
  for (auto level = nesting.inside.begin(); level != whole; ++level) {
    loops.push_back({level->count, 0, level->stride_bytes});
  }
  extents.count = 1;
  for (const Loop& loop : loops) {
    extents.count = times(extents.count, loop.count);
  }
  const std::uint64_t given = std::min<std::uint64_t>(extents.count, most);
  for (std::uint64_t i = 0; i < given; ++i) {
    Extent extent{view.first_region(), view.offset_bytes(), bytes};
    std::uint64_t rest{i};
    for (auto loop = loops.rbegin(); loop != loops.rend(); ++loop) {
      extent.region += (rest % loop->count) * loop->region_step;
      extent.offset_bytes += (rest % loop->count) * loop->stride_bytes;
      rest /= loop->count;
    }
    extents.first.push_back(extent);
  }
  return extents;
}

std::optional<Place> place_at(const LayoutView& view, const Location& location) {
  if (location.region < view.first_region() || location.offset_bytes < view.offset_bytes()) {
    return std::nullopt;
  }
  const Nesting nesting = nesting_of(view);
  Place place;
  std::uint64_t regions = location.region - view.first_region();
  for (const Level& level : nesting.regions) {
    const std::uint64_t step = view.axis(level.axis).region_step;
    place[level.axis] = regions / step;
    regions %= step;
    if (place[level.axis] >= level.count) {
      return std::nullopt;
    }
  }
  std::uint64_t bytes = location.offset_bytes - view.offset_bytes();
  for (const Level& level : nesting.inside) {
    place[level.axis] = bytes / level.stride_bytes;
    bytes %= level.stride_bytes;
    if (place[level.axis] >= level.count) {
      return std::nullopt;
    }
  }
  return regions == 0 && bytes < view.element_bytes() ? std::optional{place} : std::nullopt;
}

std::string count_text(const LayoutView& view, Axis axis) {
  const AxisSpan& span = view.axis(axis);
  if (axis == Axis::kOuter && is_key_and_value(span) && span.extent == 2) {
    return "K and V";
  }
  return counted(span.extent, to_string(axis));
}

std::string name_of(const LayoutView& view, Axis axis, std::uint64_t index) {
  const std::string name = short_name_of(view, axis, index);
  return axis == Axis::kOuter && is_key_and_value(view.axis(axis))
             ? name
             : std::string{to_string(axis)} + " " + name;
}

std::string short_name_of(const LayoutView& view, Axis axis, std::uint64_t index) {
  const std::uint64_t place = view.axis(axis).origin + index;
  if (axis == Axis::kOuter && is_key_and_value(view.axis(axis))) {
    return place == 0 ? "K" : "V";
  }
  return std::to_string(place);
}

std::vector<std::string> names_of(const LayoutView& view, const Extent& extent) {
  const auto first = place_at(view, {extent.region, extent.offset_bytes});
  const auto last = place_at(view, {extent.region, extent.offset_bytes + extent.bytes - 1});
  std::vector<std::string> names;
  if (!first || !last) {
    return names;
  }
  const Nesting nesting = nesting_of(view);
  for (const Level& level : nesting.regions) {
    names.push_back(name_of(view, level.axis, (*first)[level.axis]));
  }
  for (const Level& level : nesting.inside) {
    const std::uint64_t from = (*first)[level.axis];
    const std::uint64_t to = (*last)[level.axis];
    if (from == 0 && to + 1 == level.count) {
      break;
    }
    names.push_back(range_name(view, level.axis, from, to));
    if (from != to) {
      break;
    }
  }
  return names;
}

std::string region_name(const LayoutView& view, std::size_t region) {
  std::string name;
  const auto place = place_at(view, {region, view.offset_bytes()});
  if (!place) {
    return name;
  }
  for (const Level& level : nesting_of(view).regions) {
    name += (name.empty() ? "" : ", ") + name_of(view, level.axis, (*place)[level.axis]);
  }
  return name;
}

std::string size_text(std::uint64_t bytes) {
  std::string text = human_bytes(bytes);
  if (const std::size_t zero = text.find(".0 "); zero != std::string::npos) {
    text.erase(zero, 2);
  }
  return text;
}

std::string counted(std::uint64_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

}  // namespace kvferry::tool
