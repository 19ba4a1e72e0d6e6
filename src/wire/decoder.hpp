// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>

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

/// Reads one message of one format in one pass. Room for layouts and regions is made once, as if
/// all layouts had as many regions as the first; if they have more, all are counted, and room is
/// made again.
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

  /// Reads the layouts, which are the rest of the message, into `view`. Given how many regions they
  /// have in all, room is made for just these.
  [[nodiscard]] bool layouts(MessageView& view, std::optional<std::size_t> regions = std::nullopt) {
    regions_told_ = regions;
    if (!read_layouts(&view.arrays) || !at(Field::kMessage, reader_.finish())) {
      return false;
    }
    view.format = kFormat;
    view.is_ambiguous = layouts_ == 0;
    view.arrays.set_counts(layouts_, regions_total_);
    return true;
  }

  /// Whether there are such layouts; allocates nothing.
  [[nodiscard]] bool check_layouts() {
    return read_layouts(nullptr) && at(Field::kMessage, reader_.finish());
  }

  /// Of the layouts that were read.
  [[nodiscard]] std::size_t regions_total() const noexcept { return regions_total_; }
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

  /// Into `arrays`, which are new, if there are any.
  bool read_layouts(ViewArrays* arrays) {
    layouts_position_ = reader_.position();
    if (!at(Field::kLayouts, reader_.count(kLayoutBytesMin, limits_.layouts, layouts_))) {
      return false;
    }
    LocalLayoutView passed;
    if (arrays != nullptr) {
      use(*arrays);
    }
    for (std::size_t i = 0; i < layouts_; ++i) {
      LocalLayoutView* to = &passed;
      if (arrays != nullptr) {
        // The one that they begin with is there; room for others is made before the first ends.
        to = i == 0 ? to_layouts_ : std::construct_at(to_layouts_ + i);
      }
      if (!layout(to, i, arrays)) [[unlikely]] {
        path_.layout = i;
        return false;
      }
    }
    return true;
  }

  bool layout(LocalLayoutView* layout, std::size_t index, ViewArrays* arrays) {
    std::uint64_t high{0};
    std::uint64_t low{0};
    if (!at(Field::kHandle, reader_.u128(high, low))) {
      return false;
    }
    layout->handle = LayoutHandle::from_bits(high, low);
    if (kIsB && !logical_type(layout->logical_type)) {
      return false;
    }
    std::size_t regions{0};
    if (!at(Field::kVersion, reader_.u32(layout->version)) || !config(layout->layout_config) ||
        !location(layout->location) || !nixl_metadata(*layout) || !count_regions(regions)) {
      return false;
    }
    if (arrays == nullptr) {
      return pass_regions(regions) && details(layout->layout_type_details);
    }
    layout->regions_index = regions_total_ - regions;
    layout->regions_count = regions;
    if (!has_room_ || regions_total_ > regions_room_) [[unlikely]] {
      if (!make_room(*arrays, index)) {
        return false;
      }
      layout = to_layouts_ + index;
    }
    return fill({to_regions_ + layout->regions_index, regions}) &&
           details(layout->layout_type_details);
  }

  bool logical_type(LogicalType& type) noexcept {
    std::uint32_t index{0};
    const bool ok = at(Field::kLogicalType, reader_.variant(format::kLogicalTypes, index));
    type = static_cast<LogicalType>(index);
    return ok;
  }

  bool config(layout::LayoutConfig& config) noexcept {
    return sizes(config) && (kIsB ? num_heads(config.num_heads) : inner_shape(config.inner_shape));
  }

  bool sizes(layout::LayoutConfig& config) noexcept {
    if constexpr (Reader::kSaysWhy) {
      return at(Field::kNumBlocks, reader_.u64(config.num_blocks)) &&
             at(Field::kNumLayers, reader_.u64(config.num_layers)) &&
             at(Field::kOuterDim, reader_.u64(config.outer_dim)) &&
             at(Field::kPageSize, reader_.u64(config.page_size)) &&
             at(Field::kInnerDim, reader_.u64(config.inner_dim)) &&
             at(Field::kAlignment, reader_.u64(config.alignment)) &&
             at(Field::kDtypeWidthBytes, reader_.u64(config.dtype_width_bytes));
    } else {
      return reader_.u64s(config.num_blocks, config.num_layers, config.outer_dim, config.page_size,
                          config.inner_dim, config.alignment, config.dtype_width_bytes);
    }
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

  bool count_regions(std::size_t& count) noexcept {
    const bool ok = at(Field::kRegions, reader_.count(format::kRegionBytesMin,
                                                      limits_.descriptors_per_layout, count));
    regions_total_ += count;
    return ok;
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

  /// Makes room for all layouts, and for the regions so far and those of the layouts behind; takes
  /// over what is there, of which the layout of that index, whose regions are not, is the last.
  bool make_room(ViewArrays& arrays, std::size_t index) {
    std::size_t room{0};
    if (regions_told_.has_value()) {
      room = *regions_told_;
    } else if (index == 0) {
      room = std::min(regions_total_ * layouts_, reader_.left() / format::kRegionBytesMin);
    } else {
      Decoder counter{bytes_, limits_, layouts_position_};
      if (!counter.check_layouts()) {
        return false;
      }
      room = counter.regions_total();
    }
    ViewArrays made{layouts_, room};
    std::uninitialized_copy_n(to_layouts_, index + 1, made.layouts());
    std::copy_n(to_regions_, to_layouts_[index].regions_index, made.regions());
    arrays = std::move(made);
    use(arrays);
    return true;
  }

  /// Writes to `arrays` from now on.
  void use(ViewArrays& arrays) noexcept {
    to_layouts_ = arrays.layouts();
    to_regions_ = arrays.regions();
    has_room_ = layouts_ <= arrays.layouts_room();
    regions_room_ = arrays.regions_room();
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
  std::optional<std::size_t> regions_told_{};
  LocalLayoutView* to_layouts_{nullptr};
  Region* to_regions_{nullptr};
  bool has_room_{false};  ///< for all layouts
  std::size_t regions_room_{0};
};

}  // namespace kvferry::wire
