// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "kvferry/wire/message_view.hpp"
#include "wire/bincode.hpp"
#include "wire/field.hpp"
#include "wire/format.hpp"

namespace kvferry::wire {

/// Where and why a message could not be read.
struct Stop {
  FieldPath path{};
  bincode::Failure failure{};
};

/// Reads one message of one format. The first pass checks everything and reads all but the regions,
/// which it counts; the second reads the regions into an array of just the right size.
template <MessageFormat kFormat>
class Decoder {
 public:
  Decoder(std::span<const std::byte> bytes, const WireLimits& limits) noexcept
      : bytes_{bytes}, limits_{limits}, reader_{bytes} {}

  /// Reads into `view`, whose arrays are used again.
  [[nodiscard]] bool decode(MessageView& view) {
    view.format = kFormat;
    if (!header(view) || !layouts(&view) || !at(Field::kMessage, reader_.finish())) {
      return false;
    }
    fill_regions(view);
    view.is_ambiguous = view.layouts.empty();
    return true;
  }

  /// Whether there is such a message; allocates nothing.
  [[nodiscard]] bool check() {
    MessageView header_only;
    return header(header_only) && layouts(nullptr) && at(Field::kMessage, reader_.finish());
  }

  /// Where and why it could not be read.
  [[nodiscard]] Stop stop() const noexcept { return {path_, reader_.failure()}; }

 private:
  static constexpr bool kIsB = kFormat == MessageFormat::kB;
  static constexpr std::size_t kLayoutBytesMin =
      kIsB ? format::kLayoutBytesMinB : format::kLayoutBytesMinA;

  /// Notes which field could not be read; nothing happens while all goes well.
  bool at(Field field, bool ok) noexcept {
    if (!ok) [[unlikely]] {
      path_.field = field;
    }
    return ok;
  }

  bool header(MessageView& view) noexcept {
    std::uint64_t worker_id{0};
    const bool ok =
        at(Field::kWorkerId, reader_.u64(worker_id)) &&
        at(Field::kWorkerAgentName, reader_.text(limits_.agent_name_bytes, view.nixl_agent_name)) &&
        at(Field::kBlob, reader_.blob(limits_.nixl_metadata_bytes, view.nixl_metadata));
    view.worker_id = WorkerId{worker_id};
    return ok;
  }

  /// Into `view`, if there is one.
  bool layouts(MessageView* view) {
    std::size_t count{0};
    if (!at(Field::kLayouts, reader_.count(kLayoutBytesMin, limits_.layouts, count))) {
      return false;
    }
    if (view != nullptr) {
      view->layouts.clear();  // Every layout begins as a new one.
      view->layouts.resize(count);
    }
    for (std::size_t i = 0; i < count; ++i) {
      LocalLayoutView forgotten;
      if (!layout(view == nullptr ? forgotten : view->layouts[i])) [[unlikely]] {
        path_.layout = i;
        return false;
      }
    }
    return true;
  }

  bool layout(LocalLayoutView& layout) noexcept {
    std::uint64_t high{0};
    std::uint64_t low{0};
    if (!at(Field::kHandle, reader_.u128(high, low))) {
      return false;
    }
    layout.handle = LayoutHandle::from_bits(high, low);
    if (kIsB && !logical_type(layout.logical_type)) {
      return false;
    }
    return at(Field::kVersion, reader_.u32(layout.version)) && config(layout.layout_config) &&
           location(layout.location) && nixl_metadata(layout) && skip_regions(layout) &&
           details(layout.layout_type_details);
  }

  bool logical_type(LogicalType& type) noexcept {
    std::uint32_t index{0};
    const bool ok = at(Field::kLogicalType, reader_.variant(format::kLogicalTypes, index));
    type = static_cast<LogicalType>(index);
    return ok;
  }

  bool config(layout::LayoutConfig& config) noexcept {
    return at(Field::kNumBlocks, reader_.u64(config.num_blocks)) &&
           at(Field::kNumLayers, reader_.u64(config.num_layers)) &&
           at(Field::kOuterDim, reader_.u64(config.outer_dim)) &&
           at(Field::kPageSize, reader_.u64(config.page_size)) &&
           at(Field::kInnerDim, reader_.u64(config.inner_dim)) &&
           at(Field::kAlignment, reader_.u64(config.alignment)) &&
           at(Field::kDtypeWidthBytes, reader_.u64(config.dtype_width_bytes)) &&
           (kIsB ? num_heads(config.num_heads) : inner_shape(config.inner_shape));
  }

  bool inner_shape(layout::InnerShape& shape) noexcept {
    std::uint32_t index{0};
    const bool ok = at(Field::kInnerShape, reader_.variant(format::kInnerShapes, index));
    shape = static_cast<layout::InnerShape>(index);
    return ok;
  }

  bool num_heads(std::optional<std::uint64_t>& heads) noexcept {
    bool told{false};
    if (!at(Field::kNumHeads, reader_.option(told))) {
      return false;
    }
    if (!told) {
      return true;
    }
    std::uint64_t count{0};
    const bool ok = at(Field::kNumHeads, reader_.u64(count));
    heads = count;
    return ok;
  }

  bool location(StorageKind& location) noexcept {
    std::uint32_t type{0};
    if (!at(Field::kLocation, reader_.variant(format::kStorageKinds, type))) {
      return false;
    }
    location.type = static_cast<StorageKind::Type>(type);
    if (location.type == StorageKind::Type::kDevice) {
      std::uint32_t ordinal{0};
      const bool ok = at(Field::kDevice, reader_.u32(ordinal));
      location.id = ordinal;
      return ok;
    }
    return location.type != StorageKind::Type::kDisk || at(Field::kDisk, reader_.u64(location.id));
  }

  bool nixl_metadata(LocalLayoutView& layout) noexcept {
    std::uint32_t type{0};
    const bool ok =
        at(Field::kAgentName, reader_.text(limits_.agent_name_bytes, layout.agent_name)) &&
        at(Field::kMemType, reader_.variant(format::kMemTypes, type)) &&
        at(Field::kDeviceId, reader_.u64(layout.device_id));
    layout.mem_type = static_cast<MemType>(type);
    return ok;
  }

  /// Leaves the offset of the first region in the message in `regions_index`, until fill_regions()
  /// puts the index there.
  bool skip_regions(LocalLayoutView& layout) noexcept {
    if (!at(Field::kRegions, reader_.count(format::kRegionBytesMin, limits_.descriptors_per_layout,
                                           layout.regions_count))) {
      return false;
    }
    layout.regions_index = reader_.position();
    std::size_t passed{0};
    if (!reader_.skip_u64s(2 * layout.regions_count, passed)) [[unlikely]] {
      path_.region = passed / 2;
      return at(passed % 2 == 0 ? Field::kRegionAddress : Field::kRegionSize, false);
    }
    regions_total_ += layout.regions_count;
    return true;
  }

  bool details(LayoutTypeDetails& details) noexcept {
    std::uint32_t type{0};
    std::uint32_t inner{0};
    if (!at(Field::kDetails, reader_.variant(format::kLayoutTypes, type))) {
      return false;
    }
    if (type == format::kFullyContiguous) {
      FullyContiguousDetails contiguous;
      const bool ok = at(Field::kBlockFormat, reader_.variant(format::kBlockFormats, inner)) &&
                      (!kIsB || order(Field::kContiguousOrder, contiguous.kv_block_layout));
      contiguous.block_format = static_cast<BlockFormat>(inner);
      details = contiguous;
      return ok;
    }
    LayerSeparateDetails separate;
    const bool ok = at(Field::kBlockDim, reader_.variant(format::kBlockDimensions, inner)) &&
                    (!kIsB || order(Field::kSeparateOrder, separate.kv_block_layout));
    separate.block_dim = static_cast<layout::BlockDimension>(inner);
    details = separate;
    return ok;
  }

  bool order(Field field, std::optional<KvBlockLayout>& order) noexcept {
    std::uint32_t type{0};
    if (!at(field, reader_.variant(format::kKvBlockLayouts, type))) {
      return false;
    }
    order = KvBlockLayout{static_cast<KvBlockLayout::Type>(type), {}};
    if (order->type != KvBlockLayout::Type::kCustom) {
      return true;
    }
    return std::ranges::all_of(order->custom, [this, field](BlockDim& dim) {
      std::uint32_t index{0};
      const bool ok = at(field, reader_.variant(format::kBlockDims, index));
      dim = static_cast<BlockDim>(index);
      return ok;
    });
  }

  void fill_regions(MessageView& view) const {
    view.regions.resize(regions_total_);
    Region* next = view.regions.data();
    for (LocalLayoutView& layout : view.layouts) {
      const std::byte* cursor = bytes_.data() + layout.regions_index;
      layout.regions_index = static_cast<std::size_t>(next - view.regions.data());
      for (Region* const end = next + layout.regions_count; next != end; ++next) {
        next->address = bincode::read_checked_u64(cursor);
        next->size_bytes = bincode::read_checked_u64(cursor);
      }
    }
  }

  std::span<const std::byte> bytes_;
  const WireLimits& limits_;
  bincode::Reader reader_;
  FieldPath path_{};
  std::size_t regions_total_{0};
};

}  // namespace kvferry::wire
