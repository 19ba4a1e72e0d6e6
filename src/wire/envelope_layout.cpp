// SPDX-License-Identifier: Apache-2.0
#include "wire/envelope_layout.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <tuple>

#include "kvferry/base/checked.hpp"
#include "kvferry/base/try.hpp"
#include "kvferry/layout/planes.hpp"
#include "kvferry/v1/worker_metadata.pb.h"
#include "wire/envelope_format.hpp"
#include "wire/text.hpp"

namespace kvferry::wire {
namespace {

namespace format = envelope_format;
using Message = v1::Layout;
using layout::Axis;
using layout::LayoutView;
using layout::PackedLayout;
using layout::Part;

/// By the numbers of a custom order's axes.
constexpr std::array<Axis, format::kAxesBytes> kCustomAxes{Axis::kLayer, Axis::kOuter, Axis::kToken,
                                                           Axis::kHead};
/// By the numbers of Order, from NHD.
constexpr std::array<layout::BlockAxes, 4> kKnownOrders{layout::kNhd, layout::kHnd,
                                                        layout::kUniversalTp, layout::kUniversalPp};

constexpr std::uint64_t kMax32 = std::numeric_limits<std::uint32_t>::max();

/// The rules of one layout.
class Rules {
 public:
  Rules(const EnvelopeContext& context, std::size_t index, const Message& layout)
      : context_{context}, index_{index}, layout_{layout} {}

  Result<void> check() const {
    constexpr std::uint32_t kIdMax = std::numeric_limits<std::uint16_t>::max();
    if (layout_.id() > kIdMax) {
      return wrong(Message::kIdFieldNumber, fmt::format("{}, at most {}", layout_.id(), kIdMax));
    }
    KVFERRY_RETURN_IF_ERROR(check_variants());
    KVFERRY_RETURN_IF_ERROR(check_storage());
    if (layout_.addresses_size() != layout_.sizes_size()) {
      return wrong(
          Message::kSizesFieldNumber,
          fmt::format("{} for {} addresses", layout_.sizes_size(), layout_.addresses_size()));
    }
    if (layout_.has_guards_address() != layout_.has_guards_bytes()) {
      return wrong(layout_.has_guards_address() ? Message::kGuardsAddressFieldNumber
                                                : Message::kGuardsBytesFieldNumber,
                   "guards have an address and a size, or neither");
    }
    KVFERRY_RETURN_IF_ERROR(check_axes());
    KVFERRY_RETURN_IF_ERROR(check_part(Message::kModelLayersFieldNumber, layout_.first_layer(),
                                       layout_.num_layers(), layout_.model_layers()));
    if (layout_.model_heads() != 0 && !layout_.has_num_heads()) {
      return wrong(Message::kModelHeadsFieldNumber,
                   fmt::format("{}, where num_heads is not", layout_.model_heads()));
    }
    KVFERRY_RETURN_IF_ERROR(check_part(Message::kModelHeadsFieldNumber, layout_.first_head(),
                                       layout_.num_heads(), layout_.model_heads()));
    return layout_.arrangement() == v1::ARRANGEMENT_STRIDED ? check_strided() : check_packed();
  }

 private:
  [[nodiscard]] Error wrong(int number, std::string_view what) const {
    return context_.wrong({BodyMessage::kLayout, index_, static_cast<std::uint32_t>(number)}, what);
  }

  template <class Enum>
  [[nodiscard]] Result<void> in_range(int number, Enum value, Enum first, Enum last) const {
    if (value >= first && value <= last) {
      return {};
    }
    return wrong(number, fmt::format("{} is not {} to {}", static_cast<int>(value),
                                     static_cast<int>(first), static_cast<int>(last)));
  }

  [[nodiscard]] Result<void> check_variants() const {
    KVFERRY_RETURN_IF_ERROR(in_range(Message::kStorageFieldNumber, layout_.storage(),
                                     v1::STORAGE_SYSTEM, v1::STORAGE_DISK));
    KVFERRY_RETURN_IF_ERROR(in_range(Message::kAccessFieldNumber, layout_.access(), v1::ACCESS_READ,
                                     v1::ACCESS_READ_WRITE));
    KVFERRY_RETURN_IF_ERROR(
        in_range(Message::kTierFieldNumber, layout_.tier(), v1::TIER_UNSPECIFIED, v1::TIER_G4));
    KVFERRY_RETURN_IF_ERROR(in_range(Message::kArrangementFieldNumber, layout_.arrangement(),
                                     v1::ARRANGEMENT_FULLY_CONTIGUOUS, v1::ARRANGEMENT_STRIDED));
    return in_range(Message::kOrderFieldNumber, layout_.order(), v1::ORDER_UNSPECIFIED,
                    v1::ORDER_CUSTOM);
  }

  [[nodiscard]] Result<void> check_storage() const {
    std::uint64_t bound = 0;
    if (layout_.storage() == v1::STORAGE_DEVICE) {
      bound = kMax32;
    } else if (layout_.storage() == v1::STORAGE_DISK) {
      bound = std::numeric_limits<std::uint64_t>::max();
    }
    return layout_.storage_id() <= bound
               ? Result<void>{}
               : wrong(Message::kStorageIdFieldNumber,
                       fmt::format("{}, at most {} for this storage", layout_.storage_id(), bound));
  }

  [[nodiscard]] Result<void> check_axes() const {
    std::string axes = layout_.axes();
    if ((layout_.order() == v1::ORDER_CUSTOM ? format::kAxesBytes : 0) != axes.size()) {
      return wrong(Message::kAxesFieldNumber, fmt::format("{} of {}, which only a custom order has",
                                                          axes.size(), format::kAxesBytes));
    }
    std::ranges::sort(axes);
    for (std::size_t i = 0; i < axes.size(); ++i) {
      if (static_cast<std::size_t>(static_cast<std::uint8_t>(axes[i])) != i) {
        return wrong(Message::kAxesFieldNumber, "does not name each of 0 to 3 once");
      }
    }
    return {};
  }

  [[nodiscard]] Result<void> check_part(int number, std::uint64_t first, std::uint64_t extent,
                                        std::uint64_t whole) const {
    const auto end = checked_add(first, extent);
    if (whole == 0 ? first == 0 : end && *end <= whole) {
      return {};
    }
    return wrong(number, fmt::format("{}, and {} from {} on are here", whole, extent, first));
  }

  [[nodiscard]] Result<void> check_packed() const {
    if (layout_.strides_size() != 0) {
      return wrong(Message::kStridesFieldNumber, "only a strided layout has them");
    }
    if (layout_.region_steps_size() != 0) {
      return wrong(Message::kRegionStepsFieldNumber, "only a strided layout has them");
    }
    if (layout_.offset_bytes() != 0) {
      return wrong(Message::kOffsetBytesFieldNumber, "only a strided layout has one");
    }
    return layout_.packing().empty()
               ? Result<void>{}
               : wrong(Message::kPackingFieldNumber, "only a strided layout has one");
  }

  [[nodiscard]] Result<void> check_strided() const {
    if (layout_.order() != v1::ORDER_UNSPECIFIED) {
      return wrong(Message::kOrderFieldNumber, "strides say the order");
    }
    for (const auto& [number, size] :
         {std::pair{Message::kStridesFieldNumber, layout_.strides_size()},
          std::pair{Message::kRegionStepsFieldNumber, layout_.region_steps_size()}}) {
      if (size != format::kStridedAxes) {
        return wrong(number, fmt::format("{} of {}", size, format::kStridedAxes));
      }
    }
    for (const std::uint64_t step : layout_.region_steps()) {
      if (step > kMax32) {
        return wrong(Message::kRegionStepsFieldNumber, fmt::format("{}, at most {}", step, kMax32));
      }
    }
    if (layout_.alignment() != 1) {
      return wrong(Message::kAlignmentFieldNumber,
                   fmt::format("{} is not 1, and strides say where all is", layout_.alignment()));
    }
    if (layout_.has_num_heads() != layout_.packing().empty()) {
      return wrong(Message::kPackingFieldNumber, "there is one where num_heads is not, only there");
    }
    const std::uint64_t heads = layout_.has_num_heads() ? layout_.num_heads() : 1;
    if (heads == 0 || layout_.inner_dim() % heads != 0) {
      return wrong(Message::kNumHeadsFieldNumber,
                   fmt::format("{} do not divide inner_dim {}", heads, layout_.inner_dim()));
    }
    return checked_product({layout_.page_size(), layout_.inner_dim()})
               ? Result<void>{}
               : wrong(Message::kInnerDimFieldNumber,
                       fmt::format("{} for each of {} tokens is more than 64 bits hold",
                                   layout_.inner_dim(), layout_.page_size()));
  }

  const EnvelopeContext& context_;
  std::size_t index_;
  const Message& layout_;
};

std::uint64_t layers_of_model(const Message& layout) {
  return layout.model_layers() != 0 ? layout.model_layers() : layout.num_layers();
}

/// The rules of the layout at `index`, which is a plane: those of its data hold for it, too.
class PlaneRules {
 public:
  PlaneRules(const EnvelopeContext& context, const v1::WorkerMetadata& worker, int index)
      : context_{context}, index_{index}, plane_{worker.layouts(index)}, worker_{worker} {}

  Result<void> check() const {
    int data = index_ - 1;
    const int lowest = index_ - 1 - static_cast<int>(layout::kMaxPlanes);
    for (; data >= 0 && data > lowest && !worker_.layouts(data).plane().empty(); --data) {
      if (worker_.layouts(data).plane() == plane_.plane()) {
        return wrong(Message::kPlaneFieldNumber,
                     fmt::format("{} is that of layouts[{}] too", printable(plane_.plane()), data));
      }
    }
    if (data >= 0 && data == lowest) {
      return wrong(Message::kPlaneFieldNumber,
                   fmt::format("is one of more than {} of one layout", layout::kMaxPlanes));
    }
    if (data < 0 || worker_.layouts(data).id() != plane_.id()) {
      return wrong(Message::kIdFieldNumber,
                   fmt::format("{} is not that of the layout in front of it", plane_.id()));
    }
    return check_alike(worker_.layouts(data));
  }

 private:
  [[nodiscard]] Error wrong(int number, std::string_view what) const {
    return context_.wrong({BodyMessage::kLayout, static_cast<std::size_t>(index_),
                           static_cast<std::uint32_t>(number)},
                          what);
  }

  [[nodiscard]] Result<void> check_alike(const Message& data) const {
    for (const auto& [number, own, of_data] :
         {std::tuple{Message::kStorageFieldNumber, std::uint64_t(plane_.storage()),
                     std::uint64_t(data.storage())},
          std::tuple{Message::kStorageIdFieldNumber, plane_.storage_id(), data.storage_id()},
          std::tuple{Message::kAccessFieldNumber, std::uint64_t(plane_.access()),
                     std::uint64_t(data.access())},
          std::tuple{Message::kTierFieldNumber, std::uint64_t(plane_.tier()),
                     std::uint64_t(data.tier())},
          std::tuple{Message::kNumBlocksFieldNumber, plane_.num_blocks(), data.num_blocks()},
          std::tuple{Message::kNumLayersFieldNumber, plane_.num_layers(), data.num_layers()},
          std::tuple{Message::kPageSizeFieldNumber, plane_.page_size(), data.page_size()},
          std::tuple{Message::kFirstLayerFieldNumber, plane_.first_layer(), data.first_layer()},
          std::tuple{Message::kModelLayersFieldNumber, layers_of_model(plane_),
                     layers_of_model(data)}}) {
      if (own != of_data) {
        return wrong(number,
                     fmt::format("{}, and {} of the layout whose plane it is", own, of_data));
      }
    }
    if (plane_.has_guards_address()) {
      return wrong(Message::kGuardsAddressFieldNumber, "a plane has none of its own");
    }
    if (plane_.group() != data.group()) {
      return wrong(Message::kGroupFieldNumber, "is not that of the layout whose plane it is");
    }
    return plane_.model() == data.model()
               ? Result<void>{}
               : wrong(Message::kModelFieldNumber, "is not that of the layout whose plane it is");
  }

  const EnvelopeContext& context_;
  int index_;
  const Message& plane_;
  const v1::WorkerMetadata& worker_;
};

// ---- From values to the message.

void put_config(const layout::LayoutConfig& from, Message& to) {
  to.set_num_blocks(from.num_blocks);
  to.set_num_layers(from.num_layers);
  to.set_outer_dim(from.outer_dim);
  to.set_page_size(from.page_size);
  to.set_inner_dim(from.inner_dim);
  to.set_alignment(from.alignment);
  to.set_dtype_width_bytes(from.dtype_width_bytes);
  if (from.num_heads) {
    to.set_num_heads(*from.num_heads);
  }
}

void put_parts(const Part& layers, const Part& heads, Message& to) {
  to.set_first_layer(layers.origin);
  to.set_model_layers(layers.whole);
  to.set_first_head(heads.origin);
  to.set_model_heads(heads.whole);
}

void put_order(const layout::BlockAxes& order, Message& to) {
  const auto* const known = std::ranges::find(kKnownOrders, order);
  to.set_order(static_cast<v1::Order>(known - kKnownOrders.begin() + v1::ORDER_NHD));
  if (to.order() != v1::ORDER_CUSTOM) {
    return;
  }
  for (const Axis axis : order) {
    const auto* const number = std::ranges::find(kCustomAxes, axis);
    to.mutable_axes()->push_back(static_cast<char>(number - kCustomAxes.begin()));
  }
}

void put(const PackedLayout& from, Message& to) {
  // Enumerators of the message are ours and one more: 0 says that nothing is said.
  to.set_arrangement(static_cast<v1::Arrangement>(static_cast<int>(from.arrangement) + 1));
  if (from.order) {
    put_order(*from.order, to);
  }
  put_parts(from.layers, from.heads, to);
}

void put(const LayoutView::Parts& from, Message& to) {
  to.set_arrangement(v1::ARRANGEMENT_STRIDED);
  for (std::size_t i = 0; i < format::kStridedAxes; ++i) {
    to.add_strides(from.axes[i].stride_bytes);
    to.add_region_steps(from.axes[i].region_step);
  }
  put_parts(layout::part_of(from.axes[static_cast<std::size_t>(Axis::kLayer)]),
            layout::part_of(from.axes[static_cast<std::size_t>(Axis::kHead)]), to);
  to.set_offset_bytes(from.offset_bytes);
  to.set_packing(from.packing);
}

// ---- From the message to values.

layout::LayoutConfig config_of(const Message& from) {
  layout::LayoutConfig config{.num_blocks = from.num_blocks(),
                              .num_layers = from.num_layers(),
                              .outer_dim = from.outer_dim(),
                              .page_size = from.page_size(),
                              .inner_dim = from.inner_dim(),
                              .alignment = from.alignment(),
                              .dtype_width_bytes = from.dtype_width_bytes()};
  if (from.has_num_heads()) {
    config.num_heads = from.num_heads();
  }
  return config;
}

Part held_part(std::uint64_t first, std::uint64_t extent, std::uint64_t whole) {
  return whole == 0 ? Part{} : Part{first, extent, whole};
}

PackedLayout packed_of(const Message& from) {
  PackedLayout packed{
      .config = config_of(from),
      .arrangement = static_cast<layout::Arrangement>(from.arrangement() - 1),
      .layers = held_part(from.first_layer(), from.num_layers(), from.model_layers()),
      .heads = held_part(from.first_head(), from.num_heads(), from.model_heads())};
  if (from.order() == v1::ORDER_CUSTOM) {
    packed.order.emplace();
    std::ranges::transform(from.axes(), packed.order->begin(),
                           [](char axis) { return kCustomAxes[static_cast<std::uint8_t>(axis)]; });
  } else if (from.order() != v1::ORDER_UNSPECIFIED) {
    packed.order = kKnownOrders[static_cast<std::size_t>(from.order() - v1::ORDER_NHD)];
  }
  return packed;
}

LayoutView::Parts strided_of(const Message& from) {
  layout::Steps steps;
  std::ranges::copy(from.strides(), steps.stride_bytes.begin());
  std::ranges::transform(from.region_steps(), steps.regions.begin(),
                         [](std::uint64_t step) { return static_cast<std::uint32_t>(step); });
  LayoutView::Parts parts = strided_layout(
      config_of(from), steps, held_part(from.first_layer(), from.num_layers(), from.model_layers()),
      held_part(from.first_head(), from.num_heads(), from.model_heads()));
  parts.offset_bytes = from.offset_bytes();
  parts.packing = from.packing();
  return parts;
}

}  // namespace

Error EnvelopeContext::wrong(const BodyPlace& place, std::string_view what) const {
  return body != nullptr
             ? Error{ErrorCode::kCorrupt, at_place(*body, place, what)}
             : Error{ErrorCode::kInvalidArgument, fmt::format("{}: {}", to_string(place), what)};
}

Result<void> check_layouts(const EnvelopeContext& context, const v1::WorkerMetadata& worker) {
  std::vector<bool> seen(std::size_t{std::numeric_limits<std::uint16_t>::max()} + 1);
  for (int i = 0; i < worker.layouts_size(); ++i) {
    const Message& layout = worker.layouts(i);
    const auto index = static_cast<std::size_t>(i);
    KVFERRY_RETURN_IF_ERROR(Rules(context, index, layout).check());
    if (!layout.plane().empty()) {
      KVFERRY_RETURN_IF_ERROR(PlaneRules(context, worker, i).check());
      continue;
    }
    if (seen[layout.id()]) {
      return context.wrong({BodyMessage::kLayout, index, Message::kIdFieldNumber},
                           fmt::format("{} is that of another layout too", layout.id()));
    }
    seen[layout.id()] = true;
  }
  return {};
}

std::vector<std::string_view> features_of(const v1::WorkerMetadata& worker) {
  std::array<bool, format::kFeatures.size()> used{};
  for (const Message& layout : worker.layouts()) {
    used[0] = used[0] || layout.order() > v1::ORDER_HND;
    used[1] = used[1] || layout.model_layers() != 0 || layout.model_heads() != 0;
    used[2] = used[2] || layout.arrangement() == v1::ARRANGEMENT_STRIDED;
    used[3] = used[3] || !layout.plane().empty();
  }
  static_assert(format::kFeatures ==
                std::array{format::kOrders, format::kParts, format::kStrides, format::kPlanes});
  std::vector<std::string_view> features;
  for (std::size_t i = 0; i < used.size(); ++i) {
    if (used[i]) {
      features.push_back(format::kFeatures[i]);
    }
  }
  return features;
}

void put_layout(const EnvelopeLayout& from, Message& to) {
  to.set_id(from.id.value());
  to.set_storage(static_cast<v1::Storage>(static_cast<int>(from.location.type) + 1));
  to.set_storage_id(from.location.id);
  to.set_access(static_cast<v1::Access>(from.access));
  to.set_tier(from.tier ? static_cast<v1::Tier>(static_cast<int>(*from.tier) + 1)
                        : v1::TIER_UNSPECIFIED);
  put_config(layout::config_of(from.description), to);
  std::visit([&to](const auto& description) { put(description, to); }, from.description);
  for (const Region& region : from.regions) {
    to.add_addresses(region.address);
    to.add_sizes(region.size_bytes);
  }
  if (from.guards) {
    to.set_guards_address(from.guards->address);
    to.set_guards_bytes(from.guards->size_bytes);
  }
  to.set_group(from.group);
  to.set_plane(from.plane);
  to.set_model(from.model);
}

EnvelopeLayout layout_of(const Message& from) {
  EnvelopeLayout to;
  to.id = LayoutId{static_cast<std::uint16_t>(from.id())};
  to.location = {static_cast<StorageKind::Type>(from.storage() - 1), from.storage_id()};
  to.access = static_cast<Access>(from.access());
  if (from.tier() != v1::TIER_UNSPECIFIED) {
    to.tier = static_cast<LogicalType>(from.tier() - 1);
  }
  if (from.arrangement() == v1::ARRANGEMENT_STRIDED) {
    to.description = strided_of(from);
  } else {
    to.description = packed_of(from);
  }
  to.regions.reserve(static_cast<std::size_t>(from.addresses_size()));
  for (int i = 0; i < from.addresses_size(); ++i) {
    to.regions.push_back({from.addresses(i), from.sizes(i)});
  }
  if (from.has_guards_address()) {
    to.guards = Region{from.guards_address(), from.guards_bytes()};
  }
  to.group = from.group();
  to.plane = from.plane();
  to.model = from.model();
  return to;
}

}  // namespace kvferry::wire
