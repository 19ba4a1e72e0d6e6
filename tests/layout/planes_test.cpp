// SPDX-License-Identifier: Apache-2.0
// Goal: planes beside data are taken only when no byte of one is a byte of the other, as engines
// have
//       them, and their places stay where they were in the common list of regions.
// Method: random pairs of views in one small memory, whose bytes are counted one by one; and cases
//         by hand: scales behind each row, behind each block, and one byte too near.
#include "kvferry/layout/planes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "kvferry/layout/packed.hpp"
#include "kvferry/testing/matchers.hpp"

namespace kvferry::layout {
namespace {

using testing::FailsWith;
using ::testing::HasSubstr;
using testing::IsOk;

constexpr std::uint64_t kBase = 4096;
const LayoutConfig kData{.num_blocks = 3,
                         .num_layers = 2,
                         .outer_dim = 2,
                         .page_size = 4,
                         .inner_dim = 32,
                         .dtype_width_bytes = 1,
                         .num_heads = 2};

/// One number for each row of a head.
LayoutConfig scales_of(LayoutConfig data, std::uint64_t width = 4) {
  data.inner_dim = *data.num_heads;
  data.dtype_width_bytes = width;
  return data;
}

LayoutView view(const LayoutConfig& config, const Steps& steps, std::uint64_t offset,
                const std::vector<Region>& regions) {
  LayoutView::Parts parts = strided_layout(config, steps);
  parts.offset_bytes = offset;
  parts.regions = regions;
  auto made = LayoutView::create(std::move(parts));
  EXPECT_THAT(made, IsOk());
  return *std::move(made);
}

LayoutView packed(const LayoutConfig& config, std::uint64_t address,
                  Arrangement arrangement = Arrangement::kFullyContiguous) {
  const std::uint64_t count = arrangement == Arrangement::kFullyContiguous ? 1 : config.num_layers;
  const std::uint64_t size = config.num_blocks * config.block_bytes() / count;
  std::vector<Region> regions;
  for (std::uint64_t i = 0; i < count; ++i) {
    regions.push_back({address + i * size, size});
  }
  auto made = packed_view({.config = config, .arrangement = arrangement, .order = kNhd}, regions);
  EXPECT_THAT(made, IsOk());
  return *std::move(made);
}

/// Rows of a head of 16 bytes with room of `row` bytes in all, NHD, in one region.
Steps rows_of(std::uint64_t row) {
  return {.stride_bytes = {32 * row, 16 * row, 8 * row, 2 * row, row}};
}

std::uint64_t address_at(const LayoutView& of, const Place& place) {
  const Location at = of.locate(place);
  return of.regions()[at.region].address + at.offset_bytes;
}

/// Calls `take` with each place of a view whose elements are not told apart.
template <class Take>
void each_row(const LayoutView& of, const Take& take) {
  Place at;
  for (at[Axis::kBlock] = 0; at[Axis::kBlock] < of.axis(Axis::kBlock).extent; ++at[Axis::kBlock]) {
    for (at[Axis::kLayer] = 0; at[Axis::kLayer] < of.axis(Axis::kLayer).extent;
         ++at[Axis::kLayer]) {
      for (at[Axis::kOuter] = 0; at[Axis::kOuter] < of.axis(Axis::kOuter).extent;
           ++at[Axis::kOuter]) {
        for (at[Axis::kToken] = 0; at[Axis::kToken] < of.axis(Axis::kToken).extent;
             ++at[Axis::kToken]) {
          for (at[Axis::kHead] = 0; at[Axis::kHead] < of.axis(Axis::kHead).extent;
               ++at[Axis::kHead]) {
            take(at);
          }
        }
      }
    }
  }
}

std::set<std::uint64_t> bytes_of(const LayoutView& of) {
  std::set<std::uint64_t> bytes;
  each_row(of, [&](const Place& place) {
    const std::uint64_t first = address_at(of, place);
    for (std::uint64_t i = 0; i < of.axis(Axis::kElement).extent * of.element_bytes(); ++i) {
      bytes.insert(first + i);
    }
  });
  return bytes;
}

bool meet(const LayoutView& a, const LayoutView& b) {
  const auto of_a = bytes_of(a);
  return std::ranges::any_of(bytes_of(b), [&](std::uint64_t byte) { return of_a.contains(byte); });
}

TEST(Planes, KeepTheirPlacesInOneListOfRegions) {
  const LayoutView data = packed(kData, kBase, Arrangement::kLayerSeparateBlockFirst);
  const LayoutView scales = packed(scales_of(kData), 100'000);
  const LayoutView zeros =
      packed(scales_of(kData, 1), 200'000, Arrangement::kLayerSeparateBlockSecond);
  const auto planes = side_by_side(data, {{"scales", scales}, {"zeros", zeros}});
  ASSERT_THAT(planes, IsOk());
  ASSERT_EQ(planes->size(), 2U);
  EXPECT_EQ((*planes)[1].name, "zeros");
  const auto all = all_regions(data, *planes);
  ASSERT_EQ(all.size(), 5U);
  EXPECT_EQ(all[2], scales.regions()[0]);
  for (const auto& [alone, beside] :
       {std::pair{scales, (*planes)[0].view}, std::pair{zeros, (*planes)[1].view}}) {
    each_row(alone, [&, &was = alone, &is = beside](const Place& place) {
      const Location at = is.locate(place);
      ASSERT_LT(at.region, all.size());
      EXPECT_EQ(all[at.region].address + at.offset_bytes, address_at(was, place));
    });
  }
  EXPECT_EQ(all_regions(data, {}).size(), 2U);
}

TEST(Planes, MayLieBetweenTheBytesOfTheData) {
  const std::vector<Region> one{{kBase, 3 * 32 * 20}};
  const LayoutView data = view(kData, rows_of(20), 0, one);
  EXPECT_THAT(side_by_side(data, {{"scales", view(scales_of(kData), rows_of(20), 16, one)}}),
              IsOk());
  EXPECT_THAT(side_by_side(data, {{"scales", view(scales_of(kData, 2), rows_of(20), 18, one)},
                                  {"zeros", view(scales_of(kData, 2), rows_of(20), 16, one)}}),
              IsOk());
  // In front of the rows: the same bytes, and the data begins later.
  EXPECT_THAT(side_by_side(view(kData, rows_of(20), 4, one),
                           {{"scales", view(scales_of(kData), rows_of(20), 0, one)}}),
              IsOk());
  EXPECT_THAT(side_by_side(data, {{"scales", view(scales_of(kData), rows_of(20), 15, one)}}),
              FailsWith(ErrorCode::kInvalidArgument, "plane \"scales\": its bytes lie between"));
  EXPECT_THAT(side_by_side(data, {{"scales", view(scales_of(kData, 2), rows_of(20), 17, one)},
                                  {"zeros", view(scales_of(kData, 2), rows_of(20), 16, one)}}),
              FailsWith(ErrorCode::kInvalidArgument, "those of plane \"scales\""));
}

/// Layers of 40 bytes and 60 of scales, one behind the other, and blocks without room for the last
/// scales: each view by itself is whole.
TEST(Planes, MustFitIntoEveryStepThatTheyShare) {
  const LayoutConfig data{.num_blocks = 2,
                          .num_layers = 10,
                          .outer_dim = 1,
                          .page_size = 1,
                          .inner_dim = 40,
                          .dtype_width_bytes = 1,
                          .num_heads = 1};
  LayoutConfig numbers = data;
  numbers.inner_dim = 60;
  const std::vector<Region> one{{kBase, 4096}};
  const auto beside = [&](std::uint64_t block) {
    const Steps steps{.stride_bytes = {block, 100, 0, 0, 0}};
    return side_by_side(view(data, steps, 0, one), {{"scales", view(numbers, steps, 40, one)}});
  };
  EXPECT_THAT(beside(960), FailsWith(ErrorCode::kInvalidArgument, "lie between"));
  EXPECT_THAT(beside(999), FailsWith(ErrorCode::kInvalidArgument, "lie between"));
  EXPECT_THAT(beside(1000), IsOk());
}

TEST(Planes, MayLieBehindEachBlock) {
  const std::uint64_t data_bytes = kData.block_bytes();
  const std::uint64_t scale_bytes = scales_of(kData).block_bytes();
  const std::uint64_t block = data_bytes + scale_bytes;
  const std::vector<Region> one{{kBase, 3 * block}};
  const LayoutView data = view(kData, {.stride_bytes = {block, 256, 128, 32, 16}}, 0, one);
  const Steps steps{.stride_bytes = {block, 64, 32, 8, 4}};
  EXPECT_THAT(side_by_side(data, {{"scales", view(scales_of(kData), steps, data_bytes, one)}}),
              IsOk());
  EXPECT_THAT(side_by_side(data, {{"scales", view(scales_of(kData), steps, data_bytes - 1, one)}}),
              FailsWith(ErrorCode::kInvalidArgument, "lie between"));
}

/// How the steps of a view are drawn.
struct Room {
  std::array<std::uint64_t, 5> least{};  ///< bytes that a step of each axis has at least
  bool tight{false};
};

/// Steps that two views share: each has room for what lies inside it, or nearly.
Room tight_room(std::mt19937_64& random, const LayoutConfig& config) {
  const std::array<std::uint64_t, 5> extents{config.num_blocks, config.num_layers, config.outer_dim,
                                             config.page_size, *config.num_heads};
  Room room{.tight = true};
  std::uint64_t spanned = 4 + random() % 4;
  for (std::size_t axis = 5; axis-- > 0;) {
    room.least[axis] = spanned - (random() % 4 == 0 ? 1 + random() % 2 : 0);
    spanned += (extents[axis] - 1) * room.least[axis];
  }
  return room;
}

/// Of each axis, a step that may have room.
Room loose_room(std::mt19937_64& random) {
  Room room;
  for (std::uint64_t& bytes : room.least) {
    bytes = random() % 2 == 0 ? 0 : random() % 160;
  }
  return room;
}

/// Some order of axes and a small offset. Of a tight pair, the data begins where the region does,
/// and the plane about where a row of data ends.
LayoutView random_view(std::mt19937_64& random, const LayoutConfig& config,
                       const std::vector<Region>& regions, bool in_layers, const Room& room) {
  std::array<std::size_t, 5> order{4, 3, 2, 1, 0};
  if (!room.tight && random() % 2 == 0) {
    std::swap(order[0], order[1]);
  }
  const std::uint64_t extents[] = {config.num_blocks, config.num_layers, config.outer_dim,
                                   config.page_size, *config.num_heads};
  Steps steps;
  std::uint64_t spanned = config.inner_dim / *config.num_heads * config.dtype_width_bytes;
  const bool is_data = spanned == 4;
  for (const std::size_t axis : order) {
    if (in_layers && axis == 1) {
      steps.regions[1] = 1;
      continue;
    }
    steps.stride_bytes[axis] = std::max(spanned, room.least[axis]);
    spanned += (extents[axis] - 1) * steps.stride_bytes[axis];
  }
  const std::uint64_t tight_offset = is_data ? 0 : 3 + random() % 4;
  return view(config, steps, room.tight ? tight_offset : random() % 40, regions);
}

TEST(Planes, AreTakenOnlyWhenNoByteIsShared) {
  const std::uint64_t seed = std::random_device{}();
  RecordProperty("seed", std::to_string(seed));
  std::mt19937_64 random{seed};
  const LayoutConfig config{.num_blocks = 2,
                            .num_layers = 2,
                            .outer_dim = 2,
                            .page_size = 2,
                            .inner_dim = 8,
                            .dtype_width_bytes = 1,
                            .num_heads = 2};
  std::array<int, 3> counts{};  // Taken, refused and shared, refused although apart.
  for (int i = 0; i < 4'000; ++i) {
    const bool in_layers = random() % 2 == 0;
    const std::uint64_t apart = random() % 3 == 0 ? 300 : 16'384;
    std::vector<Region> regions{{kBase, 8192}, {kBase + apart, 8192}};
    regions.resize(in_layers ? 2 : 1);
    const auto room = random() % 2 == 0 ? tight_room(random, config) : loose_room(random);
    const LayoutView data = random_view(random, config, regions, in_layers, room);
    const LayoutView plane =
        random_view(random, scales_of(config, 1 + random() % 2), regions, in_layers, room);
    const bool taken = side_by_side(data, {{"scales", plane}}).has_value();
    const bool shared = meet(data, plane);
    ASSERT_FALSE(taken && shared) << "seed " << seed << ", pair " << i;
    ++counts[taken ? 0 : shared ? 1 : 2];
  }
  EXPECT_GT(counts[0], 200) << "seed " << seed;
  EXPECT_GT(counts[1], 1000) << "seed " << seed;
}

TEST(Planes, AreRefusedWithTheirName) {
  const LayoutView data = packed(kData, kBase);
  const auto refuses = [&](const LayoutConfig& config, const std::string& what) {
    EXPECT_THAT(side_by_side(data, {{"scales", packed(config, 100'000)}}),
                FailsWith(ErrorCode::kInvalidArgument, what));
  };
  LayoutConfig other = scales_of(kData);
  other.num_blocks = 4;
  refuses(other, "plane \"scales\": block axis: 4 from 0 of 4, the data has 3 from 0 of 3");
  other = scales_of(kData);
  other.num_layers = 1;
  refuses(other, "plane \"scales\": layer axis: 1");
  other = scales_of(kData);
  other.page_size = 8;
  refuses(other, "plane \"scales\": page_size 8, the data has 4");
  const Plane good{"scales", packed(scales_of(kData), 100'000)};
  EXPECT_THAT(side_by_side(data, {{"", good.view}}),
              FailsWith(ErrorCode::kInvalidArgument, "no name"));
  EXPECT_THAT(side_by_side(data, {good, good}),
              FailsWith(ErrorCode::kInvalidArgument, "another plane has that name"));
  EXPECT_THAT(side_by_side(data, {{"again", data}}),
              FailsWith(ErrorCode::kInvalidArgument, "plane \"again\": its bytes lie between"));
  std::vector<Plane> many;
  for (std::uint64_t i = 0; i <= kMaxPlanes; ++i) {
    many.push_back({std::to_string(i), packed(scales_of(kData), 100'000 * (i + 1))});
  }
  EXPECT_THAT(side_by_side(data, many), FailsWith(ErrorCode::kInvalidArgument, "17, at most 16"));
  many.pop_back();
  EXPECT_THAT(side_by_side(data, many), IsOk());
}

TEST(Planes, AreFoundByTheirNames) {
  const LayoutView view = *packed_view({.config = kData}, {{kBase, kData.required_bytes()}});
  const std::vector<Plane> planes{{"scales", view}, {"sums", view}};
  EXPECT_EQ(find_plane(planes, "scales"), &planes[0]);
  EXPECT_EQ(find_plane(planes, "sums"), &planes[1]);
  EXPECT_EQ(find_plane(planes, "sum"), nullptr);
  EXPECT_EQ(find_plane({}, "sums"), nullptr);
}

}  // namespace
}  // namespace kvferry::layout
