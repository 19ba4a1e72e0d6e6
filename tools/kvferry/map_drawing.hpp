// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kvferry/layout/view.hpp"

namespace kvferry::tool {

/// The most layouts of one drawing.
inline constexpr std::size_t kDrawnLayouts = 12;

/// One layout of a memory map.
struct MapLayout {
  std::string title;
  std::vector<std::string> facts;          ///< a line each
  std::optional<layout::LayoutView> view;  ///< nothing where it cannot be drawn
  std::string refusal;                     ///< why not
  bool has_memory{false};                  ///< whether its regions have addresses
};

/// What a memory map shows. Texts may be hostile and of any length.
struct MapContent {
  std::string title;
  std::vector<std::string> facts;
  std::vector<MapLayout> layouts;
  std::uint64_t layouts_left_out{0};
};

/// The memory map as an SVG file: of each layout its regions to scale, and what lies inside what,
/// from a region down to the elements of a head.
[[nodiscard]] std::string draw_map(const MapContent& content);

/// What can be said of a list of regions in one line: how many, how large, what lies between them.
[[nodiscard]] std::string regions_text(const layout::LayoutView& view, bool has_memory);

}  // namespace kvferry::tool
