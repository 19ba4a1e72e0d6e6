// SPDX-License-Identifier: Apache-2.0
#include "wire/encoder.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <limits>
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

using RegionSpan = std::span<const Region>;

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
void put_order(Sink& sink, const KvBlockLayout& order) {
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
void put_layout(Sink& sink, const LocalLayoutView& layout, RegionSpan regions,
                MessageFormat format) {
  sink.u128(layout.handle.high_bits(), layout.handle.low_bits());
  if (format == MessageFormat::kB) {
    sink.u64(static_cast<std::uint64_t>(layout.logical_type));
  }
  sink.u64(layout.version);
  put_config(sink, layout.layout_config, format);
  sink.u64(static_cast<std::uint64_t>(layout.location.type));
  if (layout.location.type == StorageKind::Type::kDevice ||
      layout.location.type == StorageKind::Type::kDisk) {
    sink.u64(layout.location.id);
  }
  put_text(sink, layout.agent_name);
  sink.u64(static_cast<std::uint64_t>(layout.mem_type));
  sink.u64(layout.device_id);
  sink.u64(regions.size());
  for (const Region& region : regions) {
    sink.u64(region.address);
    sink.u64(region.size_bytes);
  }
  sink.u64(layout.layout_type_details.index());
  if (const auto* separate = std::get_if<LayerSeparateDetails>(&layout.layout_type_details)) {
    sink.u64(static_cast<std::uint64_t>(separate->block_dim));
  } else {
    sink.u64(static_cast<std::uint64_t>(BlockFormat::kOperational));
  }
  if (format == MessageFormat::kB) {
    put_order(sink, kv_block_layout_of(layout.layout_type_details).value_or(KvBlockLayout{}));
  }
}

/// Writes `header` and then each of `layouts`, which calls what it is given with one layout and its
/// regions after the other, `count` times.
template <class Sink, class Layouts>
void put_message(Sink& sink, const Header& header, std::size_t count, const Layouts& layouts) {
  sink.u64(header.worker_id.value());
  put_text(sink, header.nixl_agent_name);
  sink.u64(header.nixl_metadata.size());
  sink.raw(header.nixl_metadata);
  sink.u64(count);
  layouts([&sink, &header](const LocalLayoutView& layout, RegionSpan regions) {
    put_layout(sink, layout, regions, header.format);
  });
}

/// Sizes the message, then writes it into just as many bytes.
template <class Layouts>
std::vector<std::byte> encode_message(const Header& header, std::size_t count,
                                      const Layouts& layouts) {
  bincode::Sizer sizer;
  put_message(sizer, header, count, layouts);
  std::vector<std::byte> bytes(sizer.size());
  bincode::Writer writer{bytes.data()};
  put_message(writer, header, count, layouts);
  KVFERRY_ASSERT(writer.cursor() == bytes.data() + bytes.size(), "a message of another size");
  return bytes;
}

/// `local` without copies; its regions stay where they are.
LocalLayoutView view_of(const LocalLayoutDescriptor& local) {
  const LayoutDescriptor& layout = local.layout;
  return LocalLayoutView{.handle = local.handle,
                         .version = layout.version,
                         .logical_type = local.logical_type.value_or(LogicalType::kG2),
                         .mem_type = layout.nixl_metadata.mem_type,
                         .layout_type_details = layout.layout_type_details,
                         .layout_config = layout.layout_config,
                         .location = layout.location,
                         .agent_name = layout.nixl_metadata.agent_name,
                         .device_id = layout.nixl_metadata.device_id};
}

Error cannot_carry(Field field, std::size_t index, const std::string& what) {
  return Error{ErrorCode::kInvalidArgument,
               fmt::format("{}: {}", to_string(FieldPath{field, index}), what)};
}

/// What the formats say of the inside of a block, each in its own way.
Result<void> check_order(const LayoutDescriptor& layout, std::size_t index, MessageFormat format) {
  const layout::LayoutConfig& config = layout.layout_config;
  if (format == MessageFormat::kB) {
    if (config.inner_shape == layout::InnerShape::kUnknown) {
      return {};
    }
    return cannot_carry(
        Field::kInnerShape, index,
        fmt::format("{}, and format B carries none", layout::to_string(config.inner_shape)));
  }
  if (config.num_heads) {
    return cannot_carry(Field::kNumHeads, index,
                        fmt::format("{}, and format A carries none", *config.num_heads));
  }
  if (const auto& order = kv_block_layout_of(layout.layout_type_details)) {
    const bool contiguous = layout.layout_type_details.index() == format::kFullyContiguous;
    return cannot_carry(contiguous ? Field::kContiguousOrder : Field::kSeparateOrder, index,
                        fmt::format("{}, and format A carries none", to_string(order->type)));
  }
  return {};
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
  KVFERRY_RETURN_IF_ERROR(check_order(layout, index, format));
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
  if (const std::size_t valid = valid_utf8_prefix(name); valid != name.size()) {
    return cannot_carry(Field::kAgentName, index,
                        fmt::format("not UTF-8 after {} of {} bytes", valid, name.size()));
  }
  return {};
}

std::vector<std::byte> encode_owned(const WorkerAddress& worker_address,
                                    std::span<const std::byte> nixl_metadata,
                                    std::span<const LocalLayoutDescriptor> layouts,
                                    MessageFormat format) {
  const Header header{format, worker_address.worker_id, worker_address.nixl_agent_name,
                      nixl_metadata};
  return encode_message(header, layouts.size(), [layouts](const auto& put) {
    for (const LocalLayoutDescriptor& local : layouts) {
      put(view_of(local), local.layout.memory_descriptors);
    }
  });
}

std::vector<std::byte> encode(const MessageView& view) {
  const Header header{view.format, view.worker_id, view.nixl_agent_name, view.nixl_metadata};
  return encode_message(header, view.layouts.size(), [&view](const auto& put) {
    for (const LocalLayoutView& layout : view.layouts) {
      put(layout, view.regions_of(layout));
    }
  });
}

}  // namespace kvferry::wire
