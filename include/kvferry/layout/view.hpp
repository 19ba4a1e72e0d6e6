// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvferry/base/result.hpp"
#include "kvferry/base/run.hpp"
#include "kvferry/layout/layout.hpp"

namespace kvferry::layout {

/// The axes of every KV cache (docs/terms.md).
enum class Axis : std::uint8_t { kBlock, kLayer, kOuter, kToken, kHead, kElement };
inline constexpr std::size_t kAxisCount = 6;

/// "block", "layer", "outer", "token", "head", "element".
[[nodiscard]] std::string_view to_string(Axis axis) noexcept;

/// One axis of a view: how many, how far apart, and which part of the whole model they are.
struct AxisSpan {
  std::uint64_t extent{1};
  std::uint64_t stride_bytes{0};  ///< between neighbours in a region; 0 where each has its own
  std::uint64_t origin{0};        ///< place of the first one in the whole model
  std::uint64_t whole{1};         ///< how many the whole model has
  std::uint32_t region_step{0};   ///< regions between neighbours; 0 where they lie in one

  friend constexpr bool operator==(const AxisSpan&, const AxisSpan&) = default;
};

/// One place on every axis, addressed by axis: `place[Axis::kToken]`.
class Place {
 public:
  [[nodiscard]] constexpr std::uint64_t& operator[](Axis axis) noexcept {
    return at_[static_cast<std::size_t>(axis)];
  }
  [[nodiscard]] constexpr std::uint64_t operator[](Axis axis) const noexcept {
    return at_[static_cast<std::size_t>(axis)];
  }

 private:
  std::array<std::uint64_t, kAxisCount> at_{};
};

/// A byte of a view: which region, and how far into it.
struct Location {
  std::size_t region{0};
  std::uint64_t offset_bytes{0};

  friend constexpr bool operator==(const Location&, const Location&) = default;
};

/// Regions, and for each labelled axis an extent and a byte stride: every layout is one of these,
/// and planning knows nothing else. The elements of one head are contiguous. Along the other axes
/// memory may be cut into regions: then neighbours on the axis are `region_step` regions apart, as
/// with a tensor for K and another for V of each layer.
///
/// A view is opaque when token, head and element are not told apart: then they are one piece of
/// page_size x inner_dim elements with a packing's name, and move only whole and only between
/// equal packings. Its token and head extents are 1.
///
/// Source: docs/spec/layouts.md, section 3.
class LayoutView {
 public:
  /// What a view is made of; create() says whether it is one.
  struct Parts {
    std::vector<Region> regions;
    std::array<AxisSpan, kAxisCount> axes{};  ///< in the order of Axis
    std::uint32_t first_region{0};            ///< of the first element
    std::uint64_t offset_bytes{0};            ///< of the first element, in every region
    std::uint64_t element_bytes{0};
    std::uint64_t page_size{0};  ///< tokens in a block
    std::uint64_t inner_dim{0};  ///< elements of a token, over all heads of the view
    std::string packing;         ///< empty: every axis is told apart

    friend bool operator==(const Parts&, const Parts&) = default;
  };

  /// Errors: kInvalidArgument naming the axis whose extent is zero, whose stride makes two places
  ///         overlap, that leaves its region or the model, or has both a stride and a step over
  ///         regions; regions that no axis reaches, as those in front of the first; a page_size or
  ///         inner_dim that contradicts the axes; a region that ends past the last address.
  [[nodiscard]] static Result<LayoutView> create(Parts parts);

  [[nodiscard]] const AxisSpan& axis(Axis axis) const noexcept {
    return parts_.axes[static_cast<std::size_t>(axis)];
  }
  [[nodiscard]] std::span<const Region> regions() const noexcept { return parts_.regions; }
  [[nodiscard]] std::uint32_t first_region() const noexcept { return parts_.first_region; }
  [[nodiscard]] std::uint64_t offset_bytes() const noexcept { return parts_.offset_bytes; }
  [[nodiscard]] std::uint64_t element_bytes() const noexcept { return parts_.element_bytes; }
  [[nodiscard]] std::uint64_t page_size() const noexcept { return parts_.page_size; }
  [[nodiscard]] std::uint64_t inner_dim() const noexcept { return parts_.inner_dim; }
  [[nodiscard]] const std::string& packing() const noexcept { return parts_.packing; }
  [[nodiscard]] bool is_opaque() const noexcept { return !parts_.packing.empty(); }

  /// Where the element at `place` (every index below its extent) begins.
  [[nodiscard]] Location locate(const Place& place) const noexcept;

  /// The `count` places from `first` on one axis, as a view of the same regions that knows which
  /// part of the model it is.
  ///
  /// Errors: kInvalidArgument when the range is empty or leaves the axis, or cuts the elements.
  [[nodiscard]] Result<LayoutView> slice(Axis axis, std::uint64_t first, std::uint64_t count) const;

  /// The same view where `others` regions stand in front of its own in one list: places are told in
  /// that list, regions() are its own.
  [[nodiscard]] LayoutView behind(std::size_t others) const;

  /// The same places as a view of its own: blocks count from 0, and there is no region in which no
  /// place is.
  ///
  /// Errors: kInvalidArgument naming an axis, but block, layer and head, of which it is a part.
  [[nodiscard]] Result<LayoutView> alone() const;

  /// The same memory with token, head and element as one opaque piece, named NHD or HND after
  /// their order; nothing when they are not contiguous in either order, or not all heads.
  [[nodiscard]] std::optional<LayoutView> collapsed() const;

  /// Whether both are the same bytes, said in the same way.
  friend bool operator==(const LayoutView&, const LayoutView&) = default;

 private:
  explicit LayoutView(Parts parts, std::size_t regions_before = 0)
      : parts_{std::move(parts)}, regions_before_{regions_before} {}

  Parts parts_;
  std::size_t regions_before_;  ///< in front of its own, and in first_region
};

/// The view of a layout: told apart where its config says order and number of heads, opaque where
/// it does not.
[[nodiscard]] Result<LayoutView> view_of(const Layout& layout);

}  // namespace kvferry::layout
