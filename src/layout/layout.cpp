// SPDX-License-Identifier: Apache-2.0
#include "kvferry/layout/layout.hpp"

#include <array>
#include <string>
#include <utility>

#include "kvferry/base/checked.hpp"
#include "kvferry/base/try.hpp"
#include "layout/strides.hpp"

namespace kvferry::layout {
namespace {

Result<void> check_range(std::string_view what, std::uint64_t index, std::uint64_t extent) {
  if (index >= extent) {
    return Error{ErrorCode::kInvalidArgument,
                 std::string{what} + " " + std::to_string(index) + " of " + std::to_string(extent)};
  }
  return {};
}

Result<void> check_region(std::size_t index, const Region& region, std::uint64_t needed) {
  const std::string name = "region " + std::to_string(index);
  if (region.size_bytes < needed) {
    return Error{ErrorCode::kInvalidArgument, name + ": needs " + std::to_string(needed) +
                                                  " bytes, has " +
                                                  std::to_string(region.size_bytes)};
  }
  if (!checked_add(region.address, region.size_bytes)) {
    return Error{ErrorCode::kInvalidArgument,
                 name + ": " + std::to_string(region.size_bytes) + " bytes at address " +
                     std::to_string(region.address) + " end past the last address"};
  }
  return {};
}

}  // namespace

std::string_view to_string(Arrangement arrangement) noexcept {
  switch (arrangement) {
    case Arrangement::kFullyContiguous: return "fully contiguous";
    case Arrangement::kLayerSeparateBlockFirst: return "layer separate (block first)";
    case Arrangement::kLayerSeparateBlockSecond: return "layer separate (block second)";
  }
  return "invalid";
}

Arrangement layer_separate(BlockDimension dimension) noexcept {
  return dimension == BlockDimension::kBlockIsFirstDim ? Arrangement::kLayerSeparateBlockFirst
                                                       : Arrangement::kLayerSeparateBlockSecond;
}

Result<std::vector<std::uint64_t>> required_regions(const LayoutConfig& config,
                                                    Arrangement arrangement) {
  KVFERRY_RETURN_IF_ERROR(config.validate());
  if (arrangement == Arrangement::kFullyContiguous) {
    return std::vector<std::uint64_t>{config.required_bytes()};
  }
  const std::uint64_t per_layer = config.num_blocks * config.outer_dim * config.region_bytes();
  if (config.num_layers > kMaxRegions) {
    return Error{ErrorCode::kInvalidArgument, "num_layers: " + std::to_string(config.num_layers) +
                                                  " regions, at most " +
                                                  std::to_string(kMaxRegions)};
  }
  return std::vector<std::uint64_t>(config.num_layers, per_layer);
}

Layout::Layout(const LayoutConfig& config, Arrangement arrangement, std::vector<Region> regions)
    : config_{config}, arrangement_{arrangement}, regions_{std::move(regions)} {}

Result<Layout> Layout::create(const LayoutConfig& config, Arrangement arrangement,
                              std::vector<Region> regions) {
  KVFERRY_ASSIGN_OR_RETURN(const std::vector<std::uint64_t> needed,
                           required_regions(config, arrangement));
  if (regions.size() != needed.size()) {
    return Error{ErrorCode::kInvalidArgument,
                 "a " + std::string{to_string(arrangement)} + " layout of " +
                     std::to_string(config.num_layers) + " layers needs " +
                     std::to_string(needed.size()) + " regions, has " +
                     std::to_string(regions.size())};
  }
  for (std::size_t i = 0; i < regions.size(); ++i) {
    KVFERRY_RETURN_IF_ERROR(check_region(i, regions[i], needed[i]));
  }
  return Layout{config, arrangement, std::move(regions)};
}

Result<Region> Layout::region(const RegionIndex& index) const {
  KVFERRY_RETURN_IF_ERROR(check_range("block", index.block.value(), config_.num_blocks));
  KVFERRY_RETURN_IF_ERROR(check_range("layer", index.layer, config_.num_layers));
  KVFERRY_RETURN_IF_ERROR(check_range("outer", index.outer, config_.outer_dim));
  const RegionStrides strides = region_strides(config_, arrangement_);
  const std::size_t which = strides.layer_is_region ? index.layer : 0;
  const std::uint64_t offset = (index.block.value() * strides.block) +
                               (index.layer * strides.layer) + (index.outer * strides.outer);
  return Region{regions_[which].address + offset, config_.region_bytes()};
}

}  // namespace kvferry::layout
