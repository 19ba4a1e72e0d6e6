// SPDX-License-Identifier: Apache-2.0
// Goal: places come out in ascending order of their ids, and an id that is named twice is found,
// however many blocks there are.
// Method: random lists, dense and sparse among the blocks, against std::stable_sort.
#include "plan/id_order.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "kvferry/testing/matchers.hpp"

namespace kvferry::plan::detail {
namespace {

using testing::FailsWith;

/// `count` of `blocks` ids, each once, in any order.
std::vector<BlockId> drawn(std::mt19937_64& random, std::uint64_t count, std::uint64_t blocks) {
  std::vector<BlockId> ids;
  for (std::uint64_t id = 0; id < blocks; ++id) {
    ids.push_back(BlockId{id});
  }
  std::shuffle(ids.begin(), ids.end(), random);
  ids.resize(count);
  return ids;
}

struct Amount {
  std::uint64_t ids;
  std::uint64_t blocks;
};

// Around a word of bits; a block for each id; one id for each word, one less; hardly any.
constexpr Amount kAmounts[]{{2, 2},     {63, 63},      {64, 64},    {65, 65},
                            {256, 256}, {256, 16'384}, {3, 65'536}, {255, 16'384}};

TEST(AscendingPlaces, AreThoseOfASort) {
  constexpr std::uint32_t kSeed = 20;
  RecordProperty("seed", static_cast<int>(kSeed));
  std::mt19937_64 random{kSeed};
  for (const Amount& amount : kAmounts) {
    for (int round = 0; round < 20; ++round) {
      const std::vector<BlockId> ids = drawn(random, amount.ids, amount.blocks);
      std::vector<std::size_t> expected(ids.size());
      std::iota(expected.begin(), expected.end(), std::size_t{0});
      if (std::is_sorted(ids.begin(), ids.end())) {
        expected.clear();
      }
      std::stable_sort(expected.begin(), expected.end(),
                       [&ids](std::size_t a, std::size_t b) { return ids[a] < ids[b]; });
      EXPECT_EQ(ascending_places(ids, amount.blocks).value(), expected)
          << amount.ids << " of " << amount.blocks << ", seed " << kSeed;
    }
  }
}

TEST(AscendingPlaces, AreNothingForIdsThatAscend) {
  EXPECT_TRUE(ascending_places({}, 4).value().empty());
  EXPECT_TRUE(ascending_places(block_ids({3}), 4).value().empty());
  EXPECT_TRUE(ascending_places(block_ids({0, 1, 3}), 4).value().empty());
}

TEST(AscendingPlaces, FindAnIdThatIsNamedTwice) {
  for (const std::uint64_t blocks : {8U, 100'000U}) {
    for (const std::vector<BlockId>& ids :
         {block_ids({7, 7}), block_ids({1, 7, 2, 7}), block_ids({7, 7, 1}), block_ids({1, 7, 7})}) {
      EXPECT_THAT(ascending_places(ids, blocks),
                  FailsWith(ErrorCode::kInvalidArgument, "destination block 7 is named twice"));
    }
  }
}

}  // namespace
}  // namespace kvferry::plan::detail
