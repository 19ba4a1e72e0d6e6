// SPDX-License-Identifier: Apache-2.0
// Goal: the oracle itself is right.
// Method: copies small enough to be written down by hand, and layers counted in the whole model.
#include "kvferry/plan/reference.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "model.hpp"

namespace kvferry::plan {
namespace {

using layout::Arrangement;
using layout::Axis;
using layout::InnerShape;
using layout::LayoutView;
using test::Model;
using test::Pairs;
using test::Shape;

/// Bytes 0, 1, 2, ... of `count`.
std::vector<std::byte> numbered(std::size_t count) {
  std::vector<std::byte> bytes(count);
  for (std::size_t i = 0; i < count; ++i) {
    bytes[i] = static_cast<std::byte>(i);
  }
  return bytes;
}

std::vector<int> values(const std::vector<std::byte>& bytes) {
  std::vector<int> numbers;
  for (const std::byte byte : bytes) {
    numbers.push_back(static_cast<int>(byte));
  }
  return numbers;
}

constexpr std::byte kEmpty{255};

/// The whole of both sides is one region.
std::vector<int> copy(const LayoutView& source, const LayoutView& destination, const Pairs& blocks,
                      const LayerRange& layers = {}) {
  const std::vector<std::byte> from = numbered(source.regions()[0].size_bytes);
  std::vector<std::byte> to(destination.regions()[0].size_bytes, kEmpty);
  const std::array<const std::byte*, 1> sources{from.data()};
  const std::array<std::byte*, 1> destinations{to.data()};
  reference_copy({source, sources}, {destination, destinations}, blocks.view(), layers);
  return values(to);
}

TEST(ReferenceCopy, TurnsTokensAndHeads) {
  const Model model{1, 1, 3, 1, 1};
  const LayoutView nhd = test::layout_view(model, {2, 2});
  const LayoutView hnd = test::layout_view(model, {2, 2, InnerShape::kHnd});
  EXPECT_EQ(copy(nhd, hnd, test::pairs({1}, {0})),
            (std::vector<int>{6, 9, 7, 10, 8, 11, 255, 255, 255, 255, 255, 255}));
}

TEST(ReferenceCopy, PairsTokensOfUnequalPages) {
  const Model model{1, 1, 1, 1, 1};
  const LayoutView from = test::layout_view(model, {3, 2});
  const LayoutView to = test::layout_view(model, {2, 3});
  EXPECT_EQ(copy(from, to, test::pairs({2, 0, 1}, {1, 0})), (std::vector<int>{1, 2, 3, 4, 5, 0}));
}

TEST(ReferenceCopy, CountsLayersInTheWholeModel) {
  const Model model{4, 1, 1, 1, 1};
  const LayoutView all = test::layout_view(model, {1, 1});
  const Pairs one = test::pairs({0}, {0});
  EXPECT_EQ(copy(all, all, one, {1, 3}), (std::vector<int>{255, 1, 2, 255}));
  const LayoutView tail = all.slice(Axis::kLayer, 2, 2).value();
  EXPECT_EQ(copy(tail, tail, one, {0, 3}), (std::vector<int>{255, 255, 2, 255}));
  EXPECT_EQ(copy(tail, tail, one, {3, LayerRange::kAll}), (std::vector<int>{255, 255, 255, 3}));
  EXPECT_EQ(copy(tail, tail, one, {0, 2}), (std::vector<int>{255, 255, 255, 255}));
}

TEST(ReferenceCopy, FindsLayersInTheirRegions) {
  const Model model{2, 2, 1, 1, 1};
  const LayoutView fc = test::layout_view(model, {2, 1});
  const LayoutView ls2 =
      test::layout_view(model, {2, 1, InnerShape::kNhd, Arrangement::kLayerSeparateBlockSecond});
  const std::vector<std::byte> from = numbered(8);
  std::vector<std::byte> first(4, kEmpty);
  std::vector<std::byte> second(4, kEmpty);
  const std::array<const std::byte*, 1> sources{from.data()};
  const std::array<std::byte*, 2> destinations{first.data(), second.data()};
  const Pairs both = test::pairs({0, 1}, {0, 1});
  reference_copy({fc, sources}, {ls2, destinations}, both.view());
  EXPECT_EQ(values(first), (std::vector<int>{0, 4, 1, 5}));
  EXPECT_EQ(values(second), (std::vector<int>{2, 6, 3, 7}));
}

}  // namespace
}  // namespace kvferry::plan
