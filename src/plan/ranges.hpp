// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "kvferry/base/result.hpp"
#include "kvferry/layout/view.hpp"
#include "kvferry/plan/plan.hpp"

// Which places of the whole model a view holds and a transfer is about.

namespace kvferry::plan::detail {

/// A half-open range of places in the whole model.
struct Range {
  std::uint64_t first{0};
  std::uint64_t end{0};

  [[nodiscard]] bool empty() const noexcept { return first >= end; }
  [[nodiscard]] std::uint64_t count() const noexcept { return empty() ? 0 : end - first; }
  [[nodiscard]] bool holds(const Range& other) const noexcept {
    return first <= other.first && other.end <= end;
  }

  friend bool operator==(const Range&, const Range&) = default;
};

[[nodiscard]] inline Range held(const layout::AxisSpan& span) {
  return {span.origin, span.origin + span.extent};
}

[[nodiscard]] inline Range shared(const Range& a, const Range& b) {
  return {std::max(a.first, b.first), std::min(a.end, b.end)};
}

[[nodiscard]] inline std::string text(const Range& range) {
  return std::to_string(range.first) + ":" + std::to_string(range.end);
}

/// The axes on which a view may hold a part of the model only.
inline constexpr std::array<layout::Axis, 3> kPartAxes{layout::Axis::kLayer, layout::Axis::kOuter,
                                                       layout::Axis::kHead};
/// One range on each of kPartAxes.
using Box = std::array<Range, kPartAxes.size()>;

[[nodiscard]] inline bool is_empty(const Box& box) {
  return std::ranges::any_of(box, &Range::empty);
}

/// What a view holds.
[[nodiscard]] Box held_box(const layout::LayoutView& view);

/// What the destination wants of the selection.
///
/// Errors: kInvalidArgument for layers past the model's.
[[nodiscard]] Result<Box> wanted_box(const layout::LayoutView& destination,
                                     const LayerRange& layers);

/// `view` without what is outside of `box`, which it holds.
[[nodiscard]] Result<layout::LayoutView> cut(layout::LayoutView view, const Box& box);

/// That `nobody` ("the source does not cover") holds `missing` of what is wanted on an axis.
[[nodiscard]] Error not_covered(std::string_view nobody, layout::Axis axis, const Range& missing,
                                const Range& wanted);

/// Whether blocks of pages of that many tokens can be paired: ids, repetitions, numbers of tokens.
///
/// Errors: those of CopyPlan::create().
[[nodiscard]] Result<void> check_pairs(const BlockPairs& blocks, const layout::LayoutView& source,
                                       const layout::LayoutView& destination);

}  // namespace kvferry::plan::detail
