// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kvferry/layout/layout.hpp"
#include "kvferry/plan/reference.hpp"
#include "kvferry/testing/pattern.hpp"
#include "kvferry/transfer/physical_layout.hpp"

namespace kvferry::testing {

/// A layout in memory of its own that lies between guard bytes; what it should hold after a
/// transfer is worked out by the reference copier, guards and all.
class GuardedCache {
 public:
  using Bytes = std::vector<std::byte>;

  /// Everything, guards too, is noise from `seed` at first.
  GuardedCache(const layout::LayoutConfig& config, layout::Arrangement arrangement,
               std::uint64_t seed)
      : storage_{std::make_shared<Bytes>()} {
    const auto sizes = required_regions(config, arrangement);
    EXPECT_TRUE(sizes.has_value());
    std::size_t at = kGuardBytes;
    for (const std::uint64_t size : *sizes) {
      offsets_.push_back(at);
      at += size + kGuardBytes;
    }
    storage_->resize(at);
    std::mt19937_64 random{seed};
    for (std::size_t i = 0; i + sizeof(std::uint64_t) <= at; i += sizeof(std::uint64_t)) {
      const std::uint64_t word = random();
      std::memcpy(storage_->data() + i, &word, sizeof(word));
    }
    std::vector<std::span<std::byte>> regions;
    for (std::size_t i = 0; i < offsets_.size(); ++i) {
      regions.emplace_back(storage_->data() + offsets_[i], (*sizes)[i]);
    }
    auto builder = transfer::PhysicalLayoutBuilder{config, arrangement};
    auto built = builder.adopt(std::move(regions), storage_).build();
    EXPECT_TRUE(built.has_value());
    physical_ = *built;
  }

  [[nodiscard]] const transfer::PhysicalLayoutPtr& physical() const { return physical_; }
  [[nodiscard]] const layout::LayoutView& view() const { return physical_->view(); }
  [[nodiscard]] std::uint64_t num_blocks() const { return physical_->config().num_blocks; }

  /// All bytes, with the guards.
  [[nodiscard]] const Bytes& bytes() const { return *storage_; }
  void set_bytes(const Bytes& bytes) { *storage_ = bytes; }
  [[nodiscard]] std::shared_ptr<const Bytes> storage() const { return storage_; }

  /// Writes the pattern of `seed` into every block.
  void fill(std::uint64_t seed) {
    const auto filled =
        pattern_fill(view(), physical_->region_bases(), pattern_blocks(num_blocks()), seed);
    EXPECT_TRUE(filled.has_value());
  }

  /// What all bytes are after `blocks` came from `source`, by the reference copier.
  [[nodiscard]] Bytes expected_after(const GuardedCache& source, const plan::BlockPairs& blocks,
                                     const plan::LayerRange& layers = {}) const {
    Bytes expected{*storage_};
    const std::vector<const std::byte*> from = bases_in<const std::byte>(*source.storage_, source);
    const std::vector<std::byte*> to = bases_in<std::byte>(expected, *this);
    plan::reference_copy({source.view(), from}, {view(), to}, blocks, layers);
    return expected;
  }

  /// Whether all bytes, with the guards, are `bytes`.
  [[nodiscard]] bool holds(const Bytes& bytes) const {
    return bytes.size() == storage_->size() &&
           std::memcmp(bytes.data(), storage_->data(), bytes.size()) == 0;
  }

  /// Whether a block holds what block `theirs` of another cache of the same config holds, in these
  /// layers.
  [[nodiscard]] bool holds_block(BlockId mine, const GuardedCache& other, BlockId theirs,
                                 const plan::LayerRange& layers = {}) const {
    const layout::LayoutConfig& config = physical_->config();
    for (std::uint64_t layer = layers.first; layer < std::min(layers.end, config.num_layers);
         ++layer) {
      for (std::uint64_t outer = 0; outer < config.outer_dim; ++outer) {
        if (std::memcmp(piece({mine, layer, outer}), other.piece({theirs, layer, outer}),
                        config.region_bytes()) != 0) {
          return false;
        }
      }
    }
    return true;
  }

 private:
  static constexpr std::size_t kGuardBytes = 4096;

  [[nodiscard]] const std::byte* piece(const layout::RegionIndex& index) const {
    layout::Place at;
    at[layout::Axis::kBlock] = index.block.value();
    at[layout::Axis::kLayer] = index.layer;
    at[layout::Axis::kOuter] = index.outer;
    const layout::Location found = physical_->view().locate(at);
    return physical_->region_bases()[found.region] + found.offset_bytes;
  }

  template <class Byte, class Storage>
  static std::vector<Byte*> bases_in(Storage& storage, const GuardedCache& cache) {
    std::vector<Byte*> bases;
    for (const std::size_t offset : cache.offsets_) {
      bases.push_back(storage.data() + offset);
    }
    return bases;
  }

  std::shared_ptr<Bytes> storage_;  // shared: with the physical layout, as any lender would
  std::vector<std::size_t> offsets_;
  transfer::PhysicalLayoutPtr physical_;
};

inline constexpr layout::Arrangement kAllArrangements[] = {
    layout::Arrangement::kFullyContiguous, layout::Arrangement::kLayerSeparateBlockFirst,
    layout::Arrangement::kLayerSeparateBlockSecond};

/// 2 layers, outer 2, page 16, inner 128, 2 bytes: a block has 16,384 bytes.
inline layout::LayoutConfig standard_config(std::uint64_t num_blocks) {
  return layout::LayoutConfig{.num_blocks = num_blocks,
                              .num_layers = 2,
                              .outer_dim = 2,
                              .page_size = 16,
                              .inner_dim = 128,
                              .inner_shape = layout::InnerShape::kNhd,
                              .num_heads = 2};
}

/// llama-3.1-8b: a block has 2 MiB.
inline layout::LayoutConfig llama_config(std::uint64_t num_blocks) {
  return layout::LayoutConfig{.num_blocks = num_blocks,
                              .num_layers = 32,
                              .outer_dim = 2,
                              .page_size = 16,
                              .inner_dim = 1024,
                              .inner_shape = layout::InnerShape::kNhd,
                              .num_heads = 8};
}

/// 16 bytes a block, one layer: for tests that need very many blocks.
inline layout::LayoutConfig tiny_config(std::uint64_t num_blocks) {
  return layout::LayoutConfig{.num_blocks = num_blocks,
                              .num_layers = 1,
                              .outer_dim = 1,
                              .page_size = 1,
                              .inner_dim = 16,
                              .dtype_width_bytes = 1,
                              .inner_shape = layout::InnerShape::kNhd,
                              .num_heads = 1};
}

/// `count` ids from `first` on, `step` apart.
inline std::vector<BlockId> ids_from(std::uint64_t first, std::uint64_t count,
                                     std::uint64_t step = 1) {
  std::vector<BlockId> ids;
  for (std::uint64_t i = 0; i < count; ++i) {
    ids.emplace_back(first + i * step);
  }
  return ids;
}

}  // namespace kvferry::testing
