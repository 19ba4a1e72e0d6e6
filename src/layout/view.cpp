// SPDX-License-Identifier: Apache-2.0
#include "kvferry/layout/view.hpp"

#include <algorithm>
#include <utility>

#include "kvferry/base/checked.hpp"
#include "kvferry/base/try.hpp"

namespace kvferry::layout {
namespace {

constexpr std::array<Axis, kAxisCount> kAllAxes{Axis::kBlock, Axis::kLayer, Axis::kOuter,
                                                Axis::kToken, Axis::kHead,  Axis::kElement};

std::size_t slot(Axis axis) noexcept { return static_cast<std::size_t>(axis); }

Error invalid(std::string message) {
  return Error{ErrorCode::kInvalidArgument, std::move(message)};
}

std::string axis_name(Axis axis) { return std::string{to_string(axis)} + " axis"; }

std::array<Axis, kAxisCount> by_region_step(const LayoutView::Parts& parts) {
  std::array<Axis, kAxisCount> order = kAllAxes;
  std::stable_sort(order.begin(), order.end(), [&parts](Axis a, Axis b) {
    return parts.axes[slot(a)].region_step < parts.axes[slot(b)].region_step;
  });
  return order;
}

/// Walks the axes from the smallest step over regions to the largest: each must step over all that
/// the smaller ones reach, so that no two places share a region that should have their own.
Result<void> check_region_steps(const LayoutView::Parts& parts) {
  if (parts.axes[slot(Axis::kElement)].region_step != 0) {
    return invalid("element axis: elements of one head cannot lie in several regions");
  }
  std::uint64_t reached{1};
  for (const Axis axis : by_region_step(parts)) {
    const AxisSpan& span = parts.axes[slot(axis)];
    if (span.region_step == 0) {
      continue;
    }
    if (span.stride_bytes != 0) {
      return invalid(axis_name(axis) + ": stride " + std::to_string(span.stride_bytes) +
                     " of an axis that steps over regions is not 0");
    }
    if (span.extent != 1 && span.region_step < reached) {
      return invalid(axis_name(axis) + ": region step " + std::to_string(span.region_step) +
                     " is less than the " + std::to_string(reached) + " regions inside it");
    }
    const auto steps = checked_product({span.extent - 1, std::uint64_t{span.region_step}});
    const auto sum = steps ? checked_add(*steps, reached) : std::nullopt;
    if (!sum) {
      return invalid(axis_name(axis) + ": extent " + std::to_string(span.extent) +
                     " x region step " + std::to_string(span.region_step) +
                     " does not fit into 64 bits");
    }
    reached = *sum;
  }
  if (parts.first_region != 0 || parts.regions.size() != reached) {
    return invalid("needs " + std::to_string(reached) + " regions, has " +
                   std::to_string(parts.regions.size()) + " of which the first is " +
                   std::to_string(parts.first_region));
  }
  return {};
}

Result<void> check_elements(const LayoutView::Parts& parts) {
  const AxisSpan& element = parts.axes[slot(Axis::kElement)];
  if (parts.element_bytes == 0 || element.stride_bytes != parts.element_bytes) {
    return invalid("element axis: stride " + std::to_string(element.stride_bytes) +
                   " is not the element's " + std::to_string(parts.element_bytes) + " bytes");
  }
  if (element.extent != element.whole) {
    return invalid("element axis: extent " + std::to_string(element.extent) + " is not all " +
                   std::to_string(element.whole) + " of a head");
  }
  return {};
}

/// Whether page_size and inner_dim say what the axes say: compatibility is judged by the former,
/// bytes move by the latter.
Result<void> check_page(const LayoutView::Parts& parts) {
  const std::uint64_t token = parts.axes[slot(Axis::kToken)].extent;
  const std::uint64_t head = parts.axes[slot(Axis::kHead)].extent;
  const std::uint64_t element = parts.axes[slot(Axis::kElement)].extent;
  const bool agrees =
      parts.packing.empty()
          ? parts.page_size == token && checked_product({head, element}) == parts.inner_dim
          : token == 1 && head == 1 &&
                checked_product({parts.page_size, parts.inner_dim}) == element;
  if (!agrees) {
    return invalid("page_size " + std::to_string(parts.page_size) + " and inner_dim " +
                   std::to_string(parts.inner_dim) + " do not agree with the extents of token " +
                   std::to_string(token) + ", head " + std::to_string(head) + " and element " +
                   std::to_string(element));
  }
  return {};
}

Result<void> check_extents(const LayoutView::Parts& parts) {
  for (const Axis axis : kAllAxes) {
    const AxisSpan& span = parts.axes[slot(axis)];
    if (span.extent == 0) {
      return invalid(axis_name(axis) + ": extent 0 is not at least 1");
    }
    const auto end = checked_add(span.origin, span.extent);
    if (!end || *end > span.whole) {
      return invalid(axis_name(axis) + ": origin " + std::to_string(span.origin) + " and extent " +
                     std::to_string(span.extent) + " leave the model's " +
                     std::to_string(span.whole));
    }
  }
  return {};
}

/// Walks the axes from the smallest stride to the largest: each must step over all that the
/// smaller ones span. That no two places share a byte follows; the last span is the size needed.
Result<std::uint64_t> spanned_bytes(const LayoutView::Parts& parts) {
  std::array<Axis, kAxisCount> order = kAllAxes;
  std::stable_sort(order.begin(), order.end(), [&parts](Axis a, Axis b) {
    return parts.axes[slot(a)].stride_bytes < parts.axes[slot(b)].stride_bytes;
  });
  std::uint64_t spanned = parts.element_bytes;
  for (const Axis axis : order) {
    const AxisSpan& span = parts.axes[slot(axis)];
    if (span.region_step != 0 || span.extent == 1) {
      continue;
    }
    if (span.stride_bytes < spanned) {
      return invalid(axis_name(axis) + ": stride " + std::to_string(span.stride_bytes) +
                     " is less than the " + std::to_string(spanned) +
                     " bytes of what lies inside it");
    }
    const auto steps = checked_product({span.extent - 1, span.stride_bytes});
    const auto sum = steps ? checked_add(*steps, spanned) : std::nullopt;
    if (!sum) {
      return invalid(axis_name(axis) + ": extent " + std::to_string(span.extent) + " x stride " +
                     std::to_string(span.stride_bytes) + " does not fit into 64 bits");
    }
    spanned = *sum;
  }
  return spanned;
}

Result<void> check_regions(const LayoutView::Parts& parts, std::uint64_t spanned) {
  const auto needed = checked_add(parts.offset_bytes, spanned);
  for (std::size_t i = 0; i < parts.regions.size(); ++i) {
    if (!needed || *needed > parts.regions[i].size_bytes) {
      return invalid("region " + std::to_string(i) + ": the axes span " + std::to_string(spanned) +
                     " bytes from offset " + std::to_string(parts.offset_bytes) + ", it has " +
                     std::to_string(parts.regions[i].size_bytes));
    }
    if (!checked_add(parts.regions[i].address, parts.regions[i].size_bytes)) {
      return invalid("region " + std::to_string(i) + ": " +
                     std::to_string(parts.regions[i].size_bytes) + " bytes at address " +
                     std::to_string(parts.regions[i].address) + " end past the last address");
    }
  }
  return {};
}

/// Leaves the regions that a part's places lie in, of which `first` is the first, and numbers them
/// anew: what lies between them belongs to others.
void keep_reached(std::size_t first, LayoutView::Parts& parts) {
  std::vector<Region> reached{parts.regions[first]};
  std::vector<std::size_t> indexes{first};
  for (const Axis axis : by_region_step(parts)) {
    AxisSpan& span = parts.axes[slot(axis)];
    if (span.region_step == 0) {
      continue;
    }
    const std::size_t inside = indexes.size();
    for (std::uint64_t step = 1; step < span.extent; ++step) {
      for (std::size_t i = 0; i < inside; ++i) {
        indexes.push_back(indexes[i] + step * span.region_step);
        reached.push_back(parts.regions[indexes.back()]);
      }
    }
    span.region_step = static_cast<std::uint32_t>(inside);
  }
  parts.regions = std::move(reached);
  parts.first_region = 0;
}

AxisSpan whole_axis(std::uint64_t extent, std::uint64_t stride_bytes) {
  return AxisSpan{extent, stride_bytes, 0, extent};
}

}  // namespace

std::string_view to_string(Axis axis) noexcept {
  constexpr std::array<std::string_view, kAxisCount> kNames{"block", "layer", "outer",
                                                            "token", "head",  "element"};
  return kNames[slot(axis)];
}

Result<LayoutView> LayoutView::create(Parts parts) {
  KVFERRY_RETURN_IF_ERROR(check_extents(parts));
  KVFERRY_RETURN_IF_ERROR(check_region_steps(parts));
  KVFERRY_RETURN_IF_ERROR(check_elements(parts));
  KVFERRY_RETURN_IF_ERROR(check_page(parts));
  KVFERRY_ASSIGN_OR_RETURN(const std::uint64_t spanned, spanned_bytes(parts));
  KVFERRY_RETURN_IF_ERROR(check_regions(parts, spanned));
  return LayoutView{std::move(parts)};
}

Location LayoutView::locate(const Place& place) const noexcept {
  Location location{parts_.first_region, parts_.offset_bytes};
  for (const Axis which : kAllAxes) {
    location.region += place[which] * axis(which).region_step;
    location.offset_bytes += place[which] * axis(which).stride_bytes;
  }
  return location;
}

Result<LayoutView> LayoutView::slice(Axis axis, std::uint64_t first, std::uint64_t count) const {
  const AxisSpan& old = this->axis(axis);
  if (axis == Axis::kElement || count == 0 || first > old.extent || count > old.extent - first) {
    return invalid(axis_name(axis) + ": cannot take " + std::to_string(count) + " from " +
                   std::to_string(first) + " of " + std::to_string(old.extent));
  }
  Parts parts{parts_};
  AxisSpan& span = parts.axes[slot(axis)];
  span.extent = count;
  span.origin += first;
  if (axis == Axis::kHead && !is_opaque()) {
    parts.inner_dim = count * this->axis(Axis::kElement).extent;
  }
  if (axis == Axis::kToken && !is_opaque()) {
    parts.page_size = count;
  }
  parts.first_region += static_cast<std::uint32_t>(first * old.region_step);
  parts.offset_bytes += first * old.stride_bytes;
  return LayoutView{std::move(parts), regions_before_};
}

LayoutView LayoutView::behind(std::size_t others) const {
  Parts parts{parts_};
  parts.first_region += static_cast<std::uint32_t>(others);
  return LayoutView{std::move(parts), regions_before_ + others};
}

Result<LayoutView> LayoutView::alone() const {
  Parts parts{parts_};
  for (const Axis which : {Axis::kOuter, Axis::kToken}) {
    const AxisSpan& span = axis(which);
    if (span.extent != span.whole) {
      return invalid(axis_name(which) + ": " + std::to_string(span.extent) + " from " +
                     std::to_string(span.origin) + " of " + std::to_string(span.whole) +
                     ", and only blocks, layers and heads can be had in part");
    }
  }
  AxisSpan& block = parts.axes[slot(Axis::kBlock)];
  block.origin = 0;
  block.whole = block.extent;
  keep_reached(parts_.first_region - regions_before_, parts);
  return LayoutView{std::move(parts)};
}

std::optional<LayoutView> LayoutView::collapsed() const {
  if (is_opaque()) {
    return *this;
  }
  const AxisSpan& token = axis(Axis::kToken);
  const AxisSpan& head = axis(Axis::kHead);
  const AxisSpan& element = axis(Axis::kElement);
  const std::uint64_t row = element.extent * parts_.element_bytes;
  const auto lies = [](const AxisSpan& span, std::uint64_t stride) {
    return span.extent == 1 || (span.region_step == 0 && span.stride_bytes == stride);
  };
  const bool nhd = lies(head, row) && lies(token, head.extent * row);
  const bool hnd = lies(token, row) && lies(head, token.extent * row);
  const bool all_heads = head.extent == head.whole;  // An opaque piece cannot say which it holds.
  if ((!nhd && !hnd) || !all_heads) {
    return std::nullopt;
  }
  Parts parts{parts_};
  const std::uint64_t elements = token.extent * head.extent * element.extent;
  parts.axes[slot(Axis::kToken)] = whole_axis(1, 0);
  parts.axes[slot(Axis::kHead)] = whole_axis(1, 0);
  parts.axes[slot(Axis::kElement)] = whole_axis(elements, parts_.element_bytes);
  parts.packing = to_string(nhd ? InnerShape::kNhd : InnerShape::kHnd);
  return LayoutView{std::move(parts), regions_before_};
}

}  // namespace kvferry::layout
