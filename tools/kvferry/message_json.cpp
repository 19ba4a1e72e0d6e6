// SPDX-License-Identifier: Apache-2.0
#include "message_json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "json_values.hpp"
#include "kvferry/base/try.hpp"

namespace kvferry::tool {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using wire::LogicalType;
using wire::MessageFormat;

constexpr std::array<std::string_view, 7> kConfigIntegers{
    "num_blocks", "num_layers", "outer_dim",        "page_size",
    "inner_dim",  "alignment",  "dtype_width_bytes"};

ordered_json handle_json(LayoutHandle handle) {
  return {{"worker_id", std::to_string(handle.worker_id().value())},
          {"layout_id", handle.layout_id().value()},
          {"raw", fmt::format("{:016x}{:016x}", handle.high_bits(), handle.low_bits())},
          {"display", to_string(handle)}};
}

ordered_json config_json(const layout::LayoutConfig& config, MessageFormat format) {
  ordered_json value{{"num_blocks", integer(config.num_blocks)},
                     {"num_layers", integer(config.num_layers)},
                     {"outer_dim", integer(config.outer_dim)},
                     {"page_size", integer(config.page_size)},
                     {"inner_dim", integer(config.inner_dim)},
                     {"alignment", integer(config.alignment)},
                     {"dtype_width_bytes", integer(config.dtype_width_bytes)}};
  if (format == MessageFormat::kA) {
    value["inner_shape"] = to_string(config.inner_shape);
  } else {
    value["num_heads"] = config.num_heads ? integer(*config.num_heads) : ordered_json(nullptr);
  }
  return value;
}

ordered_json order_json(const wire::KvBlockLayout& order) {
  if (order.type != wire::KvBlockLayout::Type::kCustom) {
    return to_string(order.type);
  }
  ordered_json axes = ordered_json::array();
  for (const wire::BlockDim dim : order.custom) {
    axes.push_back(to_string(dim));
  }
  return {{to_string(order.type), std::move(axes)}};
}

ordered_json details_json(const wire::LayoutTypeDetails& details) {
  const auto* separate = std::get_if<wire::LayerSeparateDetails>(&details);
  ordered_json value;
  if (separate != nullptr) {
    value["block_dim"] = wire::variant_name(separate->block_dim);
  } else {
    value["block_format"] = to_string(wire::BlockFormat::kOperational);
  }
  if (const auto& order = wire::kv_block_layout_of(details)) {
    value["kv_block_layout"] = order_json(*order);
  }
  return {{separate != nullptr ? "LayerSeparate" : "FullyContiguous", std::move(value)}};
}

ordered_json layout_json(const wire::MessageView& view, const wire::LocalLayoutView& layout) {
  ordered_json regions = ordered_json::array();
  for (const Region& region : view.regions_of(layout)) {
    regions.push_back({{"addr", integer(region.address)}, {"size", integer(region.size_bytes)}});
  }
  return {{"version", layout.version},
          {"layout_config", config_json(layout.layout_config, view.format)},
          {"location", location_json(layout.location)},
          {"nixl_metadata",
           {{"agent_name", layout.agent_name},
            {"mem_type", to_string(layout.mem_type)},
            {"device_id", integer(layout.device_id)}}},
          {"memory_descriptors", std::move(regions)},
          {"layout_type_details", details_json(layout.layout_type_details)}};
}

/// Where `raw` is there it counts, because it alone has all bits.
Result<LayoutHandle> read_handle(const json& node, const std::string& path) {
  KVFERRY_RETURN_IF_ERROR(check_keys(node, {"worker_id", "layout_id", "raw", "display"}, path));
  if (const auto raw = node.find("raw"); raw != node.end()) {
    KVFERRY_ASSIGN_OR_RETURN(const auto bytes, read_hex(*raw, path + ".raw"));
    if (bytes.size() != 16) {
      return wrong(path + ".raw", fmt::format("{} hex digits of 32", 2 * bytes.size()));
    }
    std::array<std::uint64_t, 2> halves{};
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      halves[i / 8] = halves[i / 8] << 8U | std::to_integer<std::uint64_t>(bytes[i]);
    }
    return LayoutHandle::from_bits(halves[0], halves[1]);
  }
  KVFERRY_ASSIGN_OR_RETURN(const json* worker, member(node, "worker_id", path));
  KVFERRY_ASSIGN_OR_RETURN(const json* layout, member(node, "layout_id", path));
  KVFERRY_ASSIGN_OR_RETURN(const auto worker_id,
                           read_integer(*worker, kMax64, path + ".worker_id"));
  KVFERRY_ASSIGN_OR_RETURN(const auto layout_id,
                           read_integer(*layout, 0xFFFF, path + ".layout_id"));
  return LayoutHandle{WorkerId{worker_id}, LayoutId{static_cast<std::uint16_t>(layout_id)}};
}

/// Turns a decimal string under `key` into the number that the reader of layouts wants.
void make_plain(json& object, std::string_view key) {
  if (const auto found = object.find(key); found != object.end()) {
    if (const auto value = decimal(*found)) {
      *found = *value;
    }
  }
}

/// Takes `key` out of `object` when it says `nothing`; refuses it when it says anything, for which
/// the format has no place.
Result<void> take_out(json& object, const std::string& key, const json& nothing,
                      const std::string& path) {
  const auto found = object.find(key);
  if (found == object.end()) {
    return {};
  }
  if (*found != nothing) {
    return wrong(fmt::format("{}.{}", path, key),
                 fmt::format("{}, for which the format has no place", found->dump()));
  }
  object.erase(found);
  return {};
}

/// Refuses what the other format says of the inside of a block and `format` cannot.
Result<void> take_out_the_other_formats(json& layout, MessageFormat format,
                                        const std::string& path) {
  const auto config = layout.find("layout_config");
  if (config == layout.end() || !config->is_object()) {
    return {};
  }
  if (format == MessageFormat::kB) {
    return take_out(*config, "inner_shape", "Unknown", path + ".layout_config");
  }
  KVFERRY_RETURN_IF_ERROR(take_out(*config, "num_heads", nullptr, path + ".layout_config"));
  const auto details = layout.find("layout_type_details");
  if (details == layout.end() || !details->is_object()) {
    return {};
  }
  for (auto& [name, value] : details->items()) {
    if (value.is_object()) {
      KVFERRY_RETURN_IF_ERROR(take_out(value, "kv_block_layout", "Unknown",
                                       fmt::format("{}.layout_type_details.{}", path, name)));
    }
  }
  return {};
}

/// Reads a layout with the library's reader of layouts, after refusing unknown keys, which that
/// reader passes over.
Result<wire::LayoutDescriptor> read_layout(json node, MessageFormat format,
                                           const std::string& path) {
  KVFERRY_RETURN_IF_ERROR(check_keys(node,
                                     {"version", "layout_config", "location", "nixl_metadata",
                                      "memory_descriptors", "layout_type_details"},
                                     path));
  KVFERRY_RETURN_IF_ERROR(take_out_the_other_formats(node, format, path));
  make_plain(node, "version");
  if (const auto config = node.find("layout_config"); config != node.end()) {
    KVFERRY_RETURN_IF_ERROR(
        check_keys(*config,
                   {"num_blocks", "num_layers", "outer_dim", "page_size", "inner_dim", "alignment",
                    "dtype_width_bytes", format == MessageFormat::kA ? "inner_shape" : "num_heads"},
                   path + ".layout_config"));
    for (const std::string_view key : kConfigIntegers) {
      make_plain(*config, key);
    }
    make_plain(*config, "num_heads");
  }
  if (const auto location = node.find("location"); location != node.end()) {
    make_plain(*location, "Device");
    make_plain(*location, "Disk");
  }
  if (const auto nixl = node.find("nixl_metadata"); nixl != node.end()) {
    KVFERRY_RETURN_IF_ERROR(
        check_keys(*nixl, {"agent_name", "mem_type", "device_id"}, path + ".nixl_metadata"));
    make_plain(*nixl, "device_id");
  }
  if (const auto regions = node.find("memory_descriptors");
      regions != node.end() && regions->is_array()) {
    for (std::size_t i = 0; i < regions->size(); ++i) {
      json& region = (*regions)[i];
      KVFERRY_RETURN_IF_ERROR(
          check_keys(region, {"addr", "size"}, fmt::format("{}.memory_descriptors[{}]", path, i)));
      make_plain(region, "addr");
      make_plain(region, "size");
    }
  }
  Result<wire::LayoutDescriptor> layout =
      wire::LayoutDescriptor::from_json(node.dump(), wire::WireLimits{}, format);
  if (!layout) {
    return Error{layout.error().code, fmt::format("{}.{}", path, layout.error().message)};
  }
  return layout;
}

Result<wire::WorkerAddress> read_worker_address(const json& node) {
  const std::string path{"worker_address"};
  KVFERRY_RETURN_IF_ERROR(check_keys(node, {"worker_id", "nixl_agent_name"}, path));
  KVFERRY_ASSIGN_OR_RETURN(const json* id, member(node, "worker_id", path));
  KVFERRY_ASSIGN_OR_RETURN(const json* name, member(node, "nixl_agent_name", path));
  KVFERRY_ASSIGN_OR_RETURN(const auto worker_id, read_integer(*id, kMax64, path + ".worker_id"));
  if (!name->is_string()) {
    return wrong(path + ".nixl_agent_name", "not text");
  }
  return wire::WorkerAddress{WorkerId{worker_id}, name->get<std::string>()};
}

/// Of the document; A when it says none.
Result<MessageFormat> read_format(const json& document) {
  const auto format = document.find("format");
  if (format == document.end() || *format == "A") {
    return MessageFormat::kA;
  }
  if (*format == "B") {
    return MessageFormat::kB;
  }
  return wrong("format", fmt::format("{}, and only \"A\", \"B\" and \"envelope\" can be written",
                                     format->dump()));
}

Result<std::optional<LogicalType>> read_logical_type(const json& local, MessageFormat format,
                                                     const std::string& path) {
  const auto said = local.find("logical_type");
  if (said == local.end()) {
    return std::optional<LogicalType>{};
  }
  if (format == MessageFormat::kA) {
    return wrong(path + ".logical_type",
                 fmt::format("{}, for which the format has no place", said->dump()));
  }
  for (const LogicalType type :
       {LogicalType::kG1, LogicalType::kG2, LogicalType::kG3, LogicalType::kG4}) {
    if (*said == to_string(type)) {
      return std::optional{type};
    }
  }
  return wrong(path + ".logical_type", fmt::format("{} is none of G1 to G4", said->dump()));
}

Result<wire::LocalLayoutDescriptor> read_local_layout(const json& local, MessageFormat format,
                                                      const std::string& path) {
  KVFERRY_RETURN_IF_ERROR(check_keys(local, {"handle", "logical_type", "layout"}, path));
  KVFERRY_ASSIGN_OR_RETURN(const json* handle, member(local, "handle", path));
  KVFERRY_ASSIGN_OR_RETURN(const json* layout, member(local, "layout", path));
  wire::LocalLayoutDescriptor read;
  KVFERRY_ASSIGN_OR_RETURN(read.handle, read_handle(*handle, path + ".handle"));
  KVFERRY_ASSIGN_OR_RETURN(read.layout, read_layout(*layout, format, path + ".layout"));
  KVFERRY_ASSIGN_OR_RETURN(read.logical_type, read_logical_type(local, format, path));
  return read;
}

}  // namespace

std::optional<MessageFormat> format_of(std::string_view word) {
  if (word == "a") {
    return MessageFormat::kA;
  }
  return word == "b" ? std::optional{MessageFormat::kB} : std::nullopt;
}

ordered_json lint_names(const std::vector<wire::Lint>& lints) {
  ordered_json names = ordered_json::array();
  for (const wire::Lint& lint : lints) {
    // Equal rules are neighbours.
    if (const std::string_view name = to_string(lint.rule); names.empty() || names.back() != name) {
      names.push_back(name);
    }
  }
  return names;
}

ordered_json value_of(const wire::MessageView& view) {
  ordered_json layouts = ordered_json::array();
  for (const wire::LocalLayoutView& layout : view.layouts()) {
    ordered_json value{{"handle", handle_json(layout.handle)}};
    if (view.format == MessageFormat::kB) {
      value["logical_type"] = to_string(layout.logical_type);
    }
    value["layout"] = layout_json(view, layout);
    layouts.push_back(std::move(value));
  }
  return {{"worker_address",
           {{"worker_id", std::to_string(view.worker_id.value())},
            {"nixl_agent_name", view.nixl_agent_name}}},
          {"nixl_metadata", hex(view.nixl_metadata)},
          {"layouts", std::move(layouts)}};
}

Result<Described> message_of(std::string_view text, std::optional<MessageFormat> format) {
  KVFERRY_ASSIGN_OR_RETURN(const json document, parse(text));
  KVFERRY_ASSIGN_OR_RETURN(const json* value, member(document, "value", "document"));
  if (!format) {
    KVFERRY_ASSIGN_OR_RETURN(format, read_format(document));
  }
  KVFERRY_RETURN_IF_ERROR(
      check_keys(*value, {"worker_address", "nixl_metadata", "layouts"}, "value"));
  KVFERRY_ASSIGN_OR_RETURN(const json* address, member(*value, "worker_address", "value"));
  KVFERRY_ASSIGN_OR_RETURN(const json* blob, member(*value, "nixl_metadata", "value"));
  KVFERRY_ASSIGN_OR_RETURN(const json* layouts, member(*value, "layouts", "value"));
  Described described{*format, {}};
  wire::RdmaLayoutDescriptors& message = described.message;
  KVFERRY_ASSIGN_OR_RETURN(message.worker_address, read_worker_address(*address));
  KVFERRY_ASSIGN_OR_RETURN(message.nixl_metadata, read_hex(*blob, "nixl_metadata"));
  if (!layouts->is_array()) {
    return wrong("layouts", "not an array");
  }
  for (std::size_t i = 0; i < layouts->size(); ++i) {
    KVFERRY_ASSIGN_OR_RETURN(
        auto local, read_local_layout((*layouts)[i], *format, fmt::format("layouts[{}]", i)));
    message.layouts.push_back(std::move(local));
  }
  return described;
}

}  // namespace kvferry::tool
