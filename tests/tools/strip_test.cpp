// SPDX-License-Identifier: Apache-2.0
// Goal: the cells of a strip cover it once, stand for every place once, and are to scale where
// they say so. Method: strips of one place up to the largest number, with and without padding.
#include "strip.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace kvferry::tool {
namespace {

constexpr double kWidth = 952;

Level level(std::uint64_t count, std::uint64_t stride, std::uint64_t bytes) {
  return {layout::Axis::kBlock, count, stride, bytes};
}

TEST(Strip, CoversItsWidthAndEveryPlaceOnce) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  for (const std::uint64_t count : {std::uint64_t{1}, std::uint64_t{2}, kUnfoldedPlaces,
                                    kUnfoldedPlaces + 1, std::uint64_t{1'000'000}, kMost}) {
    for (const std::uint64_t stride : {64U, 65U, 128U, 6400U}) {
      SCOPED_TRACE(testing::Message() << count << " places, stride " << stride);
      double x{0};
      std::uint64_t places{0};
      for (const Cell& cell : cells_of(level(count, stride, 64), kWidth)) {
        EXPECT_NEAR(cell.x, x, 1e-6);
        EXPECT_GT(cell.width, 0);
        x = cell.x + cell.width;
        if (cell.kind == Cell::Kind::kPadding) {
          EXPECT_EQ(cell.index + 1, places);
          continue;
        }
        EXPECT_EQ(cell.index, places);
        places += cell.count;
      }
      EXPECT_NEAR(x, kWidth, 1e-6);
      EXPECT_EQ(places, count);
    }
  }
}

TEST(Strip, DrawsPaddingToScale) {
  const auto cells = cells_of(level(4, 128, 96), 480);  // 3 x 128 + 96 bytes.
  ASSERT_EQ(cells.size(), 7U);
  EXPECT_NEAR(cells[0].width, 96, 1e-6);
  EXPECT_EQ(cells[1].kind, Cell::Kind::kPadding);
  EXPECT_NEAR(cells[1].width, 32, 1e-6);
  EXPECT_NEAR(cells[6].width, 96, 1e-6);
}

TEST(Strip, ShowsPaddingHoweverSmall) {
  const auto cells = cells_of(level(4, 1'000'001, 1'000'000), kWidth);
  EXPECT_EQ(cells[1].kind, Cell::Kind::kPadding);
  EXPECT_GE(cells[1].width, 1);
}

TEST(Strip, DrawsFewCellsOfManyPlaces) {
  EXPECT_EQ(cells_of(level(32, 2, 2), kWidth).size(), 32U);
  const auto cells = cells_of(level(80, 2, 2), kWidth);
  ASSERT_EQ(cells.size(), kFirstPlaces + 1 + kLastPlaces);
  EXPECT_EQ(cells[kFirstPlaces].kind, Cell::Kind::kFolded);
  EXPECT_EQ(cells[kFirstPlaces].count, 80 - kFirstPlaces - kLastPlaces);
}

TEST(Folding, NamesEachThingOnce) {
  for (std::uint64_t count = 0; count < 40; ++count) {
    const Folding folding = folding_of(count, 8);
    EXPECT_EQ(folding.first + folding.left_out + folding.last, count);
    EXPECT_LE(folding.first + folding.last + (folding.left_out > 0 ? 1 : 0), 8U);
    EXPECT_EQ(folding.left_out > 0, count > 8);
  }
}

}  // namespace
}  // namespace kvferry::tool
