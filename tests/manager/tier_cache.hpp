// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kvferry/transfer/physical_layout.hpp"
#include "transfer/guarded_cache.hpp"

namespace kvferry::testing {

/// A layout in one of the tiers, and a cache in memory that holds what it should. The file is read
/// and written here, not by what is tested.
class TierCache {
 public:
  /// On disk where `file` has a path; else in memory.
  TierCache(const layout::LayoutConfig& config, layout::Arrangement arrangement, std::uint64_t seed,
            const disk::FileOptions& file)
      : mirror_{config, arrangement, seed} {
    if (file.path.empty()) {
      layout_ = mirror_.physical();
      return;
    }
    auto built = transfer::PhysicalLayoutBuilder{config, arrangement}.allocate_disk(file).build();
    EXPECT_TRUE(built.has_value()) << built.error().message;
    layout_ = *built;
    for_each_region([](int descriptor, std::uint64_t at, std::span<std::byte> bytes) {
      EXPECT_EQ(::pwrite(descriptor, bytes.data(), bytes.size(), static_cast<off_t>(at)),
                static_cast<ssize_t>(bytes.size()));
    });
  }

  [[nodiscard]] const transfer::PhysicalLayoutPtr& layout() const noexcept { return layout_; }
  [[nodiscard]] GuardedCache& mirror() noexcept { return mirror_; }

  /// Fills the blocks with the pattern, on disk too.
  void fill(std::uint64_t seed) {
    mirror_.fill(seed);
    for_each_region([](int descriptor, std::uint64_t at, std::span<std::byte> bytes) {
      EXPECT_EQ(::pwrite(descriptor, bytes.data(), bytes.size(), static_cast<off_t>(at)),
                static_cast<ssize_t>(bytes.size()));
    });
  }

  /// Takes over what the file holds now.
  void refresh() {
    for_each_region([](int descriptor, std::uint64_t at, std::span<std::byte> bytes) {
      EXPECT_EQ(::pread(descriptor, bytes.data(), bytes.size(), static_cast<off_t>(at)),
                static_cast<ssize_t>(bytes.size()));
    });
  }

 private:
  template <class Take>
  void for_each_region(const Take& take) {
    const auto bases = mirror_.physical()->region_bases();
    for (std::size_t i = 0; i < layout_->files().size(); ++i) {
      const Region& region = layout_->regions()[i];
      take(layout_->files()[i]->descriptor(), region.address, {bases[i], region.size_bytes});
    }
  }

  GuardedCache mirror_;
  transfer::PhysicalLayoutPtr layout_;
};

}  // namespace kvferry::testing
