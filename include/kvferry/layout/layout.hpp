// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "kvferry/base/ids.hpp"
#include "kvferry/base/result.hpp"
#include "kvferry/base/run.hpp"
#include "kvferry/layout/config.hpp"

namespace kvferry::layout {

/// Whether the block or the outer axis comes first inside a layer's region. The wire's values.
enum class BlockDimension : std::uint8_t { kBlockIsFirstDim = 0, kBlockIsSecondDim = 1 };

/// How blocks and layers are spread over regions: one region with the block outermost, or one
/// region for each layer with the block or the outer axis first in it.
enum class Arrangement : std::uint8_t {
  kFullyContiguous = 0,
  kLayerSeparateBlockFirst = 1,
  kLayerSeparateBlockSecond = 2,
};

/// "fully contiguous", "layer separate (block first)", "layer separate (block second)".
[[nodiscard]] std::string_view to_string(Arrangement arrangement) noexcept;
[[nodiscard]] Arrangement layer_separate(BlockDimension dimension) noexcept;

/// Names one (block, layer, outer) of a layout; write the field names, they are all integers.
struct RegionIndex {
  BlockId block{};
  std::uint64_t layer{0};
  std::uint64_t outer{0};
};

/// The sizes in bytes of the regions that a layout needs: one for a fully contiguous layout, one
/// for each layer for a layer-separate one.
///
/// Errors: those of LayoutConfig::validate().
[[nodiscard]] Result<std::vector<std::uint64_t>> required_regions(const LayoutConfig& config,
                                                                  Arrangement arrangement);

/// Where the bytes of each (block, layer, outer) lie in given regions. It owns no memory and never
/// changes after it was made.
///
/// Source: docs/spec/layouts.md, section 2.
class Layout {
 public:
  /// A layout of `config` over `regions`, which may be larger than needed.
  ///
  /// Errors: those of LayoutConfig::validate(); kInvalidArgument when the number of regions is not
  ///         the one needed, when one is too small, or ends past the last address.
  [[nodiscard]] static Result<Layout> create(const LayoutConfig& config, Arrangement arrangement,
                                             std::vector<Region> regions);

  [[nodiscard]] const LayoutConfig& config() const noexcept { return config_; }
  [[nodiscard]] Arrangement arrangement() const noexcept { return arrangement_; }
  [[nodiscard]] std::span<const Region> regions() const noexcept { return regions_; }

  /// The bytes of one (block, layer, outer): page_size x inner_dim elements, contiguous.
  ///
  /// Errors: kInvalidArgument naming the first of block, layer, outer that is out of range.
  [[nodiscard]] Result<Region> region(const RegionIndex& index) const;

 private:
  Layout(const LayoutConfig& config, Arrangement arrangement, std::vector<Region> regions);

  LayoutConfig config_;
  Arrangement arrangement_;
  std::vector<Region> regions_;
};

}  // namespace kvferry::layout
