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

template <class Sink>
void put_text(Sink& sink, std::string_view text) {
  sink.u64(text.size());
  sink.raw(std::as_bytes(std::span{text}));
}

/// A tag is a small number, which is written as the raw byte that it must be.
template <class Sink>
void put_option(Sink& sink, const std::optional<std::uint64_t>& value) {
  sink.u64(value ? 1 : 0);
  if (value) {
    sink.u64(*value);
  }
}

template <class Sink>
void put_order(Sink& sink, const std::optional<KvBlockLayout>& told) {
  const KvBlockLayout order = told.value_or(KvBlockLayout{});
  sink.u64(static_cast<std::uint64_t>(order.type));
  if (order.type == KvBlockLayout::Type::kCustom) {
    for (const BlockDim dim : order.custom) {
      sink.u64(static_cast<std::uint64_t>(dim));
    }
  }
}

template <class Sink>
void put_config(Sink& sink, const layout::LayoutConfig& config, MessageFormat format) {
  sink.u64(config.num_blocks);
  sink.u64(config.num_layers);
  sink.u64(config.outer_dim);
  sink.u64(config.page_size);
  sink.u64(config.inner_dim);
  sink.u64(config.alignment);
  sink.u64(config.dtype_width_bytes);
  if (format == MessageFormat::kA) {
    sink.u64(static_cast<std::uint64_t>(config.inner_shape));
  } else {
    put_option(sink, config.num_heads);
  }
}

template <class Sink>
void put_details(Sink& sink, const LayoutTypeDetails& details, MessageFormat format) {
  sink.u64(details.index());
  const auto* const separate = std::get_if<LayerSeparateDetails>(&details);
  const auto* const contiguous = std::get_if<FullyContiguousDetails>(&details);
  sink.u64(separate != nullptr ? static_cast<std::uint64_t>(separate->block_dim)
                               : static_cast<std::uint64_t>(contiguous->block_format));
  if (format == MessageFormat::kB) {
    put_order(sink, separate != nullptr ? separate->kv_block_layout : contiguous->kv_block_layout);
  }
}

template <class Sink>
void put_layout(Sink& sink, const Parts& layout, MessageFormat format) {
  sink.u128(layout.handle.high_bits(), layout.handle.low_bits());
  if (format == MessageFormat::kB) {
    sink.u64(static_cast<std::uint64_t>(layout.logical_type));
  }
  sink.u64(layout.version);
  put_config(sink, layout.config, format);
  sink.u64(static_cast<std::uint64_t>(layout.location.type));
  if (layout.location.type == StorageKind::Type::kDevice ||
      layout.location.type == StorageKind::Type::kDisk) {
    sink.u64(layout.location.id);
  }
  put_text(sink, layout.agent_name);
  sink.u64(static_cast<std::uint64_t>(layout.mem_type));
  sink.u64(layout.device_id);
  sink.u64(layout.regions.size());
  for (const Region& region : layout.regions) {
    sink.u64(region.address);
    sink.u64(region.size_bytes);
  }
  put_details(sink, layout.details, format);
}

/// Writes `header` and then each of `layouts`, of which `parts_of` gives what is written.
template <class Sink, class Layouts, class PartsOf>
void put_message(Sink& sink, const Header& header, const Layouts& layouts,
                 const PartsOf& parts_of) {
  sink.u64(header.worker_id.value());
  put_text(sink, header.nixl_agent_name);
  sink.u64(header.nixl_metadata.size());
  sink.raw(header.nixl_metadata);
  sink.u64(layouts.size());
  for (const auto& layout : layouts) {
    put_layout(sink, parts_of(layout), header.format);
  }
}

/// Messages up to here are put together on the stack; one small layout needs some 400 bytes.
constexpr std::size_t kSmallBytes = 1024;

/// Writes the message to where there is room for the longest that it could be, then copies it into
/// as many bytes as it has: less work than going over all numbers twice.
template <class Layouts, class PartsOf>
[[gnu::flatten]] std::vector<std::byte> encode_message(const Header& header, const Layouts& layouts,
                                                       const PartsOf& parts_of) {
  bincode::Bound bound;
  put_message(bound, header, layouts, parts_of);
  const auto write_at = [&](std::byte* begin) -> std::vector<std::byte> {
    bincode::Writer writer{begin};
    put_message(writer, header, layouts, parts_of);
    KVFERRY_ASSERT(writer.cursor() <= begin + bound.bytes(), "a message beyond its bound");
    return {begin, writer.cursor()};
  };
  if (bound.bytes() <= kSmallBytes) {
    std::array<std::byte, kSmallBytes> room;
    return write_at(room.data());
  }
  return write_at(std::make_unique_for_overwrite<std::byte[]>(bound.bytes()).get());
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

}  // namespace

Result<void> check_carriable(const LocalLayoutDescriptor& local, std::size_t index,
                             MessageFormat format) {
  if (local.logical_type && format == MessageFormat::kA) {
    return cannot_carry(
        Field::kLogicalType, index,
        fmt::format("{}, and format A carries none", to_string(*local.logical_type)));
  }
  return check_carriable(local.layout, index, format);
}

Result<void> check_carriable(const LayoutDescriptor& layout, std::size_t index,
                             MessageFormat format) {
  if (!carries_order(layout, format)) {
    return cannot_carry_order(layout, index, format);
  }
  const StorageKind location = layout.location;
  constexpr std::uint64_t kOrdinalMax = std::numeric_limits<std::uint32_t>::max();
  if (location.type == StorageKind::Type::kDevice && location.id > kOrdinalMax) {
    return cannot_carry(Field::kDevice, index,
                        fmt::format("{} of at most {}", location.id, kOrdinalMax));
  }
  const bool named =
      location.type == StorageKind::Type::kDevice || location.type == StorageKind::Type::kDisk;
  if (!named && location.id != 0) {
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
  return encode_message(header, view.layouts, [&view](const LocalLayoutView& layout) {
    return Parts{layout.handle,           layout.version,
                 layout.logical_type,     layout.layout_config,
                 layout.location,         layout.agent_name,
                 layout.mem_type,         layout.device_id,
                 view.regions_of(layout), layout.layout_type_details};
  });
}

}  // namespace kvferry::wire
