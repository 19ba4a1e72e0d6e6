// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <span>
#include <utility>

#include "kvferry/base/try.hpp"
#include "kvferry/wire/metadata.hpp"
#include "wire/encoder.hpp"
#include "wire/json_tree.hpp"

// The JSON form of a layout. Source: docs/spec/wire-format.md, section 1.11.

namespace kvferry::wire {
namespace {

constexpr std::array<std::string_view, 6> kLayoutKeys{
    "version",       "layout_config",      "location",
    "nixl_metadata", "memory_descriptors", "layout_type_details"};
constexpr std::array<std::string_view, 8> kConfigKeysA{
    "num_blocks", "num_layers", "outer_dim",         "page_size",
    "inner_dim",  "alignment",  "dtype_width_bytes", "inner_shape"};
constexpr std::array<std::string_view, 8> kConfigKeysB{
    "num_blocks", "num_layers", "outer_dim",         "page_size",
    "inner_dim",  "alignment",  "dtype_width_bytes", "num_heads"};
constexpr std::array<std::string_view, 3> kNixlKeys{"agent_name", "mem_type", "device_id"};
constexpr std::array<std::string_view, 2> kRegionKeys{"addr", "size"};
/// The second key is of format B.
constexpr std::array<std::string_view, 2> kFullyContiguousKeys{"block_format", "kv_block_layout"};
constexpr std::array<std::string_view, 2> kLayerSeparateKeys{"block_dim", "kv_block_layout"};

constexpr std::array<std::string_view, 3> kInnerShapeNames{"Unknown", "NHD", "HND"};
constexpr std::array<std::string_view, 4> kStorageKindNames{"System", "Pinned", "Device", "Disk"};
constexpr std::array<std::string_view, 6> kMemTypeNames{"Dram",   "Vram", "Block",
                                                        "Object", "File", "Unknown"};
constexpr std::array<std::string_view, 2> kLayoutTypeNames{"FullyContiguous", "LayerSeparate"};
constexpr std::array<std::string_view, 1> kBlockFormatNames{"Operational"};
constexpr std::array<std::string_view, 2> kBlockDimNames{"BlockIsFirstDim", "BlockIsSecondDim"};
constexpr std::array<std::string_view, 6> kOrderNames{
    "UniversalTP", "UniversalPP", "OperationalHND", "OperationalNHD", "Custom", "Unknown"};
constexpr std::array<std::string_view, 4> kDimNames{"Layer", "Outer", "Page", "Head"};

/// Objects and arrays that mean something lie at most this deep: the layout, layout_type_details,
/// its payload, an order, the axes of a custom one, and a unit variant written as an object. What
/// is deeper can only be ignored or wrong.
constexpr std::size_t kDepthMax = 6;

template <std::size_t N>
bool is_in(const std::array<std::string_view, N>& names, std::string_view name) noexcept {
  return std::ranges::find(names, name) != names.end();
}

bool is_known(std::string_view key) noexcept {
  return is_in(kRegionKeys, key) || is_in(kLayoutKeys, key) || is_in(kConfigKeysA, key) ||
         is_in(kConfigKeysB, key) || is_in(kOrderNames, key) || is_in(kDimNames, key) ||
         is_in(kNixlKeys, key) || is_in(kFullyContiguousKeys, key) ||
         is_in(kLayerSeparateKeys, key) || is_in(kInnerShapeNames, key) ||
         is_in(kStorageKindNames, key) || is_in(kMemTypeNames, key) ||
         is_in(kLayoutTypeNames, key) || is_in(kBlockFormatNames, key) ||
         is_in(kBlockDimNames, key);
}

Error corrupt(std::string message) { return Error{ErrorCode::kCorrupt, std::move(message)}; }

/// Puts `name` in front of the path that an error's message begins with.
template <class T>
Result<T> within(std::string_view name, Result<T> result) {
  if (!result) {
    const char first = result.error().message.front();
    const bool longer = first != ':' && first != '[';
    return corrupt(fmt::format("{}{}{}", name, longer ? "." : "", result.error().message));
  }
  return result;
}

std::string describe(const JsonNode& node) {
  switch (node.kind) {
    case JsonNode::Kind::kNull: return "null";
    case JsonNode::Kind::kUnsigned: return std::to_string(node.number);
    case JsonNode::Kind::kText: return "text";
    case JsonNode::Kind::kArray: return "an array";
    case JsonNode::Kind::kObject: return "an object";
    case JsonNode::Kind::kOther: return node.text;
    case JsonNode::Kind::kIgnored: return "something unknown";
  }
  return "unknown";
}

Result<std::uint64_t> read_integer(const JsonNode& node,
                                   std::uint64_t max = std::numeric_limits<std::uint64_t>::max()) {
  if (node.kind != JsonNode::Kind::kUnsigned) {
    return corrupt(fmt::format(": {} is not a plain integer of at most {}", describe(node), max));
  }
  if (node.number > max) {
    return corrupt(fmt::format(": {} of at most {}", node.number, max));
  }
  return node.number;
}

using Keys = std::span<const std::string_view>;

/// The fields of a struct, in the order of its keys; what it has not is null.
using Fields = std::array<const JsonNode*, 8>;

/// The fields that `keys` name. The struct is an object with each of them once and whatever else,
/// or an array of just them. An object may lack the `optional` last ones.
Result<Fields> read_struct(const JsonNode& node, Keys keys, std::size_t optional = 0) {
  Fields fields{};
  if (node.kind == JsonNode::Kind::kArray) {
    if (node.children.size() != keys.size()) {
      return corrupt(fmt::format(": {} elements of {}", node.children.size(), keys.size()));
    }
    std::ranges::transform(node.children, fields.begin(),
                           [](const JsonNode& child) { return &child; });
    return fields;
  }
  if (node.kind != JsonNode::Kind::kObject) {
    return corrupt(fmt::format(": {} is neither an object nor an array", describe(node)));
  }
  for (const JsonNode& child : node.children) {
    const auto known = std::ranges::find(keys, child.key);
    if (known == keys.end()) {
      continue;
    }
    const JsonNode*& field = fields[static_cast<std::size_t>(known - keys.begin())];
    if (field != nullptr) {
      return corrupt(fmt::format("{}: there twice", child.key));
    }
    field = &child;
  }
  for (std::size_t i = 0; i + optional < keys.size(); ++i) {
    if (fields[i] == nullptr) {
      return corrupt(fmt::format("{}: missing", keys[i]));
    }
  }
  return fields;
}

/// An enum value: its index, and what it carries.
struct Variant {
  std::size_t index{0};
  const JsonNode* payload{nullptr};  ///< nothing for a bare name
};

template <std::size_t N>
Result<Variant> read_variant(const JsonNode& node, const std::array<std::string_view, N>& names) {
  const bool bare = node.kind == JsonNode::Kind::kText;
  if (!bare && (node.kind != JsonNode::Kind::kObject || node.children.size() != 1)) {
    return corrupt(
        fmt::format(": {} is neither a name nor an object with one key", describe(node)));
  }
  const std::string& name = bare ? node.text : node.children.front().key;
  const auto known = std::ranges::find(names, name);
  if (known == names.end()) {
    return corrupt(fmt::format(": a name that is none of {}", fmt::join(names, ", ")));
  }
  return Variant{static_cast<std::size_t>(known - names.begin()),
                 bare ? nullptr : &node.children.front()};
}

/// The index of a variant that carries nothing: "System" or {"System":null}.
Result<std::size_t> unit_index(const Variant& variant) {
  if (variant.payload != nullptr && variant.payload->kind != JsonNode::Kind::kNull) {
    return corrupt(fmt::format(": {} where nothing belongs", describe(*variant.payload)));
  }
  return variant.index;
}

template <std::size_t N>
Result<std::size_t> read_unit_variant(const JsonNode& node,
                                      const std::array<std::string_view, N>& names) {
  KVFERRY_ASSIGN_OR_RETURN(const Variant variant, read_variant(node, names));
  return unit_index(variant);
}

Result<layout::LayoutConfig> read_config(const JsonNode& node, MessageFormat format) {
  const bool is_a = format == MessageFormat::kA;
  const Keys keys = is_a ? kConfigKeysA : kConfigKeysB;
  KVFERRY_ASSIGN_OR_RETURN(const auto fields, read_struct(node, keys, is_a ? 0 : 1));
  layout::LayoutConfig config;
  const std::array<std::uint64_t*, 7> numbers{
      &config.num_blocks, &config.num_layers, &config.outer_dim,        &config.page_size,
      &config.inner_dim,  &config.alignment,  &config.dtype_width_bytes};
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    KVFERRY_ASSIGN_OR_RETURN(*numbers[i], within(keys[i], read_integer(*fields[i])));
  }
  const JsonNode* const last = fields[7];
  if (is_a) {
    KVFERRY_ASSIGN_OR_RETURN(const std::size_t shape,
                             within(keys[7], read_unit_variant(*last, kInnerShapeNames)));
    config.inner_shape = static_cast<layout::InnerShape>(shape);
  } else if (last != nullptr && last->kind != JsonNode::Kind::kNull) {
    KVFERRY_ASSIGN_OR_RETURN(config.num_heads, within(keys[7], read_integer(*last)));
  }
  return config;
}

/// Unknown where it is missing.
Result<KvBlockLayout> read_order(const JsonNode* node) {
  KvBlockLayout order;
  if (node == nullptr) {
    return order;
  }
  KVFERRY_ASSIGN_OR_RETURN(const Variant variant, read_variant(*node, kOrderNames));
  order.type = static_cast<KvBlockLayout::Type>(variant.index);
  if (order.type != KvBlockLayout::Type::kCustom) {
    KVFERRY_RETURN_IF_ERROR(unit_index(variant));
    return order;
  }
  if (variant.payload == nullptr || variant.payload->kind != JsonNode::Kind::kArray ||
      variant.payload->children.size() != order.custom.size()) {
    return corrupt(fmt::format(": Custom without its {} axes", order.custom.size()));
  }
  for (std::size_t i = 0; i < order.custom.size(); ++i) {
    KVFERRY_ASSIGN_OR_RETURN(const std::size_t dim,
                             read_unit_variant(variant.payload->children[i], kDimNames));
    order.custom[i] = static_cast<BlockDim>(dim);
  }
  return order;
}

Result<StorageKind> read_location(const JsonNode& node) {
  KVFERRY_ASSIGN_OR_RETURN(const Variant variant, read_variant(node, kStorageKindNames));
  const auto type = static_cast<StorageKind::Type>(variant.index);
  if (type == StorageKind::Type::kSystem || type == StorageKind::Type::kPinned) {
    KVFERRY_RETURN_IF_ERROR(unit_index(variant));
    return StorageKind{type, 0};
  }
  if (variant.payload == nullptr) {
    return corrupt(fmt::format(": {} without its number", kStorageKindNames[variant.index]));
  }
  const std::uint64_t max = type == StorageKind::Type::kDevice
                                ? std::numeric_limits<std::uint32_t>::max()
                                : std::numeric_limits<std::uint64_t>::max();
  KVFERRY_ASSIGN_OR_RETURN(const std::uint64_t id, within(kStorageKindNames[variant.index],
                                                          read_integer(*variant.payload, max)));
  return StorageKind{type, id};
}

Result<NixlMetadata> read_nixl_metadata(const JsonNode& node, const WireLimits& limits) {
  KVFERRY_ASSIGN_OR_RETURN(const auto fields, read_struct(node, kNixlKeys));
  const JsonNode& name = *fields[0];
  if (name.kind != JsonNode::Kind::kText) {
    return corrupt(fmt::format("agent_name: {} is not text", describe(name)));
  }
  if (name.text.size() > limits.agent_name_bytes) {
    return corrupt(fmt::format("agent_name: {} bytes is above the limit of {}", name.text.size(),
                               limits.agent_name_bytes));
  }
  KVFERRY_ASSIGN_OR_RETURN(const std::size_t type,
                           within("mem_type", read_unit_variant(*fields[1], kMemTypeNames)));
  KVFERRY_ASSIGN_OR_RETURN(const std::uint64_t device_id,
                           within("device_id", read_integer(*fields[2])));
  return NixlMetadata{name.text, static_cast<MemType>(type), device_id};
}

Result<Region> read_region(const JsonNode& node) {
  KVFERRY_ASSIGN_OR_RETURN(const auto fields, read_struct(node, kRegionKeys));
  KVFERRY_ASSIGN_OR_RETURN(const std::uint64_t address, within("addr", read_integer(*fields[0])));
  KVFERRY_ASSIGN_OR_RETURN(const std::uint64_t size, within("size", read_integer(*fields[1])));
  return Region{address, size};
}

Result<std::vector<Region>> read_regions(const JsonNode& node, const WireLimits& limits) {
  if (node.kind != JsonNode::Kind::kArray) {
    return corrupt(fmt::format(": {} is not an array", describe(node)));
  }
  if (node.children.size() > limits.descriptors_per_layout) {
    return corrupt(fmt::format(": {} is above the limit of {}", node.children.size(),
                               limits.descriptors_per_layout));
  }
  std::vector<Region> regions;
  regions.reserve(node.children.size());
  for (const JsonNode& child : node.children) {
    Result<Region> region = read_region(child);
    if (!region) {
      return within(fmt::format("[{}]", regions.size()), std::move(region)).error();
    }
    regions.push_back(*region);
  }
  return regions;
}

Result<LayoutTypeDetails> read_details(const JsonNode& node, MessageFormat format) {
  KVFERRY_ASSIGN_OR_RETURN(const Variant variant, read_variant(node, kLayoutTypeNames));
  if (variant.payload == nullptr) {
    return corrupt(fmt::format(": {} without its details", kLayoutTypeNames[variant.index]));
  }
  const std::string_view name = kLayoutTypeNames[variant.index];
  const bool contiguous = variant.index == 0;
  const Keys both = contiguous ? kFullyContiguousKeys : kLayerSeparateKeys;
  const bool is_a = format == MessageFormat::kA;
  KVFERRY_ASSIGN_OR_RETURN(const Fields fields,
                           within(name, is_a ? read_struct(*variant.payload, both.first(1))
                                             : read_struct(*variant.payload, both, 1)));
  std::optional<KvBlockLayout> order;
  if (!is_a) {
    KVFERRY_ASSIGN_OR_RETURN(order, within(name, within(both[1], read_order(fields[1]))));
  }
  if (contiguous) {
    KVFERRY_ASSIGN_OR_RETURN(
        const std::size_t block_format,
        within(name, within(both[0], read_unit_variant(*fields[0], kBlockFormatNames))));
    return LayoutTypeDetails{FullyContiguousDetails{static_cast<BlockFormat>(block_format), order}};
  }
  KVFERRY_ASSIGN_OR_RETURN(
      const std::size_t dimension,
      within(name, within(both[0], read_unit_variant(*fields[0], kBlockDimNames))));
  return LayoutTypeDetails{
      LayerSeparateDetails{static_cast<layout::BlockDimension>(dimension), order}};
}

Result<LayoutDescriptor> read_layout(const JsonNode& node, const WireLimits& limits,
                                     MessageFormat format) {
  KVFERRY_ASSIGN_OR_RETURN(const auto fields, read_struct(node, kLayoutKeys));
  constexpr std::uint64_t kVersionMax = std::numeric_limits<std::uint32_t>::max();
  LayoutDescriptor layout;
  KVFERRY_ASSIGN_OR_RETURN(const std::uint64_t version,
                           within("version", read_integer(*fields[0], kVersionMax)));
  layout.version = static_cast<std::uint32_t>(version);
  KVFERRY_ASSIGN_OR_RETURN(layout.layout_config,
                           within("layout_config", read_config(*fields[1], format)));
  KVFERRY_ASSIGN_OR_RETURN(layout.location, within("location", read_location(*fields[2])));
  KVFERRY_ASSIGN_OR_RETURN(layout.nixl_metadata,
                           within("nixl_metadata", read_nixl_metadata(*fields[3], limits)));
  KVFERRY_ASSIGN_OR_RETURN(layout.memory_descriptors,
                           within("memory_descriptors", read_regions(*fields[4], limits)));
  KVFERRY_ASSIGN_OR_RETURN(layout.layout_type_details,
                           within("layout_type_details", read_details(*fields[5], format)));
  return layout;
}

std::string location_json(StorageKind location) {
  const std::string_view name = kStorageKindNames[static_cast<std::size_t>(location.type)];
  if (location.type == StorageKind::Type::kDevice || location.type == StorageKind::Type::kDisk) {
    return fmt::format(R"({{"{}":{}}})", name, location.id);
  }
  return fmt::format(R"("{}")", name);
}

std::string config_json(const layout::LayoutConfig& config, MessageFormat format) {
  const std::string last =
      format == MessageFormat::kA
          ? fmt::format(R"("inner_shape":"{}")",
                        kInnerShapeNames[static_cast<std::size_t>(config.inner_shape)])
          : fmt::format(R"("num_heads":{})",
                        config.num_heads ? std::to_string(*config.num_heads) : "null");
  return fmt::format(
      R"({{"num_blocks":{},"num_layers":{},"outer_dim":{},"page_size":{},"inner_dim":{},)"
      R"("alignment":{},"dtype_width_bytes":{},{}}})",
      config.num_blocks, config.num_layers, config.outer_dim, config.page_size, config.inner_dim,
      config.alignment, config.dtype_width_bytes, last);
}

std::string order_json(const KvBlockLayout& order) {
  if (order.type != KvBlockLayout::Type::kCustom) {
    return fmt::format(R"("{}")", to_string(order.type));
  }
  return fmt::format(R"({{"Custom":["{}","{}","{}","{}"]}})", to_string(order.custom[0]),
                     to_string(order.custom[1]), to_string(order.custom[2]),
                     to_string(order.custom[3]));
}

std::string details_json(const LayoutTypeDetails& details, MessageFormat format) {
  const std::string order =
      format == MessageFormat::kA
          ? ""
          : fmt::format(R"(,"kv_block_layout":{})",
                        order_json(kv_block_layout_of(details).value_or(KvBlockLayout{})));
  if (const auto* separate = std::get_if<LayerSeparateDetails>(&details)) {
    return fmt::format(R"({{"LayerSeparate":{{"block_dim":"{}"{}}}}})",
                       variant_name(separate->block_dim), order);
  }
  return fmt::format(R"({{"FullyContiguous":{{"block_format":"{}"{}}}}})",
                     to_string(BlockFormat::kOperational), order);
}

}  // namespace

Result<std::string> LayoutDescriptor::to_json(MessageFormat format) const {
  if (Result<void> carriable = check_carriable(*this, 0, format); !carriable) {
    return std::move(carriable).error();
  }
  std::string regions;
  for (const MemoryDescriptor& region : memory_descriptors) {
    regions += fmt::format(R"({}{{"addr":{},"size":{}}})", regions.empty() ? "" : ",",
                           region.address, region.size_bytes);
  }
  return fmt::format(R"({{"version":{},"layout_config":{},"location":{},)"
                     R"("nixl_metadata":{{"agent_name":{},"mem_type":"{}","device_id":{}}},)"
                     R"("memory_descriptors":[{}],"layout_type_details":{}}})",
                     version, config_json(layout_config, format), location_json(location),
                     json_string(nixl_metadata.agent_name), to_string(nixl_metadata.mem_type),
                     nixl_metadata.device_id, regions, details_json(layout_type_details, format));
}

Result<std::vector<std::byte>> LayoutDescriptor::to_json_bytes(MessageFormat format) const {
  KVFERRY_ASSIGN_OR_RETURN(const std::string text, to_json(format));
  const std::span<const std::byte> bytes = std::as_bytes(std::span{text});
  return std::vector<std::byte>{bytes.begin(), bytes.end()};
}

Result<LayoutDescriptor> LayoutDescriptor::from_json(std::string_view text,
                                                     const WireLimits& limits,
                                                     MessageFormat format) {
  // Three values for each region, and room for whatever known names stand in unknown places.
  const std::size_t nodes_max = static_cast<std::size_t>(limits.descriptors_per_layout) * 4 + 4096;
  KVFERRY_ASSIGN_OR_RETURN(const JsonNode root, parse_json(text, {.is_known_key = &is_known,
                                                                  .depth_max = kDepthMax,
                                                                  .nodes_max = nodes_max}));
  Result<LayoutDescriptor> layout = read_layout(root, limits, format);
  if (!layout && layout.error().message.front() == ':') {
    return within("layout", std::move(layout));
  }
  return layout;
}

Result<LayoutDescriptor> LayoutDescriptor::from_json_bytes(std::span<const std::byte> text,
                                                           const WireLimits& limits,
                                                           MessageFormat format) {
  return from_json({reinterpret_cast<const char*>(text.data()), text.size()}, limits, format);
}

}  // namespace kvferry::wire
