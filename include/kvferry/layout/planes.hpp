// SPDX-License-Identifier: Apache-2.0
#pragma once

// What moves with a layout's blocks and lies by itself: the scales of a quantized cache.
//
//   auto scales = layout::tensor_view(...);                      // 4 bytes for each row of a head
//   auto planes = layout::side_by_side(data, {{"scales", *scales}});

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvferry/base/result.hpp"
#include "kvferry/layout/view.hpp"

namespace kvferry::layout {

/// Most planes of a layout: several times what any engine has.
inline constexpr std::size_t kMaxPlanes = 16;

/// A part of every block of a layout that has elements, order and strides of its own. Blocks are
/// whole when the layout's own bytes, its data, and those of every plane are there.
struct Plane {
  std::string name;
  LayoutView view;

  friend bool operator==(const Plane&, const Plane&) = default;
};

/// Whether two addresses in different planes can be the same byte.
enum class Addresses : std::uint8_t {
  kOfOneMemory,
  kOfFiles,  ///< each plane has a file of its own, in which its addresses are offsets
};

/// Puts the regions of `planes` behind those of `data` and of each other, so that the views of a
/// layout tell places in one list, that of all_regions().
///
/// Errors: kInvalidArgument for more than kMaxPlanes; naming the plane without a name, with that of
/// another one, with other
///         blocks, tokens in a block or layers than the data, or with bytes between those of the
///         data or of another plane, unless both have the same strides around them.
[[nodiscard]] Result<std::vector<Plane>> side_by_side(
    const LayoutView& data, std::vector<Plane> planes,
    Addresses addresses = Addresses::kOfOneMemory);

/// Null where there is none of that name.
[[nodiscard]] const Plane* find_plane(std::span<const Plane> planes,
                                      std::string_view name) noexcept;

/// The list in which the views of a layout count their regions.
[[nodiscard]] std::vector<Region> all_regions(const LayoutView& data,
                                              std::span<const Plane> planes);

}  // namespace kvferry::layout
