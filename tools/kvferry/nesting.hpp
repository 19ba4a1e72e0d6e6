// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kvferry/layout/view.hpp"

// Views as a person sees them: what lies inside what, and which place a byte belongs to.

namespace kvferry::tool {

/// One axis with more than one place.
struct Level {
  layout::Axis axis{layout::Axis::kElement};
  std::uint64_t count{1};
  std::uint64_t stride_bytes{0};  ///< 0 where each place has regions of its own
  std::uint64_t bytes{0};         ///< from the first to the last byte of one place

  /// From the first byte of the first place to the last byte of the last one.
  [[nodiscard]] std::uint64_t spanned_bytes() const noexcept {
    return (count - 1) * stride_bytes + bytes;
  }

  friend bool operator==(const Level&, const Level&) = default;
};

/// The axes of a view, outermost first.
struct Nesting {
  std::vector<Level> regions;  ///< axes along which memory is cut into regions
  std::vector<Level> inside;   ///< axes inside a region; the elements of a head are the last
};

[[nodiscard]] Nesting nesting_of(const layout::LayoutView& view);

/// A range of bytes of one region.
struct Extent {
  std::size_t region{0};
  std::uint64_t offset_bytes{0};
  std::uint64_t bytes{0};

  friend constexpr auto operator<=>(const Extent&, const Extent&) = default;
};

/// The bytes of a view, as ranges that are as long as can be.
struct Extents {
  std::vector<Extent> first;  ///< in the order of memory
  std::uint64_t count{0};     ///< of all, the ones left out too
};

/// Gives at most `most` of the ranges.
[[nodiscard]] Extents extents_of(const layout::LayoutView& view, std::size_t most);

/// The place whose bytes hold one at `location`, or nothing where no place's do.
[[nodiscard]] std::optional<layout::Place> place_at(const layout::LayoutView& view,
                                                    const layout::Location& location);

/// "64 blocks", "1 layer", "K and V", "2 outers".
[[nodiscard]] std::string count_text(const layout::LayoutView& view, layout::Axis axis);

/// "block 4", "layer 17" (of the whole model), "K", "token 3".
[[nodiscard]] std::string name_of(const layout::LayoutView& view, layout::Axis axis,
                                  std::uint64_t index);

/// What the name of a place ends with: "4", "17", "K", "3".
[[nodiscard]] std::string short_name_of(const layout::LayoutView& view, layout::Axis axis,
                                        std::uint64_t index);

/// What a range of bytes is, from the outermost axis on: {"block 4", "layer 0", "tokens 0-7"}.
/// Axes with one place, and those of which the range holds all, are left out.
[[nodiscard]] std::vector<std::string> names_of(const layout::LayoutView& view,
                                                const Extent& extent);

/// What region `region` is for: "layer 3", "layer 3, K"; empty where there is one.
[[nodiscard]] std::string region_name(const layout::LayoutView& view, std::size_t region);

/// "64 KiB", "1.5 GiB", "100 B".
[[nodiscard]] std::string size_text(std::uint64_t bytes);

/// "1 block", "2 blocks".
[[nodiscard]] std::string counted(std::uint64_t count, std::string_view what);

}  // namespace kvferry::tool
