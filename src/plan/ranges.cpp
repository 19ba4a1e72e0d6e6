// SPDX-License-Identifier: Apache-2.0
#include "plan/ranges.hpp"

#include <utility>

#include "kvferry/base/try.hpp"

namespace kvferry::plan::detail {

using layout::Axis;
using layout::LayoutView;

Box held_box(const LayoutView& view) {
  Box box;
  for (std::size_t i = 0; i < kPartAxes.size(); ++i) {
    box[i] = held(view.axis(kPartAxes[i]));
  }
  return box;
}

Result<Box> wanted_box(const LayoutView& destination, const LayerRange& layers) {
  const std::uint64_t whole = destination.axis(Axis::kLayer).whole;
  const Range selected{layers.first, layers.end == LayerRange::kAll ? whole : layers.end};
  if (selected.first > selected.end || selected.end > whole) {
    return Error{ErrorCode::kInvalidArgument,
                 "layers " + text(selected) + ": the model has " + std::to_string(whole)};
  }
  Box box = held_box(destination);
  box[0] = shared(selected, box[0]);
  return box;
}

Result<LayoutView> cut(LayoutView view, const Box& box) {
  for (std::size_t i = 0; i < kPartAxes.size(); ++i) {
    const std::uint64_t first = box[i].first - view.axis(kPartAxes[i]).origin;
    KVFERRY_ASSIGN_OR_RETURN(view, view.slice(kPartAxes[i], first, box[i].count()));
  }
  return view;
}

Error not_covered(std::string_view nobody, Axis axis, const Range& missing, const Range& wanted) {
  return Error{ErrorCode::kIncompatible, std::string{nobody} + " " + std::string{to_string(axis)} +
                                             "s " + text(missing) + " of the destination's " +
                                             text(wanted)};
}

}  // namespace kvferry::plan::detail
