// SPDX-License-Identifier: Apache-2.0
// Goal: a physical layout lies in memory that its layout fits, aligned as promised, and says no to
//       memory that does not.
// Method: every arrangement allocated and adopted; addresses compared with the layout's own.
#include "kvferry/transfer/physical_layout.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "guarded_cache.hpp"
#include "kvferry/testing/matchers.hpp"

namespace kvferry::transfer {
namespace {

using layout::Arrangement;
using layout::BlockDimension;
using layout::LayoutConfig;
using testing::FailsWith;
using testing::IsOk;
using testing::kAllArrangements;
using testing::standard_config;

std::uint64_t address_of(const std::byte* byte) { return reinterpret_cast<std::uintptr_t>(byte); }

/// What `count` regions of `size` each are, cut one after the other from `storage`.
std::vector<std::span<std::byte>> cut(std::vector<std::byte>& storage, std::size_t count,
                                      std::size_t size) {
  std::vector<std::span<std::byte>> regions;
  for (std::size_t i = 0; i < count; ++i) {
    regions.push_back(std::span{storage}.subspan(i * size, size));
  }
  return regions;
}

TEST(PhysicalLayout, AllocatesZeroedRegionsAlignedToPagesOrMore) {
  for (const std::uint64_t alignment : {1U, 512U, 4096U, 65'536U, 2U << 20U}) {
    for (const Arrangement arrangement : kAllArrangements) {
      LayoutConfig config = standard_config(3);
      config.inner_dim = 126;  // So that no region ends at a multiple of anything.
      config.alignment = alignment;
      const auto layout = PhysicalLayoutBuilder{config, arrangement}.allocate_system().build();
      ASSERT_THAT(layout, IsOk());
      const auto sizes = required_regions(config, arrangement);
      const auto bases = (*layout)->region_bases();
      ASSERT_EQ(bases.size(), sizes->size());
      const auto memory = (*layout)->memories().front()->bytes();
      for (std::size_t i = 0; i < bases.size(); ++i) {
        EXPECT_EQ(address_of(bases[i]) % std::max<std::uint64_t>(4096, alignment), 0U);
        EXPECT_EQ((*layout)->view().regions()[i], (Region{address_of(bases[i]), (*sizes)[i]}));
        EXPECT_GE(bases[i], memory.data());
        EXPECT_LE(bases[i] + (*sizes)[i], memory.data() + memory.size());
        EXPECT_TRUE(std::all_of(bases[i], bases[i] + (*sizes)[i],
                                [](std::byte byte) { return byte == std::byte{0}; }));
        EXPECT_TRUE(i == 0 || bases[i] >= bases[i - 1] + (*sizes)[i - 1]) << "regions overlap";
      }
      EXPECT_EQ((*layout)->storage_kind(), StorageKind::system());
    }
  }
}

TEST(PhysicalLayout, AllocatesOneSharedFileWhateverTheNumberOfRegions) {
  const auto layout =
      PhysicalLayout::layer_separate(standard_config(3), BlockDimension::kBlockIsSecondDim)
          .allocate_system()
          .build();
  ASSERT_THAT(layout, IsOk());
  ASSERT_EQ((*layout)->memories().size(), 1U);
  EXPECT_NE((*layout)->memories().front()->shared_file(), nullptr);
  EXPECT_EQ(std::get<layout::PackedLayout>((*layout)->description()).arrangement,
            Arrangement::kLayerSeparateBlockSecond);
}

TEST(PhysicalLayout, TakesOneByteElements) {
  LayoutConfig config = standard_config(4);
  config.dtype_width_bytes = 1;
  const auto layout = PhysicalLayout::fully_contiguous(config).allocate_system().build();
  ASSERT_THAT(layout, IsOk());
  EXPECT_EQ((*layout)->view().regions()[0].size_bytes, 4U * 2 * 2 * 16 * 128);
  EXPECT_EQ((*layout)->view().element_bytes(), 1U);
}

TEST(PhysicalLayout, AdoptsMemoryAsItIsAndHoldsItsOwner) {
  const auto config = standard_config(2);
  auto storage = std::make_shared<std::vector<std::byte>>(40'000, std::byte{0x5A});
  const std::weak_ptr<std::vector<std::byte>> watch{storage};
  // Odd addresses, unequal sizes, not in the order of the addresses.
  const std::vector<std::span<std::byte>> regions{std::span{*storage}.subspan(20'001, 16'384),
                                                  std::span{*storage}.subspan(3, 17'000)};
  auto layout = PhysicalLayout::layer_separate(config, BlockDimension::kBlockIsFirstDim)
                    .adopt(regions, storage)
                    .build();
  ASSERT_THAT(layout, IsOk());
  EXPECT_EQ((*layout)->region_bases()[0], regions[0].data());
  EXPECT_EQ((*layout)->region_bases()[1], regions[1].data());
  EXPECT_EQ((*layout)->memories().size(), 2U);
  EXPECT_EQ(*regions[0].begin(), std::byte{0x5A}) << "adopted memory is left as it is";
  storage.reset();
  EXPECT_FALSE(watch.expired());
  layout = Error{};
  EXPECT_TRUE(watch.expired());
}

TEST(PhysicalLayout, RefusesRegionsThatShareAByte) {
  std::vector<std::byte> storage(40'000);
  const std::span<std::byte> all{storage};
  const auto build = [&](std::size_t first, std::size_t second) {
    return PhysicalLayout::layer_separate(standard_config(2), BlockDimension::kBlockIsFirstDim)
        .adopt({all.subspan(first, 16'384), all.subspan(second, 16'384)})
        .build();
  };
  EXPECT_THAT(build(0, 16'384), IsOk());
  EXPECT_THAT(build(16'384, 0), IsOk());
  EXPECT_THAT(build(0, 16'383), FailsWith(ErrorCode::kInvalidArgument, "overlap"));
  EXPECT_THAT(build(16'383, 0), FailsWith(ErrorCode::kInvalidArgument, "overlap"));
  EXPECT_THAT(build(5, 5), FailsWith(ErrorCode::kInvalidArgument, "overlap"));
}

TEST(PhysicalLayout, RefusesAWrongNumberOrSizeOfRegions) {
  std::vector<std::byte> storage(80'000);
  const auto build = [&](std::size_t count, std::size_t size) {
    return PhysicalLayout::layer_separate(standard_config(2), BlockDimension::kBlockIsFirstDim)
        .adopt(cut(storage, count, size))
        .build();
  };
  EXPECT_THAT(build(2, 16'384), IsOk());
  EXPECT_THAT(build(0, 16'384), FailsWith(ErrorCode::kInvalidArgument, "2 regions, has 0"));
  EXPECT_THAT(build(1, 16'384), FailsWith(ErrorCode::kInvalidArgument, "2 regions, has 1"));
  EXPECT_THAT(build(3, 16'384), FailsWith(ErrorCode::kInvalidArgument, "2 regions, has 3"));
  EXPECT_THAT(build(2, 16'383),
              FailsWith(ErrorCode::kInvalidArgument, "16384 bytes from offset 0, it has 16383"));
  EXPECT_THAT(build(2, 0), FailsWith(ErrorCode::kInvalidArgument, "empty"));
}

TEST(PhysicalLayout, RefusesAConfigThatDoesNotValidateOrDoesNotFit) {
  LayoutConfig config = standard_config(2);
  config.outer_dim = 3;
  EXPECT_THAT(PhysicalLayout::fully_contiguous(config).allocate_system().build(),
              FailsWith(ErrorCode::kInvalidArgument, "outer_dim"));
  config = standard_config(std::uint64_t{1} << 60U);
  EXPECT_THAT(PhysicalLayout::fully_contiguous(config).allocate_system().build(),
              FailsWith(ErrorCode::kInvalidArgument, ""));
  config = standard_config(2);
  config.alignment = std::uint64_t{1} << 63U;
  EXPECT_THAT(PhysicalLayout::fully_contiguous(config).allocate_system().build(),
              FailsWith(ErrorCode::kInvalidArgument, "do not fit into 64 bits"));
}

TEST(PhysicalLayout, SaysWhenTheMachineHasNotGotTheMemory) {
  const LayoutConfig config = standard_config(std::uint64_t{1} << 40U);  // 16 PiB.
  EXPECT_THAT(PhysicalLayout::fully_contiguous(config).allocate_system().build(),
              FailsWith(ErrorCode::kUnavailable, "bytes"));
}

TEST(PhysicalLayoutBuilder, WantsExactlyOneKindOfMemory) {
  std::vector<std::byte> storage(40'000);
  auto builder = PhysicalLayout::fully_contiguous(standard_config(2));
  EXPECT_THAT(builder.build(), FailsWith(ErrorCode::kInvalidArgument, "0 are named"));
  builder.allocate_system();
  EXPECT_THAT(builder.build(), IsOk());
  builder.adopt(cut(storage, 1, 32'768));
  EXPECT_THAT(builder.build(), FailsWith(ErrorCode::kInvalidArgument, "2 are named"));
}

}  // namespace
}  // namespace kvferry::transfer
