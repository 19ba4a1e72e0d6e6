// SPDX-License-Identifier: Apache-2.0
#include "kvferry/wire/message_view.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "wire/bincode.hpp"
#include "wire/field.hpp"
#include "wire/format_a.hpp"

namespace kvferry::wire {
namespace {

/// Reads one message into a view. The first pass checks everything and reads all but the regions,
/// which it counts; the second reads the regions into an array of just the right size.
class Decoder {
 public:
  Decoder(std::span<const std::byte> bytes, const WireLimits& limits) noexcept
      : bytes_{bytes}, limits_{limits}, reader_{bytes} {}

  [[nodiscard]] Result<MessageView> decode() {
    if (bytes_.size() > limits_.message_bytes) {
      return Error{ErrorCode::kCorrupt,
                   fmt::format("message at 0: {} bytes is above the limit of {}", bytes_.size(),
                               limits_.message_bytes)};
    }
    MessageView view;
    if (!header(view) || !layouts(view) || !at(Field::kMessage, reader_.finish())) {
      return error();
    }
    fill_regions(view);
    return view;
  }

 private:
  /// Notes which field could not be read; nothing happens while all goes well.
  bool at(Field field, bool ok) noexcept {
    if (!ok) [[unlikely]] {
      path_.field = field;
    }
    return ok;
  }

  [[nodiscard]] Error error() const {
    const bincode::Failure& failure = reader_.failure();
    return Error{ErrorCode::kCorrupt, fmt::format("{} at {}: {}", to_string(path_),
                                                  failure.position, describe(failure))};
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

  bool layouts(MessageView& view) {
    std::size_t count{0};
    if (!at(Field::kLayouts, reader_.count(format_a::kLayoutBytesMin, limits_.layouts, count))) {
      return false;
    }
    view.layouts.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
      if (!layout(view.layouts[i])) [[unlikely]] {
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
    return at(Field::kVersion, reader_.u32(layout.version)) && config(layout.layout_config) &&
           location(layout.location) && nixl_metadata(layout) && skip_regions(layout) &&
           details(layout.layout_type_details);
  }

  bool config(layout::LayoutConfig& config) noexcept {
    std::uint32_t shape{0};
    const bool ok = at(Field::kNumBlocks, reader_.u64(config.num_blocks)) &&
                    at(Field::kNumLayers, reader_.u64(config.num_layers)) &&
                    at(Field::kOuterDim, reader_.u64(config.outer_dim)) &&
                    at(Field::kPageSize, reader_.u64(config.page_size)) &&
                    at(Field::kInnerDim, reader_.u64(config.inner_dim)) &&
                    at(Field::kAlignment, reader_.u64(config.alignment)) &&
                    at(Field::kDtypeWidthBytes, reader_.u64(config.dtype_width_bytes)) &&
                    at(Field::kInnerShape, reader_.variant(format_a::kInnerShapes, shape));
    config.inner_shape = static_cast<layout::InnerShape>(shape);
    return ok;
  }

  bool location(StorageKind& location) noexcept {
    std::uint32_t type{0};
    if (!at(Field::kLocation, reader_.variant(format_a::kStorageKinds, type))) {
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
        at(Field::kMemType, reader_.variant(format_a::kMemTypes, type)) &&
        at(Field::kDeviceId, reader_.u64(layout.device_id));
    layout.mem_type = static_cast<MemType>(type);
    return ok;
  }

  /// Leaves the offset of the first region in the message in `regions_index`, until fill_regions()
  /// puts the index there.
  bool skip_regions(LocalLayoutView& layout) noexcept {
    if (!at(Field::kRegions, reader_.count(format_a::kRegionBytesMin,
                                           limits_.descriptors_per_layout, layout.regions_count))) {
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
    if (!at(Field::kDetails, reader_.variant(format_a::kLayoutTypes, type))) {
      return false;
    }
    if (type == format_a::kFullyContiguous) {
      const bool ok = at(Field::kBlockFormat, reader_.variant(format_a::kBlockFormats, inner));
      details = FullyContiguousDetails{static_cast<BlockFormat>(inner)};
      return ok;
    }
    const bool ok = at(Field::kBlockDim, reader_.variant(format_a::kBlockDimensions, inner));
    details = LayerSeparateDetails{static_cast<layout::BlockDimension>(inner)};
    return ok;
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

}  // namespace

Result<MessageView> decode_view(std::span<const std::byte> bytes, const WireLimits& limits) {
  return Decoder{bytes, limits}.decode();
}

RdmaLayoutDescriptors to_owned(const MessageView& view) {
  RdmaLayoutDescriptors owned;
  owned.worker_address = {view.worker_id, std::string{view.nixl_agent_name}};
  owned.nixl_metadata.assign(view.nixl_metadata.begin(), view.nixl_metadata.end());
  owned.layouts.reserve(view.layouts.size());
  for (const LocalLayoutView& layout : view.layouts) {
    const std::span<const Region> regions = view.regions_of(layout);
    owned.layouts.push_back(LocalLayoutDescriptor{
        layout.handle, LayoutDescriptor{
                           layout.version,
                           layout.layout_config,
                           layout.location,
                           {std::string{layout.agent_name}, layout.mem_type, layout.device_id},
                           {regions.begin(), regions.end()},
                           layout.layout_type_details,
                       }});
  }
  return owned;
}

bool is_canonical(std::span<const std::byte> bytes, const WireLimits& limits) {
  const Result<MessageView> view = decode_view(bytes, limits);
  return view && std::ranges::equal(encode(*view), bytes);
}

}  // namespace kvferry::wire
