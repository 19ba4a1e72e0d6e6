// SPDX-License-Identifier: Apache-2.0
#include "wire/encoder.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>

#include "kvferry/base/assert.hpp"
#include "kvferry/base/try.hpp"
#include "kvferry/wire/message_view.hpp"
#include "wire/bincode.hpp"
#include "wire/field.hpp"
#include "wire/format.hpp"
#include "wire/text.hpp"

namespace kvferry::wire {
namespace {

/// What is written of one layout, wherever it lies.
struct Parts {
  LayoutHandle handle;
  std::uint32_t version;
  LogicalType logical_type;
  const layout::LayoutConfig& config;
  StorageKind location;
  std::string_view agent_name;
  MemType mem_type;
  std::uint64_t device_id;
  std::span<const Region> regions;
  const LayoutTypeDetails& details;
};

/// What comes before the layouts.
struct Header {
  MessageFormat format;
  WorkerId worker_id;
  std::string_view nixl_agent_name;
  std::span<const std::byte> nixl_metadata;
};

void put_text(bincode::Writer& writer, std::string_view text) {
  writer.u64(text.size());
  writer.raw(std::as_bytes(std::span{text}));
}

void put_option(bincode::Writer& writer, const std::optional<std::uint64_t>& value) {
  writer.tag(value ? 1 : 0);
  if (value) {
    writer.u64(*value);
  }
}

void put_order(bincode::Writer& writer, const std::optional<KvBlockLayout>& told) {
  writer.tag(told ? told->type : KvBlockLayout::Type::kUnknown);
  if (told && told->type == KvBlockLayout::Type::kCustom) {
    for (const BlockDim dim : told->custom) {
      writer.tag(dim);
    }
  }
}

void put_config(bincode::Writer& writer, const layout::LayoutConfig& config, MessageFormat format) {
  writer.u64(config.num_blocks);
  writer.u64(config.num_layers);
  writer.u64(config.outer_dim);
  writer.u64(config.page_size);
  writer.u64(config.inner_dim);
  writer.u64(config.alignment);
  writer.u64(config.dtype_width_bytes);
  if (format == MessageFormat::kA) {
    writer.tag(config.inner_shape);
  } else {
    put_option(writer, config.num_heads);
  }
}

void put_details(bincode::Writer& writer, const LayoutTypeDetails& details, MessageFormat format) {
  writer.tag(details.index());
  const auto* const separate = std::get_if<LayerSeparateDetails>(&details);
  const auto* const contiguous = std::get_if<FullyContiguousDetails>(&details);
  writer.tag(separate != nullptr ? static_cast<std::uint8_t>(separate->block_dim)
                                 : static_cast<std::uint8_t>(contiguous->block_format));
  if (format == MessageFormat::kB) {
    put_order(writer,
              separate != nullptr ? separate->kv_block_layout : contiguous->kv_block_layout);
  }
}

void put_layout(bincode::Writer& writer, const Parts& layout, MessageFormat format) {
  writer.u128(layout.handle.high_bits(), layout.handle.low_bits());
  if (format == MessageFormat::kB) {
    writer.tag(layout.logical_type);
  }
  writer.u64(layout.version);
  put_config(writer, layout.config, format);
  writer.tag(layout.location.type);
  if (layout.location.type == StorageKind::Type::kDevice ||
      layout.location.type == StorageKind::Type::kDisk) {
    writer.u64(layout.location.id);
  }
  put_text(writer, layout.agent_name);
  writer.tag(layout.mem_type);
  writer.u64(layout.device_id);
  writer.u64(layout.regions.size());
  for (const Region& region : layout.regions) {
    writer.u64(region.address);
    writer.u64(region.size_bytes);
  }
  put_details(writer, layout.details, format);
}

/// Writes `header` and then each of `layouts`, of which `parts_of` gives what is written.
template <class Layouts, class PartsOf>
void put_message(bincode::Writer& writer, const Header& header, const Layouts& layouts,
                 const PartsOf& parts_of) {
  writer.u64(header.worker_id.value());
  put_text(writer, header.nixl_agent_name);
  writer.u64(header.nixl_metadata.size());
  writer.raw(header.nixl_metadata);
  writer.u64(layouts.size());
  for (const auto& layout : layouts) {
    put_layout(writer, parts_of(layout), header.format);
  }
}

/// Most bytes of a u64, and of what put_layout() writes beside name and regions: a u128 and at most
/// 24 u64s.
constexpr std::size_t kIntegerBytesMax = 1 + bincode::marker_bytes(bincode::kMarkerU64);
constexpr std::size_t kLayoutBytesMax =
    1 + bincode::marker_bytes(bincode::kMarkerU128) + 24 * kIntegerBytesMax;

/// More bytes than the message has.
template <class Layouts, class PartsOf>
std::size_t bound_of(const Header& header, const Layouts& layouts, const PartsOf& parts_of) {
  std::size_t bytes =
      4 * kIntegerBytesMax + header.nixl_agent_name.size() + header.nixl_metadata.size();
  for (const auto& layout : layouts) {
    const Parts parts = parts_of(layout);
    bytes +=
        kLayoutBytesMax + parts.agent_name.size() + 2 * kIntegerBytesMax * parts.regions.size();
  }
  return bytes;
}

/// Messages up to here are put together on the stack; one small layout needs some 400 bytes.
constexpr std::size_t kSmallBytes = 1024;

/// Writes the message to where there is room for the longest that it could be, then copies it into
/// as many bytes as it has: less work than going over all numbers twice.
template <class Layouts, class PartsOf>
[[gnu::flatten]] std::vector<std::byte> encode_message(const Header& header, const Layouts& layouts,
                                                       const PartsOf& parts_of) {
  const std::size_t bound = bound_of(header, layouts, parts_of);
  const auto write_at = [&](std::byte* begin) -> std::vector<std::byte> {
    bincode::Writer writer{begin};
    put_message(writer, header, layouts, parts_of);
    KVFERRY_ASSERT(writer.cursor() <= begin + bound, "a message beyond its bound");
    return {begin, writer.cursor()};
  };
  if (bound <= kSmallBytes) {
    std::array<std::byte, kSmallBytes> room;
    return write_at(room.data());
  }
  return write_at(std::make_unique_for_overwrite<std::byte[]>(bound).get());
}

Error cannot_carry(Field field, std::size_t index, const std::string& what) {
  return Error{ErrorCode::kInvalidArgument,
               fmt::format("{}: {}", to_string(FieldPath{field, index}), what)};
}

/// Whether `format` has a place for what is said of the inside of a block; each has its own way.
bool carries_order(const LayoutDescriptor& layout, MessageFormat format) {
  const layout::LayoutConfig& config = layout.layout_config;
  return format == MessageFormat::kB
             ? config.inner_shape == layout::InnerShape::kUnknown
             : !config.num_heads && !kv_block_layout_of(layout.layout_type_details);
}

Error cannot_carry_order(const LayoutDescriptor& layout, std::size_t index, MessageFormat format) {
  const layout::LayoutConfig& config = layout.layout_config;
  if (format == MessageFormat::kB) {
    return cannot_carry(
        Field::kInnerShape, index,
        fmt::format("{}, and format B carries none", layout::to_string(config.inner_shape)));
  }
  if (config.num_heads) {
    return cannot_carry(Field::kNumHeads, index,
                        fmt::format("{}, and format A carries none", *config.num_heads));
  }
  const KvBlockLayout& order = *kv_block_layout_of(layout.layout_type_details);
  const bool contiguous = layout.layout_type_details.index() == format::kFullyContiguous;
  return cannot_carry(contiguous ? Field::kContiguousOrder : Field::kSeparateOrder, index,
                      fmt::format("{}, and format A carries none", to_string(order.type)));
}

constexpr std::uint64_t kOrdinalMax = std::numeric_limits<std::uint32_t>::max();

bool has_id(const StorageKind& location) {
  return location.type == StorageKind::Type::kDevice || location.type == StorageKind::Type::kDisk;
}

/// What check_carriable() finds out, without saying why.
bool is_carriable(const LayoutDescriptor& layout, MessageFormat format) {
  const StorageKind location = layout.location;
  const std::uint64_t most =
      location.type == StorageKind::Type::kDevice ? kOrdinalMax : location.id;
  return carries_order(layout, format) && location.id <= most &&
         (location.id == 0 || has_id(location)) && is_utf8(layout.nixl_metadata.agent_name);
}

}  // namespace

Result<void> check_carriable(std::span<const LocalLayoutDescriptor> layouts, MessageFormat format) {
  for (std::size_t i = 0; i < layouts.size(); ++i) {
    const LocalLayoutDescriptor& local = layouts[i];
    if (local.logical_type && format == MessageFormat::kA) [[unlikely]] {
      return cannot_carry(
          Field::kLogicalType, i,
          fmt::format("{}, and format A carries none", to_string(*local.logical_type)));
    }
    if (!is_carriable(local.layout, format)) [[unlikely]] {
      return check_carriable(local.layout, i, format);
    }
  }
  return {};
}

Result<void> check_carriable(const LayoutDescriptor& layout, std::size_t index,
                             MessageFormat format) {
  if (!carries_order(layout, format)) {
    return cannot_carry_order(layout, index, format);
  }
  const StorageKind location = layout.location;
  if (location.type == StorageKind::Type::kDevice && location.id > kOrdinalMax) {
    return cannot_carry(Field::kDevice, index,
                        fmt::format("{} of at most {}", location.id, kOrdinalMax));
  }
  if (!has_id(location) && location.id != 0) {
    return cannot_carry(Field::kLocation, index,
                        fmt::format("id {} of memory that has none", location.id));
  }
  const std::string_view name = layout.nixl_metadata.agent_name;
  if (!is_utf8(name)) {
    return cannot_carry(
        Field::kAgentName, index,
        fmt::format("not UTF-8 after {} of {} bytes", valid_utf8_prefix(name), name.size()));
  }
  return {};
}

std::vector<std::byte> encode_owned(const WorkerAddress& worker_address,
                                    std::span<const std::byte> nixl_metadata,
                                    std::span<const LocalLayoutDescriptor> layouts,
                                    MessageFormat format) {
  const Header header{format, worker_address.worker_id, worker_address.nixl_agent_name,
                      nixl_metadata};
  return encode_message(header, layouts, [](const LocalLayoutDescriptor& local) {
    const LayoutDescriptor& layout = local.layout;
    const NixlMetadata& nixl = layout.nixl_metadata;
    return Parts{local.handle,
                 layout.version,
                 local.logical_type.value_or(LogicalType::kG2),
                 layout.layout_config,
                 layout.location,
                 nixl.agent_name,
                 nixl.mem_type,
                 nixl.device_id,
                 layout.memory_descriptors,
                 layout.layout_type_details};
  });
}

std::vector<std::byte> encode(const MessageView& view) {
  const Header header{view.format, view.worker_id, view.nixl_agent_name, view.nixl_metadata};
  return encode_message(header, view.layouts(), [&view](const LocalLayoutView& layout) {
    return Parts{layout.handle,           layout.version,
                 layout.logical_type,     layout.layout_config,
                 layout.location,         layout.agent_name,
                 layout.mem_type,         layout.device_id,
                 view.regions_of(layout), layout.layout_type_details};
  });
}

}  // namespace kvferry::wire
