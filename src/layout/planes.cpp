// SPDX-License-Identifier: Apache-2.0
#include "kvferry/layout/planes.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "kvferry/base/try.hpp"

namespace kvferry::layout {
namespace {

constexpr std::array<Axis, kAxisCount> kAllAxes{Axis::kBlock, Axis::kLayer, Axis::kOuter,
                                                Axis::kToken, Axis::kHead,  Axis::kElement};
/// On which the data and its planes are the same places of the model.
constexpr std::array<Axis, 2> kSharedAxes{Axis::kBlock, Axis::kLayer};

Error invalid(const Plane& plane, const std::string& what) {
  return Error{ErrorCode::kInvalidArgument, "plane \"" + plane.name + "\": " + what};
}

/// Bytes from the first to the last one of a view in a region, along all axes but `without`.
std::uint64_t reach_of(const LayoutView& view, std::span<const Axis> without = {}) {
  std::uint64_t bytes = view.element_bytes();
  for (const Axis axis : kAllAxes) {
    if (std::ranges::find(without, axis) == without.end()) {
      bytes += (view.axis(axis).extent - 1) * view.axis(axis).stride_bytes;
    }
  }
  return bytes;
}

/// The axes along which both views take the same steps inside a region, the longest first.
std::vector<Axis> common_axes(const LayoutView& a, const LayoutView& b) {
  std::vector<Axis> axes;
  std::ranges::copy_if(kAllAxes, std::back_inserter(axes), [&](Axis axis) {
    const AxisSpan& span = a.axis(axis);
    return span.extent > 1 && span.stride_bytes != 0 && span.extent == b.axis(axis).extent &&
           span.stride_bytes == b.axis(axis).stride_bytes;
  });
  std::ranges::sort(axes, std::ranges::greater{},
                    [&a](Axis axis) { return a.axis(axis).stride_bytes; });
  return axes;
}

/// Whether two pieces that lie one behind the other, `bytes` in all, meet no others of their kind
/// along the axes `around`, the longest first.
bool fit_into_steps(const LayoutView& view, std::span<const Axis> around, std::uint64_t bytes) {
  return std::all_of(around.rbegin(), around.rend(), [&](Axis axis) {
    const AxisSpan& span = view.axis(axis);
    const bool fits = bytes <= span.stride_bytes;
    bytes += (span.extent - 1) * span.stride_bytes;
    return fits;
  });
}

/// Whether two views that begin `between` bytes after each other never meet because they take turns
/// inside of common steps.
bool take_turns(const LayoutView& first, const LayoutView& second, std::uint64_t between) {
  const std::vector<Axis> common = common_axes(first, second);
  for (std::size_t count = 1; count <= common.size(); ++count) {
    const std::span<const Axis> around{common.data(), count};
    if (reach_of(first, around) <= between &&
        fit_into_steps(first, around, between + reach_of(second, around))) {
      return true;
    }
  }
  return false;
}

/// Whether the n-th region of one view has the same places as the n-th of the other.
bool are_cut_alike(const LayoutView& a, const LayoutView& b) {
  return std::ranges::all_of(kAllAxes, [&](Axis axis) {
    const AxisSpan& left = a.axis(axis);
    const AxisSpan& right = b.axis(axis);
    const bool cut =
        (left.extent > 1 && left.region_step != 0) || (right.extent > 1 && right.region_step != 0);
    return !cut || (left.extent == right.extent && left.region_step == right.region_step);
  });
}

/// The addresses of a view in one of its regions.
struct Stretch {
  std::uint64_t begin{0};
  std::uint64_t end{0};
  const LayoutView* view{nullptr};
  std::size_t region{0};
};

std::vector<Stretch> stretches_of(const LayoutView& a, const LayoutView& b) {
  std::vector<Stretch> stretches;
  for (const LayoutView* const view : {&a, &b}) {
    for (std::size_t i = 0; i < view->regions().size(); ++i) {
      const std::uint64_t begin = view->regions()[i].address + view->offset_bytes();
      stretches.push_back({begin, begin + reach_of(*view), view, i});
    }
  }
  std::ranges::sort(stretches, {}, &Stretch::begin);
  return stretches;
}

/// Whether it can be seen that no byte of one view is one of the other.
bool are_apart(const LayoutView& a, const LayoutView& b) {
  const bool cut_alike = are_cut_alike(a, b);
  const std::vector<Stretch> stretches = stretches_of(a, b);
  const Stretch* farthest = &stretches.front();
  for (const Stretch& next : std::span{stretches}.subspan(1)) {
    // What meets the farthest and takes turns with it meets no other one: that would have to be
    // the same region of the same view.
    if (next.begin < farthest->end &&
        (next.view == farthest->view || next.region != farthest->region || !cut_alike ||
         !take_turns(*farthest->view, *next.view, next.begin - farthest->begin))) {
      return false;
    }
    farthest = next.end > farthest->end ? &next : farthest;
  }
  return true;
}

Result<void> check_places(const LayoutView& data, const Plane& plane) {
  for (const Axis axis : kSharedAxes) {
    const AxisSpan& left = data.axis(axis);
    const AxisSpan& right = plane.view.axis(axis);
    if (left.extent != right.extent || left.origin != right.origin || left.whole != right.whole) {
      return invalid(
          plane, std::string{to_string(axis)} + " axis: " + std::to_string(right.extent) +
                     " from " + std::to_string(right.origin) + " of " +
                     std::to_string(right.whole) + ", the data has " + std::to_string(left.extent) +
                     " from " + std::to_string(left.origin) + " of " + std::to_string(left.whole));
    }
  }
  return data.page_size() == plane.view.page_size()
             ? Result<void>{}
             : invalid(plane, "page_size " + std::to_string(plane.view.page_size()) +
                                  ", the data has " + std::to_string(data.page_size()));
}

Result<void> check_plane(const LayoutView& data, std::span<const Plane> before, const Plane& plane,
                         Addresses addresses) {
  const bool can_meet = addresses == Addresses::kOfOneMemory;
  if (plane.name.empty()) {
    return Error{ErrorCode::kInvalidArgument, "a plane has no name"};
  }
  KVFERRY_RETURN_IF_ERROR(check_places(data, plane));
  if (can_meet && !are_apart(data, plane.view)) {
    return invalid(plane, "its bytes lie between those of the data");
  }
  for (const Plane& other : before) {
    if (other.name == plane.name) {
      return invalid(plane, "another plane has that name");
    }
    if (can_meet && !are_apart(other.view, plane.view)) {
      return invalid(plane, "its bytes lie between those of plane \"" + other.name + "\"");
    }
  }
  return {};
}

}  // namespace

Result<std::vector<Plane>> side_by_side(const LayoutView& data, std::vector<Plane> planes,
                                        Addresses addresses) {
  if (planes.size() > kMaxPlanes) {
    return Error{ErrorCode::kInvalidArgument, "planes: " + std::to_string(planes.size()) +
                                                  ", at most " + std::to_string(kMaxPlanes)};
  }
  for (std::size_t i = 0; i < planes.size(); ++i) {
    KVFERRY_RETURN_IF_ERROR(check_plane(data, std::span{planes}.first(i), planes[i], addresses));
  }
  std::size_t before = data.regions().size();
  for (Plane& plane : planes) {
    plane.view = plane.view.behind(before);
    before += plane.view.regions().size();
  }
  return planes;
}

const Plane* find_plane(std::span<const Plane> planes, std::string_view name) noexcept {
  const auto found = std::ranges::find(planes, name, &Plane::name);
  return found == planes.end() ? nullptr : &*found;
}

std::vector<Region> all_regions(const LayoutView& data, std::span<const Plane> planes) {
  std::vector<Region> all{data.regions().begin(), data.regions().end()};
  for (const Plane& plane : planes) {
    all.insert(all.end(), plane.view.regions().begin(), plane.view.regions().end());
  }
  return all;
}

}  // namespace kvferry::layout
