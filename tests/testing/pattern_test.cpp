// SPDX-License-Identifier: Apache-2.0
// Goal: the pattern is the formula, in every layout, and every way in which KV blocks go wrong
// shows in it.
// Method: a writer of single bytes that follows the formula word for word; blocks with one planted
// mistake each.
#include "kvferry/testing/pattern.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "kvferry/testing/matchers.hpp"

namespace kvferry::testing {
namespace {

using layout::Axis;
using layout::AxisSpan;
using layout::LayoutView;
using layout::Place;

struct Shape {
  std::uint64_t blocks{3};
  std::uint64_t layers{2};
  std::uint64_t tokens{4};
  std::uint64_t heads{4};
  std::uint64_t elements{8};
  std::uint64_t element_bytes{2};
  bool heads_first{false};
  bool region_per_layer{false};
};

/// Blocks outermost (layers, where they are regions), then layer, outer, and tokens and heads in
/// the order asked for.
LayoutView::Parts parts_of(const Shape& shape) {
  LayoutView::Parts parts;
  parts.element_bytes = shape.element_bytes;
  parts.page_size = shape.tokens;
  parts.inner_dim = shape.heads * shape.elements;
  std::uint64_t stride = shape.element_bytes;
  const auto add = [&](Axis axis, std::uint64_t extent) {
    parts.axes[static_cast<std::size_t>(axis)] = AxisSpan{extent, stride, 0, extent};
    stride *= extent;
  };
  add(Axis::kElement, shape.elements);
  add(shape.heads_first ? Axis::kToken : Axis::kHead,
      shape.heads_first ? shape.tokens : shape.heads);
  add(shape.heads_first ? Axis::kHead : Axis::kToken,
      shape.heads_first ? shape.heads : shape.tokens);
  add(Axis::kOuter, 2);
  if (shape.region_per_layer) {
    parts.axes[static_cast<std::size_t>(Axis::kLayer)] =
        AxisSpan{shape.layers, 0, 0, shape.layers, 1};
  } else {
    add(Axis::kLayer, shape.layers);
  }
  add(Axis::kBlock, shape.blocks);
  parts.regions.assign(shape.region_per_layer ? shape.layers : 1, Region{4096, stride});
  return parts;
}

/// A cache in plain vectors.
struct Cache {
  explicit Cache(const Shape& shape)
      : view{*LayoutView::create(parts_of(shape))}, regions(view.regions().size()) {
    for (std::size_t index = 0; index < regions.size(); ++index) {
      regions[index].resize(view.regions()[index].size_bytes, std::byte{0xEE});
      touched.emplace_back(regions[index].size());
      bases.push_back(regions[index].data());
    }
  }

  std::byte* at(std::uint64_t block, std::uint64_t outer, std::uint64_t token, std::uint64_t head) {
    Place place;
    place[Axis::kBlock] = block;
    place[Axis::kOuter] = outer;
    place[Axis::kToken] = token;
    place[Axis::kHead] = head;
    const layout::Location where = view.locate(place);
    return regions[where.region].data() + where.offset_bytes;
  }

  LayoutView view;
  std::vector<std::vector<std::byte>> regions;
  std::vector<std::vector<bool>> touched;  ///< by fill_byte_by_byte()
  std::vector<std::byte*> bases;
};

std::uint64_t mix(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

/// The formula, one byte at a time, for all blocks of a view.
void fill_byte_by_byte(Cache& cache, const LayoutView& view, std::uint64_t seed) {
  const auto extent = [&view](Axis axis) { return view.axis(axis).extent; };
  const auto whole = [&view](Axis axis, std::uint64_t index) {
    return view.axis(axis).origin + index;
  };
  Place p;
  for (p[Axis::kBlock] = 0; p[Axis::kBlock] < extent(Axis::kBlock); ++p[Axis::kBlock])
    for (p[Axis::kLayer] = 0; p[Axis::kLayer] < extent(Axis::kLayer); ++p[Axis::kLayer])
      for (p[Axis::kOuter] = 0; p[Axis::kOuter] < extent(Axis::kOuter); ++p[Axis::kOuter])
        for (p[Axis::kToken] = 0; p[Axis::kToken] < extent(Axis::kToken); ++p[Axis::kToken])
          for (p[Axis::kHead] = 0; p[Axis::kHead] < extent(Axis::kHead); ++p[Axis::kHead])
            for (p[Axis::kElement] = 0; p[Axis::kElement] < extent(Axis::kElement);
                 ++p[Axis::kElement])
              for (std::uint64_t k = 0; k < view.element_bytes(); ++k) {
                std::uint64_t key = seed;
                key = mix(key + p[Axis::kBlock] + 1);
                key = mix(key + whole(Axis::kLayer, p[Axis::kLayer]) + 1);
                key = mix(key + p[Axis::kOuter] + 1);
                key = mix(key + p[Axis::kToken] + 1);
                const std::uint64_t head = whole(Axis::kHead, p[Axis::kHead]);
                const std::uint64_t i =
                    (head * extent(Axis::kElement) + p[Axis::kElement]) * view.element_bytes() + k;
                const layout::Location where = view.locate(p);
                cache.regions[where.region][where.offset_bytes + k] =
                    static_cast<std::byte>(mix(key + i / 8) >> (8 * (i % 8)));
                cache.touched[where.region][where.offset_bytes + k] = true;
              }
}

TEST(Pattern, HasTheSpecifiedBytes) {
  // By hand from the formula: seed 0, block 1, layer 2, outer 1, token 3, bytes 0 to 9.
  const std::uint64_t key = mix(mix(mix(mix(0 + 2) + 3) + 2) + 4);
  EXPECT_EQ(pattern_key(0, 1, 2, 1, 3), key);
  for (std::uint64_t i = 0; i < 10; ++i) {
    EXPECT_EQ(pattern_byte(key, i), static_cast<std::byte>(mix(key + i / 8) >> (8 * (i % 8))));
  }
  EXPECT_EQ(pattern_mix(1), 0x5692161D100B05E5U);
}

TEST(Pattern, EqualsTheFormulaInEveryShape) {
  constexpr unsigned kSeed = 11;
  RecordProperty("seed", static_cast<int>(kSeed));
  std::mt19937 random{kSeed};
  for (int round = 0; round < 100; ++round) {
    Shape shape;
    shape.tokens = 1 + random() % 5;
    shape.heads = 1 + random() % 5;
    shape.elements = 1 + random() % 20;  // Odd ones, too: rows then start inside a word.
    shape.element_bytes = 1U << (random() % 4);
    shape.heads_first = random() % 2 == 0;
    shape.region_per_layer = random() % 2 == 0;
    Cache fast{shape};
    Cache slow{shape};
    LayoutView view = fast.view;
    if (shape.heads > 1 && random() % 2 == 0) {
      view = *view.slice(Axis::kHead, 1, shape.heads - 1);
    }
    if (random() % 2 == 0 && !shape.region_per_layer) {
      view = *view.slice(Axis::kLayer, 1, 1);
    }
    const std::uint64_t seed = random();
    ASSERT_THAT(pattern_fill(view, fast.bases, pattern_blocks(3), seed), IsOk());
    fill_byte_by_byte(slow, view, seed);
    ASSERT_EQ(fast.regions, slow.regions) << kSeed << ' ' << round;
    ASSERT_TRUE(pattern_check(view, fast.bases, pattern_blocks(3), seed)->empty());
    // Any byte of the view counts, and no other.
    std::vector<std::byte>& region = fast.regions[0];
    for (std::size_t at = random() % 7; at < region.size(); at += region.size() / 20 + 1) {
      const bool inside = slow.touched[0][at];
      region[at] ^= std::byte{1};
      ASSERT_EQ(!pattern_check(view, fast.bases, pattern_blocks(3), seed)->empty(), inside)
          << kSeed << ' ' << round;
      region[at] ^= std::byte{1};
    }
  }
}

TEST(Pattern, FollowsABlockThatMoved) {
  Cache cache{Shape{}};
  const std::vector<PatternBlock> moved{{BlockId{2}, BlockId{77}}, {BlockId{0}, BlockId{5}}};
  ASSERT_THAT(pattern_fill(cache.view, cache.bases, moved, 1), IsOk());
  EXPECT_TRUE(pattern_check(cache.view, cache.bases, moved, 1)->empty());
  EXPECT_EQ(*pattern_check(cache.view, cache.bases, pattern_blocks(3), 1),
            (std::vector<std::size_t>{0, 1, 2}));
}

class PlantedMistake : public ::testing::Test {
 protected:
  PlantedMistake() {
    shape_.elements = 64;
    cache_ = std::make_unique<Cache>(shape_);
    EXPECT_THAT(pattern_fill(cache_->view, cache_->bases, pattern_blocks(3), 0), IsOk());
  }
  void expect_only_block_1_is_wrong() {
    EXPECT_EQ(*pattern_check(cache_->view, cache_->bases, pattern_blocks(3), 0),
              std::vector<std::size_t>{1});
  }

  Shape shape_;
  std::unique_ptr<Cache> cache_;
};

TEST_F(PlantedMistake, KeysAndValuesSwapped) {
  const std::uint64_t bytes = shape_.tokens * shape_.heads * shape_.elements * 2;
  std::swap_ranges(cache_->at(1, 0, 0, 0), cache_->at(1, 0, 0, 0) + bytes, cache_->at(1, 1, 0, 0));
  expect_only_block_1_is_wrong();
}

TEST_F(PlantedMistake, ShiftedBy256Bytes) {
  std::byte* const row = cache_->at(1, 0, 0, 0);
  std::memmove(row, row + 256, 256);
  expect_only_block_1_is_wrong();
}

TEST_F(PlantedMistake, HeadsSwapped) {
  std::swap_ranges(cache_->at(1, 0, 2, 1), cache_->at(1, 0, 2, 2), cache_->at(1, 0, 2, 2));
  expect_only_block_1_is_wrong();
}

TEST_F(PlantedMistake, StaleBlock) {
  const std::vector<PatternBlock> recycled{{BlockId{1}, BlockId{9}}};
  ASSERT_THAT(pattern_fill(cache_->view, cache_->bases, recycled, 0), IsOk());
  expect_only_block_1_is_wrong();
}

TEST_F(PlantedMistake, AnotherWorkersSeed) {
  const std::vector<PatternBlock> one{{BlockId{1}, BlockId{1}}};
  ASSERT_THAT(pattern_fill(cache_->view, cache_->bases, one, 1), IsOk());
  expect_only_block_1_is_wrong();
}

TEST_F(PlantedMistake, OneBitOfTheLastByte) {
  *(cache_->at(1, 1, 3, 3) + 127) ^= std::byte{0x80};
  expect_only_block_1_is_wrong();
}

TEST(Pattern, RefusesWhatItCannotFill) {
  Cache cache{Shape{}};
  const std::vector<PatternBlock> outside{{BlockId{0}, BlockId{0}}, {BlockId{3}, BlockId{0}}};
  EXPECT_THAT(pattern_fill(cache.view, cache.bases, outside, 0),
              FailsWith(ErrorCode::kInvalidArgument, "block 3 of 3"));
  EXPECT_THAT(pattern_check(cache.view, cache.bases, outside, 0),
              FailsWith(ErrorCode::kInvalidArgument, "block 3 of 3"));
  EXPECT_THAT(pattern_fill(cache.view, {}, {}, 0),
              FailsWith(ErrorCode::kInvalidArgument, "0 regions of 1"));
  EXPECT_THAT(pattern_fill(*cache.view.collapsed(), cache.bases, {}, 0),
              FailsWith(ErrorCode::kInvalidArgument, "packing is NHD"));
}

}  // namespace
}  // namespace kvferry::testing
