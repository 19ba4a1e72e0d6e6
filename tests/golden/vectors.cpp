// SPDX-License-Identifier: Apache-2.0
#include "vectors.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <set>

#include "kvferry/wire/lint.hpp"

namespace kvferry::wire::golden {
namespace {

std::string read_file(const std::string& name) {
  std::ifstream file{std::string{KVFERRY_SOURCE_DIR "/vectors/"} + name, std::ios::binary};
  EXPECT_TRUE(file) << "cannot open vectors/" << name;
  return {std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{}};
}

/// Above 2^53 a decimal string, as a reader of JSON with doubles would lose it.
Json integer(std::uint64_t value) {
  return value > (1ULL << 53U) ? Json(std::to_string(value)) : Json(value);
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

Json config_value(const layout::LayoutConfig& config) {
  const std::array<const char*, 3> shapes{"Unknown", "NHD", "HND"};
  return {{"num_blocks", integer(config.num_blocks)},
          {"num_layers", integer(config.num_layers)},
          {"outer_dim", integer(config.outer_dim)},
          {"page_size", integer(config.page_size)},
          {"inner_dim", integer(config.inner_dim)},
          {"alignment", integer(config.alignment)},
          {"dtype_width_bytes", integer(config.dtype_width_bytes)},
          {"inner_shape", shapes.at(static_cast<std::size_t>(config.inner_shape))}};
}

Json location_value(StorageKind location) {
  switch (location.type) {
    case StorageKind::Type::kSystem: return "System";
    case StorageKind::Type::kPinned: return "Pinned";
    case StorageKind::Type::kDevice: return {{"Device", integer(location.id)}};
    case StorageKind::Type::kDisk: return {{"Disk", integer(location.id)}};
  }
  return nullptr;
}

Json details_value(const LayoutTypeDetails& details) {
  const std::array<const char*, 2> dims{"BlockIsFirstDim", "BlockIsSecondDim"};
  if (const auto* separate = std::get_if<LayerSeparateDetails>(&details)) {
    const char* dim = dims.at(static_cast<std::size_t>(separate->block_dim));
    return {{"LayerSeparate", {{"block_dim", dim}}}};
  }
  return {{"FullyContiguous", {{"block_format", "Operational"}}}};
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

Json read_json(const std::string& name) { return Json::parse(read_file(name)); }

Bytes read_message(const std::string& name) {
  const std::string text = read_file(name);
  const auto bytes = std::as_bytes(std::span{text});
  return {bytes.begin(), bytes.end()};
}

std::vector<Json> rows_of_format_a(const Json& rows) {
  std::vector<Json> found;
  for (const Json& row : rows) {
    if (row.at("format") == "A") {
      found.push_back(row);
    }
  }
  return found;
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
    layouts.push_back(
        {{"handle", handle_value(local.handle)},
         {"layout",
          {{"version", integer(layout.version)},
           {"layout_config", config_value(layout.layout_config)},
           {"location", location_value(layout.location)},
           {"nixl_metadata", nixl_value(nixl.agent_name, nixl.mem_type, nixl.device_id)},
           {"memory_descriptors", regions_value(layout.memory_descriptors)},
           {"layout_type_details", details_value(layout.layout_type_details)}}}});
  }
  return {{"worker_address",
           {{"worker_id", std::to_string(message.worker_address.worker_id.value())},
            {"nixl_agent_name", message.worker_address.nixl_agent_name}}},
          {"nixl_metadata", hex(message.nixl_metadata)},
          {"layouts", layouts}};
}

Json value_of(const MessageView& view) {
  Json layouts = Json::array();
  for (const LocalLayoutView& layout : view.layouts) {
    layouts.push_back(
        {{"handle", handle_value(layout.handle)},
         {"layout",
          {{"version", integer(layout.version)},
           {"layout_config", config_value(layout.layout_config)},
           {"location", location_value(layout.location)},
           {"nixl_metadata", nixl_value(layout.agent_name, layout.mem_type, layout.device_id)},
           {"memory_descriptors", regions_value(view.regions_of(layout))},
           {"layout_type_details", details_value(layout.layout_type_details)}}}});
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
