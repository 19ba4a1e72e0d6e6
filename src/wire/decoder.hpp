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

/// Reads one message of one format in one pass. Room for the regions is made once, as if all
/// layouts had as many as the first; if they have more, all are counted, and room is made again.
template <MessageFormat kFormat, class Reader>
class Decoder {
 public:
  /// Begins at `position`: 0, or where the layouts are.
  Decoder(std::span<const std::byte> bytes, const WireLimits& limits,
          std::size_t position = 0) noexcept
      : bytes_{bytes}, limits_{limits}, reader_{bytes, position} {}

  /// Reads what comes before the layouts, which both formats say alike.
  [[nodiscard]] bool header(MessageView& view) noexcept {
    std::uint64_t worker_id{0};
    const bool ok =
        at(Field::kWorkerId, reader_.u64(worker_id)) &&
        at(Field::kWorkerAgentName, reader_.text(limits_.agent_name_bytes, view.nixl_agent_name)) &&
        at(Field::kBlob, reader_.blob(limits_.nixl_metadata_bytes, view.nixl_metadata));
    view.worker_id = WorkerId{worker_id};
    return ok;
  }

  /// Reads the layouts, which are the rest of the message, into `view`, whose arrays are used
  /// again.
  [[nodiscard]] bool layouts(MessageView& view) {
    view.format = kFormat;
    if (!read_layouts(&view) || !at(Field::kMessage, reader_.finish())) {
      return false;
    }
    view.regions.resize(regions_total_);
    view.is_ambiguous = view.layouts.empty();
    return true;
  }

  /// Whether there are such layouts; allocates nothing.
  [[nodiscard]] bool check_layouts() {
    return read_layouts(nullptr) && at(Field::kMessage, reader_.finish());
  }

  [[nodiscard]] std::size_t position() const noexcept { return reader_.position(); }

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

  /// Into `view`, if there is one.
  bool read_layouts(MessageView* view) {
    layouts_position_ = reader_.position();
    std::size_t count{0};
    if (!at(Field::kLayouts, reader_.count(kLayoutBytesMin, limits_.layouts, count))) {
      return false;
    }
    if (view != nullptr) {
      view->layouts.clear();
      view->layouts.reserve(count);
    }
    layouts_ = count;
    LocalLayoutView passed;
    for (std::size_t i = 0; i < count; ++i) {
      if (!layout(view == nullptr ? passed : view->layouts.emplace_back(), view)) [[unlikely]] {
        path_.layout = i;
        return false;
      }
    }
    return true;
  }

  bool layout(LocalLayoutView& layout, MessageView* view) {
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
           location(layout.location) && nixl_metadata(layout) && regions(layout, view) &&
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

  bool regions(LocalLayoutView& layout, MessageView* view) {
    std::size_t count{0};
    if (!at(Field::kRegions,
            reader_.count(format::kRegionBytesMin, limits_.descriptors_per_layout, count))) {
      return false;
    }
    regions_total_ += count;
    if (view == nullptr) {
      return pass_regions(count);
    }
    layout.regions_index = regions_total_ - count;
    layout.regions_count = count;
    return make_room(view->regions) &&
           fill(std::span{view->regions}.subspan(layout.regions_index, count));
  }

  bool pass_regions(std::size_t count) noexcept {
    Region passed;
    for (std::size_t i = 0; i < count; ++i) {
      if (!region(passed, i)) {
        return false;
      }
    }
    return true;
  }

  bool fill(std::span<Region> regions) noexcept {
    for (std::size_t i = 0; i < regions.size(); ++i) {
      if (!region(regions[i], i)) {
        return false;
      }
      // Most are an address and a size below or above 4 GiB, one like the other.
      const std::span<Region> more = regions.subspan(i + 1);
      if (more.empty()) {
        break;
      }
      const std::size_t alike = reader_.template wide_pairs<4>(more.data(), more.size());
      i += alike != 0 ? alike : reader_.template wide_pairs<8>(more.data(), more.size());
    }
    return true;
  }

  bool region(Region& region, std::size_t index) noexcept {
    const bool ok = at(Field::kRegionAddress, reader_.u64(region.address)) &&
                    at(Field::kRegionSize, reader_.u64(region.size_bytes));
    if (!ok) [[unlikely]] {
      path_.region = index;
    }
    return ok;
  }

  /// Makes room for the regions so far, and for those of the layouts behind.
  bool make_room(std::vector<Region>& regions) const {
    if (regions_total_ <= regions.size()) [[likely]] {
      return true;
    }
    if (regions.empty()) {
      const std::size_t room = reader_.left() / format::kRegionBytesMin;
      regions.resize(std::min(regions_total_ * layouts_, room));
      return true;
    }
    Decoder counter{bytes_, limits_, layouts_position_};
    if (!counter.check_layouts()) {
      return false;
    }
    regions.resize(counter.regions_total_);
    return true;
  }

  bool details(LayoutTypeDetails& details) noexcept {
    std::uint32_t type{0};
    std::uint32_t inner{0};
    if (!at(Field::kDetails, reader_.variant(format::kLayoutTypes, type))) {
      return false;
    }
    if (type == format::kFullyContiguous) {
      auto& contiguous = details.template emplace<FullyContiguousDetails>();
      const bool ok = at(Field::kBlockFormat, reader_.variant(format::kBlockFormats, inner)) &&
                      (!kIsB || order(Field::kContiguousOrder, contiguous.kv_block_layout));
      contiguous.block_format = static_cast<BlockFormat>(inner);
      return ok;
    }
    auto& separate = details.template emplace<LayerSeparateDetails>();
    const bool ok = at(Field::kBlockDim, reader_.variant(format::kBlockDimensions, inner)) &&
                    (!kIsB || order(Field::kSeparateOrder, separate.kv_block_layout));
    separate.block_dim = static_cast<layout::BlockDimension>(inner);
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

  std::span<const std::byte> bytes_;
  const WireLimits& limits_;
  Reader reader_;
  FieldPath path_{};
  std::size_t layouts_position_{0};
  std::size_t layouts_{0};
  std::size_t regions_total_{0};
};

}  // namespace kvferry::wire
