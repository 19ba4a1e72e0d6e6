// SPDX-License-Identifier: Apache-2.0
// Goal: rows of memory fill their space without overlap, in the order of memory, and name each
// item with what the others do not share. Method: rows of few and of many items, of all kinds.
#include "memory_row.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "drawn_views.hpp"

namespace kvferry::tool {
namespace {

using Kind = MemoryItem::Kind;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::uint64_t kRowBytes = 3 * 64 * 2;  // Of a token of smollm2-135m.
constexpr std::uint64_t kOuterBytes = 16 * kRowBytes;

std::vector<MemoryItem> items(const std::vector<Extent>& pieces, const std::vector<Extent>& idle) {
  std::vector<MemoryItem> all;
  for (const Extent& extent : pieces) {
    all.push_back({Kind::kPiece, extent, all.size(), {}, 0, 0});
  }
  for (const Extent& extent : idle) {
    all.push_back({Kind::kIdle, extent, 0, {}, 0, 0});
  }
  return all;
}

/// Checks that rows fill their space in order, but for the gaps between them.
void expect_filled(const std::vector<MemoryRow>& rows, const RowSpace& space) {
  double x{space.x};
  double right{space.x};
  for (const MemoryRow& row : rows) {
    EXPECT_GE(row.items.front().x, right);
    x = row.items.front().x;
    for (const MemoryItem& item : row.items) {
      EXPECT_NEAR(item.x, x, 1e-6);
      EXPECT_GT(item.width, 0);
      x += item.width;
    }
    right = x;
  }
  EXPECT_NEAR(right, space.x + space.width, 1e-6);
}

TEST(MemoryRow, FillsItsSpaceWithoutOverlap) {
  const layout::LayoutView view = view_of_spec("ls");
  for (const std::uint64_t count : {1U, 2U, 50U, 1000U}) {
    std::vector<Extent> pieces;
    for (std::uint64_t i = 0; i < count; ++i) {
      pieces.push_back({i % 30, (i / 30) * 2 * kRowBytes, kRowBytes});
    }
    std::vector<MemoryRow> rows{
        memory_row(view, items(pieces, {{29, 50 * kRowBytes, 3}})),
        memory_row(view, items({{0, 0, 4 * kOuterBytes}}, {{1, 0, kOuterBytes}}))};
    place_rows(rows, {24, 952});
    expect_filled(rows, {24, 952});
  }
}

TEST(MemoryRow, PiecesAreToScale) {
  std::vector<MemoryRow> rows{memory_row(
      view_of_spec("fc"), items({{0, 0, kRowBytes}, {0, kRowBytes, 3 * kRowBytes}}, {}))};
  place_rows(rows, {0, 400});
  ASSERT_EQ(rows[0].items.size(), 2U);
  EXPECT_NEAR(rows[0].items[0].width, 100, 1e-6);
  EXPECT_NEAR(rows[0].items[1].width, 300, 1e-6);
}

TEST(MemoryRow, BreaksWhereBytesAreLeftOutOrRegionsEnd) {
  const MemoryRow row = memory_row(
      view_of_spec("ls"),
      items(
          {{2, 0, kRowBytes}, {0, 0, kRowBytes}, {0, 4 * kRowBytes, kRowBytes}, {1, 0, kRowBytes}},
          {{0, kRowBytes, kRowBytes}}));
  std::vector<Kind> kinds;
  for (const MemoryItem& item : row.items) {
    kinds.push_back(item.kind);
  }
  EXPECT_THAT(kinds,
              ElementsAre(Kind::kPiece, Kind::kIdle, Kind::kLeftOut, Kind::kPiece,
                          Kind::kOtherRegion, Kind::kPiece, Kind::kOtherRegion, Kind::kPiece));
}

TEST(MemoryRow, SaysOnceWhatAllItemsShare) {
  const MemoryRow row = memory_row(
      view_of_spec("fc"),
      items({{0, 0, kOuterBytes}, {0, kOuterBytes, kOuterBytes}, {0, 2 * kOuterBytes, kOuterBytes}},
            {}));
  EXPECT_THAT(row.common, ElementsAre("block 0"));
  EXPECT_THAT(row.items[0].names, ElementsAre("layer 0", "K"));
  EXPECT_THAT(row.items[2].names, ElementsAre("layer 1", "K"));
  EXPECT_EQ(group_rows_of(row), 1U);
  EXPECT_EQ(axis_word(row), "K or V");
  const MemoryRow one = memory_row(view_of_spec("fc"), items({{0, 0, 60 * kOuterBytes}}, {}));
  EXPECT_THAT(one.common, IsEmpty());
  EXPECT_THAT(one.items[0].names, ElementsAre("block 0"));
}

TEST(MemoryRow, NamesOnlyWhatHasRoom) {
  std::vector<Extent> tokens;
  for (std::uint64_t i = 0; i < 16; ++i) {
    tokens.push_back({0, i * kRowBytes, kRowBytes});
  }
  std::vector<MemoryRow> rows{memory_row(view_of_spec("fc"), items(tokens, {}))};
  for (const auto& [width, naming] :
       {std::pair{2000.0, Naming::kFull}, std::pair{400.0, Naming::kShort},
        std::pair{100.0, Naming::kNone}}) {
    place_rows(rows, {0, width});
    EXPECT_EQ(naming_of(rows[0]), naming) << width;
  }
  EXPECT_EQ(last_word("token 3"), "3");
  EXPECT_EQ(last_word("K"), "K");
}

}  // namespace
}  // namespace kvferry::tool
