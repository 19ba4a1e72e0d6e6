// SPDX-License-Identifier: Apache-2.0
// Goal: a LayoutHandle holds its 128 bits as the wire format says, reserved ones included.
// Method: values from docs/spec/wire-format.md, by hand.
#include "kvferry/base/ids.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <unordered_set>

namespace kvferry {
namespace {

constexpr std::uint64_t kMax64 = std::numeric_limits<std::uint64_t>::max();

TEST(LayoutHandle, HoldsWorkerAndLayout) {
  const LayoutHandle handle{WorkerId{999}, LayoutId{42}};
  EXPECT_EQ(handle.worker_id(), WorkerId{999});
  EXPECT_EQ(handle.layout_id(), LayoutId{42});
  EXPECT_EQ(handle.low_bits(), 999U);
  EXPECT_EQ(handle.high_bits(), 42U);
  EXPECT_FALSE(handle.has_reserved_bits());
}

TEST(LayoutHandle, HoldsTheLargestIds) {
  const LayoutHandle handle{WorkerId{kMax64}, LayoutId{65535}};
  EXPECT_EQ(handle.worker_id(), WorkerId{kMax64});
  EXPECT_EQ(handle.layout_id(), LayoutId{65535});
  EXPECT_FALSE(handle.has_reserved_bits());
}

TEST(LayoutHandle, IsZeroByDefault) {
  EXPECT_EQ(LayoutHandle{}, (LayoutHandle{WorkerId{0}, LayoutId{0}}));
}

TEST(LayoutHandle, ComesBackFromItsBits) {
  const LayoutHandle handle{WorkerId{7}, LayoutId{3}};
  EXPECT_EQ(LayoutHandle::from_bits(handle.high_bits(), handle.low_bits()), handle);
}

TEST(LayoutHandle, KeepsReservedBitsAndCountsThemInEquality) {
  const LayoutHandle plain{WorkerId{7}, LayoutId{3}};
  for (unsigned bit = 16; bit < 64; ++bit) {
    const LayoutHandle odd = LayoutHandle::from_bits((std::uint64_t{1} << bit) | 3U, 7);
    EXPECT_TRUE(odd.has_reserved_bits()) << bit;
    EXPECT_EQ(odd.worker_id(), plain.worker_id()) << bit;
    EXPECT_EQ(odd.layout_id(), plain.layout_id()) << bit;
    EXPECT_NE(odd, plain) << bit;
    EXPECT_NE(std::hash<LayoutHandle>{}(odd), std::hash<LayoutHandle>{}(plain)) << bit;
  }
}

TEST(LayoutHandle, PrintsWorkerAndLayoutInDecimal) {
  EXPECT_EQ(to_string(LayoutHandle{WorkerId{100}, LayoutId{1}}),
            "LayoutHandle(worker=100, layout=1)");
  EXPECT_EQ(to_string(LayoutHandle::from_bits(kMax64, kMax64)),
            "LayoutHandle(worker=18446744073709551615, layout=65535)");
}

TEST(LayoutHandle, HashTellsApartTheHandlesOfManyWorkers) {
  std::unordered_set<std::size_t> hashes;
  for (std::uint64_t worker = 0; worker < 100; ++worker) {
    for (std::uint16_t layout = 0; layout < 100; ++layout) {
      hashes.insert(std::hash<LayoutHandle>{}(LayoutHandle{WorkerId{worker}, LayoutId{layout}}));
    }
  }
  EXPECT_EQ(hashes.size(), 10'000U);
}

TEST(LayoutHandle, WorksAtCompileTime) {
  static_assert(LayoutHandle{WorkerId{5}, LayoutId{6}}.layout_id() == LayoutId{6});
  static_assert(sizeof(LayoutHandle) == 16);
}

TEST(BlockIds, KeepOrderAndRepeats) {
  EXPECT_THAT(block_ids({4, 9, 2, 9}),
              testing::ElementsAre(BlockId{4}, BlockId{9}, BlockId{2}, BlockId{9}));
  EXPECT_TRUE(block_ids({}).empty());
}

}  // namespace
}  // namespace kvferry
