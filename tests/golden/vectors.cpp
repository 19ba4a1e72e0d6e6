// SPDX-License-Identifier: Apache-2.0
#include "vectors.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>

#include "kvferry/wire/lint.hpp"

namespace kvferry::wire::golden {
namespace {

std::string read_file(const std::string& name) {
  std::ifstream file{std::string{KVFERRY_SOURCE_DIR "/vectors/"} + name, std::ios::binary};
  EXPECT_TRUE(file) << "cannot open vectors/" << name;
  return {std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{}};
}

std::string hex16(std::uint64_t value) {
  std::array<char, 17> digits{};
  std::snprintf(digits.data(), digits.size(), "%016llx", static_cast<unsigned long long>(value));
  return digits.data();
}

Json handle_value(LayoutHandle handle) {
  const std::string worker = std::to_string(handle.worker_id().value());
  const auto layout = handle.layout_id().value();
  return {
      {"worker_id", worker},
      {"layout_id", layout},
      {"raw", hex16(handle.high_bits()) + hex16(handle.low_bits())},
      {"display", "LayoutHandle(worker=" + worker + ", layout=" + std::to_string(layout) + ")"}};
}

Json config_value(const layout::LayoutConfig& config, bool is_b) {
  const std::array<const char*, 3> shapes{"Unknown", "NHD", "HND"};
  Json value{{"num_blocks", integer(config.num_blocks)},
             {"num_layers", integer(config.num_layers)},
             {"outer_dim", integer(config.outer_dim)},
             {"page_size", integer(config.page_size)},
             {"inner_dim", integer(config.inner_dim)},
             {"alignment", integer(config.alignment)},
             {"dtype_width_bytes", integer(config.dtype_width_bytes)}};
  if (is_b) {
    value["num_heads"] = config.num_heads ? integer(*config.num_heads) : Json{};
  } else {
    value["inner_shape"] = shapes.at(static_cast<std::size_t>(config.inner_shape));
  }
  return value;
}

Json order_value(const KvBlockLayout& order) {
  const std::array<const char*, 6> names{"UniversalTP",    "UniversalPP", "OperationalHND",
                                         "OperationalNHD", "Custom",      "Unknown"};
  const std::array<const char*, 4> dims{"Layer", "Outer", "Page", "Head"};
  const std::string name = names.at(static_cast<std::size_t>(order.type));
  if (order.type != KvBlockLayout::Type::kCustom) {
    return name;
  }
  Json axes = Json::array();
  for (const BlockDim dim : order.custom) {
    axes.push_back(dims.at(static_cast<std::size_t>(dim)));
  }
  return {{name, axes}};
}

Json details_value(const LayoutTypeDetails& details) {
  const std::array<const char*, 2> dims{"BlockIsFirstDim", "BlockIsSecondDim"};
  Json value;
  std::string name;
  std::optional<KvBlockLayout> order;
  if (const auto* separate = std::get_if<LayerSeparateDetails>(&details)) {
    name = "LayerSeparate";
    value["block_dim"] = dims.at(static_cast<std::size_t>(separate->block_dim));
    order = separate->kv_block_layout;
  } else {
    name = "FullyContiguous";
    value["block_format"] = "Operational";
    order = std::get<FullyContiguousDetails>(details).kv_block_layout;
  }
  if (order) {
    value["kv_block_layout"] = order_value(*order);
  }
  return {{name, value}};
}

/// The member of a layout that only format B has.
void add_logical_type(Json& layout, const std::optional<LogicalType>& type) {
  const std::array<const char*, 4> names{"G1", "G2", "G3", "G4"};
  if (type) {
    layout["logical_type"] = names.at(static_cast<std::size_t>(*type));
  }
}

Json regions_value(std::span<const Region> regions) {
  Json rows = Json::array();
  for (const Region& region : regions) {
    rows.push_back({{"addr", integer(region.address)}, {"size", integer(region.size_bytes)}});
  }
  return rows;
}

Json nixl_value(std::string_view agent_name, MemType type, std::uint64_t device_id) {
  const std::array<const char*, 6> types{"Dram", "Vram", "Block", "Object", "File", "Unknown"};
  return {{"agent_name", agent_name},
          {"mem_type", types.at(static_cast<std::size_t>(type))},
          {"device_id", integer(device_id)}};
}

std::string hex(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes) {
    text += hex16(std::to_integer<std::uint64_t>(byte)).substr(14);
  }
  return text;
}

}  // namespace

// Above 2^53 a decimal string, as a reader of JSON with doubles would lose it.
Json integer(std::uint64_t value) {
  return value > (1ULL << 53U) ? Json(std::to_string(value)) : Json(value);
}

Json storage_value(StorageKind location) {
  switch (location.type) {
    case StorageKind::Type::kSystem: return "System";
    case StorageKind::Type::kPinned: return "Pinned";
    case StorageKind::Type::kDevice: return {{"Device", integer(location.id)}};
    case StorageKind::Type::kDisk: return {{"Disk", integer(location.id)}};
  }
  return nullptr;
}

Json read_json(const std::string& name) { return Json::parse(read_file(name)); }

Bytes read_message(const std::string& name) {
  const std::string text = read_file(name);
  const auto bytes = std::as_bytes(std::span{text});
  return {bytes.begin(), bytes.end()};
}

std::vector<Json> rows_of(MessageFormat format, const Json& rows) {
  std::vector<Json> found;
  for (const Json& row : rows) {
    if (row.at("format") == (format == MessageFormat::kA ? "A" : "B")) {
      found.push_back(row);
    }
  }
  return found;
}

std::string name_of_format(const ::testing::TestParamInfo<MessageFormat>& test) {
  return std::string{to_string(test.param)};
}

Bytes from_hex(const std::string& text) {
  Bytes bytes;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    bytes.push_back(static_cast<std::byte>(std::stoi(text.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

Json value_of(const RdmaLayoutDescriptors& message) {
  Json layouts = Json::array();
  for (const LocalLayoutDescriptor& local : message.layouts) {
    const LayoutDescriptor& layout = local.layout;
    const NixlMetadata& nixl = layout.nixl_metadata;
    Json value(
        {{"handle", handle_value(local.handle)},
         {"layout",
          {{"version", integer(layout.version)},
           {"layout_config", config_value(layout.layout_config, local.logical_type.has_value())},
           {"location", storage_value(layout.location)},
           {"nixl_metadata", nixl_value(nixl.agent_name, nixl.mem_type, nixl.device_id)},
           {"memory_descriptors", regions_value(layout.memory_descriptors)},
           {"layout_type_details", details_value(layout.layout_type_details)}}}});
    add_logical_type(value, local.logical_type);
    layouts.push_back(std::move(value));
  }
  return {{"worker_address",
           {{"worker_id", std::to_string(message.worker_address.worker_id.value())},
            {"nixl_agent_name", message.worker_address.nixl_agent_name}}},
          {"nixl_metadata", hex(message.nixl_metadata)},
          {"layouts", layouts}};
}

Json value_of(const MessageView& view) {
  const bool is_b = view.format == MessageFormat::kB;
  Json layouts = Json::array();
  for (const LocalLayoutView& layout : view.layouts()) {
    Json value(
        {{"handle", handle_value(layout.handle)},
         {"layout",
          {{"version", integer(layout.version)},
           {"layout_config", config_value(layout.layout_config, is_b)},
           {"location", storage_value(layout.location)},
           {"nixl_metadata", nixl_value(layout.agent_name, layout.mem_type, layout.device_id)},
           {"memory_descriptors", regions_value(view.regions_of(layout))},
           {"layout_type_details", details_value(layout.layout_type_details)}}}});
    add_logical_type(value, is_b ? std::optional{layout.logical_type} : std::nullopt);
    layouts.push_back(std::move(value));
  }
  return {{"worker_address",
           {{"worker_id", std::to_string(view.worker_id.value())},
            {"nixl_agent_name", view.nixl_agent_name}}},
          {"nixl_metadata", hex(view.nixl_metadata)},
          {"layouts", layouts}};
}

Json lint_of(const MessageView& view) {
  std::set<std::string> names;
  for (const Lint& lint : lint(view)) {
    names.emplace(to_string(lint.rule));
  }
  return names;
}

void shorten_blob(const Json& expected, Json& actual) {
  const Json& blob = expected.at("nixl_metadata");
  if (blob.is_object()) {
    EXPECT_EQ(actual["nixl_metadata"].get<std::string>().size(),
              2 * blob.at("length").get<std::size_t>());
    actual["nixl_metadata"] = blob;
  }
}

}  // namespace kvferry::wire::golden
