// SPDX-License-Identifier: Apache-2.0
#include "description_json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <utility>

#include "json_values.hpp"
#include "kvferry/base/try.hpp"

namespace kvferry::tool {
namespace {

using layout::Arrangement;
using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::array<Named<Arrangement>, 3> kArrangements{
    {{"FullyContiguous", Arrangement::kFullyContiguous},
     {"LayerSeparateBlockIsFirstDim", Arrangement::kLayerSeparateBlockFirst},
     {"LayerSeparateBlockIsSecondDim", Arrangement::kLayerSeparateBlockSecond}}};
/// Of a strided layout.
constexpr std::string_view kStrided{"Strided"};
constexpr std::array<Named<layout::BlockAxes>, 4> kOrders{{{"NHD", layout::kNhd},
                                                           {"HND", layout::kHnd},
                                                           {"UniversalTP", layout::kUniversalTp},
                                                           {"UniversalPP", layout::kUniversalPp}}};
constexpr std::array<Named<layout::Axis>, 4> kAxes{{{"Layer", layout::Axis::kLayer},
                                                    {"Outer", layout::Axis::kOuter},
                                                    {"Page", layout::Axis::kToken},
                                                    {"Head", layout::Axis::kHead}}};

struct ConfigNumber {
  const char* name;
  std::uint64_t layout::LayoutConfig::*member;
};
constexpr std::array<ConfigNumber, 7> kConfigNumbers{{
    {"num_blocks", &layout::LayoutConfig::num_blocks},
    {"num_layers", &layout::LayoutConfig::num_layers},
    {"outer_dim", &layout::LayoutConfig::outer_dim},
    {"page_size", &layout::LayoutConfig::page_size},
    {"inner_dim", &layout::LayoutConfig::inner_dim},
    {"alignment", &layout::LayoutConfig::alignment},
    {"dtype_width_bytes", &layout::LayoutConfig::dtype_width_bytes},
}};

ordered_json config_json(const layout::LayoutConfig& config) {
  ordered_json value;
  for (const ConfigNumber& number : kConfigNumbers) {
    value[number.name] = integer(config.*number.member);
  }
  value["order"] = "Unknown";
  value["num_heads"] = config.num_heads ? integer(*config.num_heads) : ordered_json(nullptr);
  return value;
}

ordered_json order_json(const layout::BlockAxes& order) {
  const auto known = std::ranges::find(kOrders, order, &Named<layout::BlockAxes>::value);
  if (known != kOrders.end()) {
    return known->name;
  }
  ordered_json axes = ordered_json::array();
  for (const layout::Axis axis : order) {
    axes.push_back(name_of(kAxes, axis));
  }
  return {{"Custom", std::move(axes)}};
}

/// Only what does not hold the whole model tells of it.
void put_part(const char* key, const layout::Part& part, ordered_json& value) {
  if (part != layout::Part{}) {
    value[key] = {{"first", integer(part.origin)}, {"model", integer(part.whole)}};
  }
}

void put(const layout::PackedLayout& packed, ordered_json& value) {
  value["arrangement"] = name_of(kArrangements, packed.arrangement);
  if (packed.order) {
    value["config"]["order"] = order_json(*packed.order);
  }
  put_part("layers", packed.layers, value);
  put_part("heads", packed.heads, value);
}

void put(const layout::LayoutView::Parts& parts, ordered_json& value) {
  value["arrangement"] = kStrided;
  put_part("layers", layout::part_of(parts.axes[static_cast<std::size_t>(layout::Axis::kLayer)]),
           value);
  put_part("heads", layout::part_of(parts.axes[static_cast<std::size_t>(layout::Axis::kHead)]),
           value);
  ordered_json strides = ordered_json::array();
  ordered_json steps = ordered_json::array();
  for (std::size_t i = 0; i < parts.axes.size() - 1; ++i) {
    strides.push_back(integer(parts.axes[i].stride_bytes));
    steps.push_back(parts.axes[i].region_step);
  }
  value["strides"] = {{"bytes", std::move(strides)},
                      {"region_steps", std::move(steps)},
                      {"offset", integer(parts.offset_bytes)},
                      {"packing", parts.packing}};
}

Result<layout::LayoutConfig> read_config(const json& node, const std::string& path) {
  KVFERRY_RETURN_IF_ERROR(
      check_keys(node,
                 {"num_blocks", "num_layers", "outer_dim", "page_size", "inner_dim", "alignment",
                  "dtype_width_bytes", "order", "num_heads"},
                 path));
  layout::LayoutConfig config;
  for (const ConfigNumber& number : kConfigNumbers) {
    KVFERRY_ASSIGN_OR_RETURN(config.*number.member, read_number(node, number.name, path));
  }
  KVFERRY_ASSIGN_OR_RETURN(const json* heads, member(node, "num_heads", path));
  if (!heads->is_null()) {
    KVFERRY_ASSIGN_OR_RETURN(config.num_heads, read_number(node, "num_heads", path));
  }
  return config;
}

Result<std::optional<layout::BlockAxes>> read_order(const json& node, const std::string& path) {
  if (node == "Unknown") {
    return std::optional<layout::BlockAxes>{};
  }
  if (!node.is_object()) {
    KVFERRY_ASSIGN_OR_RETURN(const layout::BlockAxes known, read_named(node, kOrders, path));
    return std::optional{known};
  }
  KVFERRY_RETURN_IF_ERROR(check_keys(node, {"Custom"}, path));
  KVFERRY_ASSIGN_OR_RETURN(const json* axes, member(node, "Custom", path));
  layout::BlockAxes order{};
  if (!axes->is_array() || axes->size() != order.size()) {
    return wrong(path + ".Custom", "not an array of 4 axes");
  }
  for (std::size_t i = 0; i < order.size(); ++i) {
    KVFERRY_ASSIGN_OR_RETURN(order[i],
                             read_named((*axes)[i], kAxes, fmt::format("{}.Custom[{}]", path, i)));
  }
  return std::optional{order};
}

/// The part of the model under `key`, of which `extent` are held; all of it when it is not there.
Result<layout::Part> read_part(const json& node, const std::string& key, const std::string& path,
                               std::uint64_t extent) {
  const auto found = node.find(key);
  if (found == node.end()) {
    return layout::Part{};
  }
  const std::string whole = fmt::format("{}.{}", path, key);
  KVFERRY_RETURN_IF_ERROR(check_keys(*found, {"first", "model"}, whole));
  layout::Part part{.extent = extent};
  KVFERRY_ASSIGN_OR_RETURN(part.origin, read_number(*found, "first", whole));
  KVFERRY_ASSIGN_OR_RETURN(part.whole, read_number(*found, "model", whole));
  return part;
}

/// As many numbers as strided axes.
Result<std::array<std::uint64_t, layout::kAxisCount - 1>> read_steps(const json& node,
                                                                     const std::string& key,
                                                                     const std::string& path,
                                                                     std::uint64_t max) {
  KVFERRY_ASSIGN_OR_RETURN(const json* steps, member(node, key, path));
  std::array<std::uint64_t, layout::kAxisCount - 1> numbers{};
  if (!steps->is_array() || steps->size() != numbers.size()) {
    return wrong(fmt::format("{}.{}", path, key),
                 fmt::format("not an array of {} numbers", numbers.size()));
  }
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    KVFERRY_ASSIGN_OR_RETURN(
        numbers[i], read_integer((*steps)[i], max, fmt::format("{}.{}[{}]", path, key, i)));
  }
  return numbers;
}

/// What `config` and the strides of `node` say together. What contradicts is left to the encoder.
Result<layout::LayoutView::Parts> read_strided(const json& node, const layout::LayoutConfig& config,
                                               const std::string& path) {
  KVFERRY_ASSIGN_OR_RETURN(const json* strides, member(node, "strides", path));
  const std::string whole = path + ".strides";
  KVFERRY_RETURN_IF_ERROR(
      check_keys(*strides, {"bytes", "region_steps", "offset", "packing"}, whole));
  layout::Steps steps;
  KVFERRY_ASSIGN_OR_RETURN(steps.stride_bytes, read_steps(*strides, "bytes", whole, kMax64));
  KVFERRY_ASSIGN_OR_RETURN(
      const auto regions,
      read_steps(*strides, "region_steps", whole, std::numeric_limits<std::uint32_t>::max()));
  std::ranges::transform(regions, steps.regions.begin(),
                         [](std::uint64_t step) { return static_cast<std::uint32_t>(step); });
  KVFERRY_ASSIGN_OR_RETURN(const layout::Part layers,
                           read_part(node, "layers", path, config.num_layers));
  KVFERRY_ASSIGN_OR_RETURN(const layout::Part heads,
                           read_part(node, "heads", path, config.num_heads.value_or(1)));
  layout::LayoutView::Parts parts = strided_layout(config, steps, layers, heads);
  KVFERRY_ASSIGN_OR_RETURN(parts.offset_bytes, read_number(*strides, "offset", whole));
  KVFERRY_ASSIGN_OR_RETURN(const std::string* packing, read_text(*strides, "packing", whole));
  parts.packing = *packing;
  return parts;
}

}  // namespace

void put_description(const layout::Description& description, ordered_json& value) {
  value["config"] = config_json(config_of(description));
  std::visit([&value](const auto& one) { put(one, value); }, description);
}

Result<layout::Description> read_description(const json& node, const std::string& path) {
  KVFERRY_ASSIGN_OR_RETURN(const json* config_node, member(node, "config", path));
  KVFERRY_ASSIGN_OR_RETURN(const layout::LayoutConfig config,
                           read_config(*config_node, path + ".config"));
  KVFERRY_ASSIGN_OR_RETURN(const json* order, member(*config_node, "order", path + ".config"));
  layout::PackedLayout packed{.config = config};
  KVFERRY_ASSIGN_OR_RETURN(packed.order, read_order(*order, path + ".config.order"));
  KVFERRY_ASSIGN_OR_RETURN(const json* arrangement, member(node, "arrangement", path));
  if (*arrangement == kStrided) {
    if (packed.order) {
      return wrong(path + ".config.order", "strides say the order");
    }
    KVFERRY_ASSIGN_OR_RETURN(layout::LayoutView::Parts parts, read_strided(node, config, path));
    return layout::Description{std::move(parts)};
  }
  if (node.contains("strides")) {
    return wrong(path + ".strides", "only a strided layout has them");
  }
  KVFERRY_ASSIGN_OR_RETURN(packed.arrangement,
                           read_named(*arrangement, kArrangements, path + ".arrangement"));
  KVFERRY_ASSIGN_OR_RETURN(packed.layers, read_part(node, "layers", path, config.num_layers));
  KVFERRY_ASSIGN_OR_RETURN(packed.heads,
                           read_part(node, "heads", path, config.num_heads.value_or(0)));
  return layout::Description{packed};
}

}  // namespace kvferry::tool
