// SPDX-License-Identifier: Apache-2.0
#include "kvferry/layout/tensor.hpp"

#include <array>
#include <limits>
#include <optional>
#include <utility>

#include "kvferry/base/checked.hpp"
#include "kvferry/base/try.hpp"
#include "layout/strides.hpp"

namespace kvferry::layout {
namespace {

constexpr auto kLargest = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());

Error invalid(std::string message) {
  return Error{ErrorCode::kInvalidArgument, std::move(message)};
}

Error invalid(Axis axis, const std::string& message) {
  return invalid(std::string{to_string(axis)} + " axis: " + message);
}

/// Collects axes, each of which may come once.
class Axes {
 public:
  Result<void> add(Axis axis, const AxisSpan& span) {
    std::optional<AxisSpan>& place = spans_[static_cast<std::size_t>(axis)];
    if (place) {
      return invalid(axis, "it is named twice");
    }
    place = span;
    place->whole = span.extent;
    return {};
  }

  [[nodiscard]] bool has(Axis axis) const {
    return spans_[static_cast<std::size_t>(axis)].has_value();
  }

  /// Says which part of the model an axis is, unless `part` says nothing.
  Result<void> tell(Axis axis, const Part& part) {
    if (part == Part{}) {
      return {};
    }
    AxisSpan span = get(axis);
    if (span.extent != part.extent) {
      return invalid(axis, "the part has " + std::to_string(part.extent) + ", the tensors " +
                               std::to_string(span.extent));
    }
    span.origin = part.origin;
    span.whole = part.whole;
    spans_[static_cast<std::size_t>(axis)] = span;
    return {};
  }

  [[nodiscard]] AxisSpan get(Axis axis) const {
    return spans_[static_cast<std::size_t>(axis)].value_or(AxisSpan{});
  }

 private:
  std::array<std::optional<AxisSpan>, kAxisCount> spans_{};
};

Result<void> add_dim(Axes& axes, const TensorDim& dim, std::uint64_t element_bytes) {
  if (dim.extent < 1) {
    return invalid(dim.axis, "extent " + std::to_string(dim.extent) + " is not at least 1");
  }
  if (dim.stride_elements < 0) {
    return invalid(dim.axis, "stride " + std::to_string(dim.stride_elements) + " is negative");
  }
  const auto stride =
      checked_product({static_cast<std::uint64_t>(dim.stride_elements), element_bytes});
  if (!stride) {
    return invalid(dim.axis, "stride " + std::to_string(dim.stride_elements) + " x " +
                                 std::to_string(element_bytes) + " does not fit into 64 bits");
  }
  // Frameworks give any stride to a dim of one place, and the elements' is looked at.
  const bool one_element = dim.axis == Axis::kElement && dim.extent == 1;
  return axes.add(dim.axis, AxisSpan{static_cast<std::uint64_t>(dim.extent),
                                     one_element ? element_bytes : *stride});
}

/// Walks from the innermost list, whose tensors are neighbours, outwards.
Result<void> add_lists(Axes& axes, const std::vector<AxisExtent>& lists) {
  std::uint64_t tensors{1};
  for (auto list = lists.rbegin(); list != lists.rend(); ++list) {
    AxisSpan span{list->extent};
    span.region_step = static_cast<std::uint32_t>(tensors);  // At most kMaxRegions.
    KVFERRY_RETURN_IF_ERROR(axes.add(list->axis, span));
    const auto product = checked_product({tensors, list->extent});
    if (!product || *product > kMaxRegions) {
      return invalid(list->axis, std::to_string(list->extent) + " x " + std::to_string(tensors) +
                                     " tensors are more than " + std::to_string(kMaxRegions));
    }
    tensors = *product;
  }
  return {};
}

/// Fills in page_size and inner_dim, which say again what the axes say.
Result<void> tell_page(LayoutView::Parts& parts, const Axes& axes, const TensorLayout& tensors) {
  const std::uint64_t elements = axes.get(Axis::kElement).extent;
  if (tensors.packing.empty()) {
    if (tensors.page_size != 0) {
      return invalid("page_size: " + std::to_string(tensors.page_size) +
                     " where tokens are told apart, by their own dim");
    }
    const auto inner_dim = checked_product({axes.get(Axis::kHead).extent, elements});
    if (!inner_dim) {
      return invalid(Axis::kHead, "heads x elements do not fit into 64 bits");
    }
    parts.page_size = axes.get(Axis::kToken).extent;
    parts.inner_dim = *inner_dim;
    return {};
  }
  for (const Axis axis : {Axis::kToken, Axis::kHead}) {
    if (axes.has(axis)) {
      return invalid(axis, "packing " + tensors.packing + " is opaque and has none");
    }
  }
  if (tensors.heads != Part{}) {
    return invalid(Axis::kHead, "an opaque piece cannot say which heads it holds; its packing can");
  }
  if (tensors.page_size == 0 || elements % tensors.page_size != 0) {
    return invalid("page_size: " + std::to_string(elements) + " elements are not whole tokens of " +
                   std::to_string(tensors.page_size));
  }
  parts.page_size = tensors.page_size;
  parts.inner_dim = elements / tensors.page_size;
  return {};
}

Result<void> check_scalars(const TensorLayout& tensors) {
  const std::uint64_t bytes = tensors.element_bytes;
  if (bytes != 1 && bytes != 2 && bytes != 4 && bytes != 8) {
    return invalid("element_bytes: " + std::to_string(bytes) + " is not 1, 2, 4 or 8");
  }
  if (tensors.offset_elements < 0) {
    return invalid("offset_elements: " + std::to_string(tensors.offset_elements) + " is negative");
  }
  return {};
}

}  // namespace

Result<std::vector<TensorDim>> contiguous_dims(std::span<const AxisExtent> axes) {
  std::vector<TensorDim> dims;
  std::uint64_t stride{1};
  for (auto at = axes.rbegin(); at != axes.rend(); ++at) {
    const auto next = checked_product({stride, at->extent});
    if (at->extent == 0) {
      return invalid(at->axis, "extent 0 is not at least 1");
    }
    if (!next || *next > kLargest) {
      return invalid(at->axis, "extent " + std::to_string(at->extent) + " x stride " +
                                   std::to_string(stride) + " is more than " +
                                   std::to_string(kLargest));
    }
    dims.insert(dims.begin(), TensorDim{at->axis, static_cast<std::int64_t>(at->extent),
                                        static_cast<std::int64_t>(stride)});
    stride = *next;
  }
  return dims;
}

Result<LayoutView> tensor_view(const TensorLayout& tensors, std::vector<Region> regions) {
  KVFERRY_RETURN_IF_ERROR(check_scalars(tensors));
  const std::uint64_t bytes = tensors.element_bytes;
  Axes axes;
  for (const TensorDim& dim : tensors.dims) {
    KVFERRY_RETURN_IF_ERROR(add_dim(axes, dim, bytes));
  }
  KVFERRY_RETURN_IF_ERROR(add_lists(axes, tensors.lists));
  KVFERRY_RETURN_IF_ERROR(axes.tell(Axis::kLayer, tensors.layers));
  if (!axes.has(Axis::kElement)) {  // One number for each head, as a scale is.
    KVFERRY_RETURN_IF_ERROR(axes.add(Axis::kElement, AxisSpan{1, bytes}));
  }
  LayoutView::Parts parts;
  KVFERRY_RETURN_IF_ERROR(tell_page(parts, axes, tensors));
  KVFERRY_RETURN_IF_ERROR(axes.tell(Axis::kHead, tensors.heads));
  const auto offset = checked_product({static_cast<std::uint64_t>(tensors.offset_elements), bytes});
  if (!offset) {
    return invalid("offset_elements: " + std::to_string(tensors.offset_elements) + " x " +
                   std::to_string(bytes) + " does not fit into 64 bits");
  }
  for (std::size_t i = 0; i < kAxisCount; ++i) {
    parts.axes[i] = axes.get(static_cast<Axis>(i));
  }
  parts.regions = std::move(regions);
  parts.offset_bytes = *offset;
  parts.element_bytes = bytes;
  parts.packing = tensors.packing;
  return LayoutView::create(std::move(parts));
}

Result<LayoutView> state_view(const StateLayout& states, std::vector<Region> regions) {
  if (states.name.empty()) {
    return invalid("name: empty, so that nothing says whether two states mean the same");
  }
  const Part layers =
      states.layers == Part{} ? Part{0, regions.size(), regions.size()} : states.layers;
  LayoutView::Parts parts;
  parts.axes = {AxisSpan{states.num_blocks, states.block_stride_bytes, 0, states.num_blocks},
                AxisSpan{layers.extent, 0, layers.origin, layers.whole, 1},
                AxisSpan{},
                AxisSpan{},
                AxisSpan{},
                AxisSpan{states.state_bytes, 1, 0, states.state_bytes}};
  parts.regions = std::move(regions);
  parts.element_bytes = 1;
  parts.page_size = 1;
  parts.inner_dim = states.state_bytes;
  parts.packing = "state:" + states.name;
  return LayoutView::create(std::move(parts));
}

}  // namespace kvferry::layout
