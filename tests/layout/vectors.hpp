// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "kvferry/layout/layout.hpp"

namespace kvferry::layout::test {

using Json = nlohmann::json;

/// The vectors' file `name`. Throws when it is not there: without it a test would test nothing.
inline Json read_vectors(const std::string& name) {
  std::ifstream file{std::string{KVFERRY_SOURCE_DIR "/vectors/"} + name};
  if (!file) {
    throw std::runtime_error{"cannot open " + name};
  }
  return Json::parse(file);
}

/// A number of the vectors: a string where it is above 2^53.
inline std::uint64_t number(const Json& value) {
  return value.is_string() ? std::stoull(value.get<std::string>()) : value.get<std::uint64_t>();
}

inline InnerShape inner_shape(const std::string& name) {
  return name == "NHD" ? InnerShape::kNhd : name == "HND" ? InnerShape::kHnd : InnerShape::kUnknown;
}

/// A config of either format: A says an inner shape, B a number of heads.
inline LayoutConfig config_of(const Json& json) {
  LayoutConfig config;
  config.num_blocks = number(json.at("num_blocks"));
  config.num_layers = number(json.at("num_layers"));
  config.outer_dim = number(json.at("outer_dim"));
  config.page_size = number(json.at("page_size"));
  config.inner_dim = number(json.at("inner_dim"));
  config.alignment = number(json.at("alignment"));
  config.dtype_width_bytes = number(json.at("dtype_width_bytes"));
  if (json.contains("inner_shape")) {
    config.inner_shape = inner_shape(json.at("inner_shape"));
  }
  if (json.contains("num_heads") && !json.at("num_heads").is_null()) {
    config.num_heads = number(json.at("num_heads"));
  }
  return config;
}

inline std::vector<std::uint64_t> numbers(const Json& json) {
  std::vector<std::uint64_t> values;
  for (const Json& value : json) {
    values.push_back(number(value));
  }
  return values;
}

/// A small layout with its regions at addresses that no product of sizes meets by chance.
inline std::vector<Region> regions_for(const LayoutConfig& config, Arrangement arrangement) {
  std::vector<Region> regions;
  std::uint64_t address = 0x10003;
  const std::vector<std::uint64_t> needed = required_regions(config, arrangement).value();
  for (const std::uint64_t bytes : needed) {
    regions.push_back(Region{address, bytes});
    address += bytes + 77;
  }
  return regions;
}

}  // namespace kvferry::layout::test
