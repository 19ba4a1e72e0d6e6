// SPDX-License-Identifier: Apache-2.0
// Goal: a block is claimed by one transfer at a time; claims are taken all or none and given back
//       once.
// Method: single claims, then threads that fight for the same blocks and count who is inside.
#include "transfer/claims.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "kvferry/testing/matchers.hpp"

namespace kvferry::transfer {
namespace {

using testing::FailsWith;
using testing::IsOk;

TEST(ClaimTable, RefusesABlockThatAnotherHasAndNamesIt) {
  ClaimTable table;
  EXPECT_THAT(table.claim(block_ids({0, 63, 64, 129})), IsOk());
  for (const std::uint64_t taken : {0U, 63U, 64U, 129U}) {
    EXPECT_THAT(table.claim(block_ids({1, taken})),
                FailsWith(ErrorCode::kBusy, "block " + std::to_string(taken) + " is claimed"));
  }
  EXPECT_THAT(table.claim(block_ids({1, 62, 65, 128})), IsOk()) << "what failed took nothing";
}

TEST(ClaimTable, GivesBackOnlyWhatIsNamed) {
  ClaimTable table;
  ASSERT_THAT(table.claim(block_ids({3, 4})), IsOk());
  table.release(block_ids({3}));
  EXPECT_THAT(table.claim(block_ids({3})), IsOk());
  EXPECT_THAT(table.claim(block_ids({4})), FailsWith(ErrorCode::kBusy, "block 4"));
}

TEST(ClaimTable, TakesAnyBlockThereCanBe) {
  ClaimTable table;
  const std::vector<BlockId> far = block_ids({~std::uint64_t{0}, 0, std::uint64_t{1} << 40U});
  ASSERT_THAT(table.claim(far), IsOk());
  EXPECT_THAT(table.claim(far), FailsWith(ErrorCode::kBusy, "block 18446744073709551615"));
  table.release(far);
  EXPECT_THAT(table.claim(far), IsOk());
}

TEST(Claims, AreGivenBackOnceWhateverHappensToTheObject) {
  const auto table = std::make_shared<ClaimTable>();
  const std::vector<BlockId> blocks = block_ids({1, 2});
  {
    auto first_taken = Claims::take(table, nullptr, blocks);
    ASSERT_THAT(first_taken, IsOk());
    Claims first = *std::move(first_taken);
    Claims second{std::move(first)};
    Claims third;
    third = std::move(second);
    EXPECT_THAT(table->claim(blocks), FailsWith(ErrorCode::kBusy, ""));
    third.release();
    ASSERT_THAT(table->claim(blocks), IsOk());
    third.release();
    EXPECT_THAT(table->claim(blocks), FailsWith(ErrorCode::kBusy, "")) << "released twice";
  }
  EXPECT_THAT(table->claim(blocks), FailsWith(ErrorCode::kBusy, "")) << "released twice";
}

TEST(Claims, SayInTheGuardsThatTheirBlocksAreBeingWritten) {
  const auto table = std::make_shared<ClaimTable>();
  const BlockGuardsPtr guards = *BlockGuards::allocate(8);
  const std::vector<BlockId> blocks = block_ids({1, 2});
  {
    const auto claims = Claims::take(table, guards, blocks);
    ASSERT_THAT(claims, IsOk());
    EXPECT_EQ(*guards->sequence(BlockId{1}), 1U);
    EXPECT_EQ(*guards->sequence(BlockId{2}), 1U);
    EXPECT_EQ(*guards->sequence(BlockId{3}), 0U);
    EXPECT_THAT(Claims::take(table, guards, block_ids({3, 2})), FailsWith(ErrorCode::kBusy, ""));
    EXPECT_EQ(*guards->sequence(BlockId{3}), 0U);
  }
  EXPECT_EQ(*guards->sequence(BlockId{1}), 2U);
  EXPECT_EQ(*guards->sequence(BlockId{2}), 2U);
}

TEST(Claims, LeaveABlockToTheEngineThatWritesIt) {
  const auto table = std::make_shared<ClaimTable>();
  const BlockGuardsPtr guards = *BlockGuards::allocate(8);
  ASSERT_THAT(guards->begin_write(BlockId{5}), IsOk());
  EXPECT_THAT(Claims::take(table, guards, block_ids({4, 5, 6})),
              FailsWith(ErrorCode::kBusy, "destination: block 5 is being written"));
  EXPECT_EQ(*guards->sequence(BlockId{4}), 2U) << "begun and ended";
  EXPECT_EQ(*guards->sequence(BlockId{5}), 1U);
  EXPECT_EQ(*guards->sequence(BlockId{6}), 0U);
  ASSERT_THAT(guards->end_write(BlockId{5}), IsOk());
  EXPECT_THAT(Claims::take(table, guards, block_ids({4, 5, 6})), IsOk());
}

TEST(ClaimTable, LetsOneThreadInAtATime) {
  constexpr int kThreads = 8;
  constexpr int kRounds = 5000;
  constexpr std::uint64_t kBlocks = 70;
  ClaimTable table;
  std::array<std::atomic<int>, kBlocks> inside{};
  std::array<std::uint64_t, kBlocks> plain{};  // Written under the claim only: TSan looks on.
  std::atomic<int> collisions{0};
  std::atomic<std::uint64_t> wins{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      std::mt19937_64 random{static_cast<std::uint64_t>(thread)};
      for (int round = 0; round < kRounds; ++round) {
        const std::uint64_t first = random() % kBlocks;
        const std::vector<BlockId> blocks{BlockId{first}, BlockId{(first + 1) % kBlocks}};
        if (!table.claim(blocks)) {
          continue;
        }
        for (const BlockId block : blocks) {
          collisions += inside[block.value()].fetch_add(1, std::memory_order_relaxed);
          ++plain[block.value()];
          inside[block.value()].fetch_sub(1, std::memory_order_relaxed);
        }
        ++wins;
        table.release(blocks);
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(collisions, 0);
  EXPECT_GT(wins, 0U);
  std::uint64_t written = 0;
  for (const std::uint64_t count : plain) {
    written += count;
  }
  EXPECT_EQ(written, 2 * wins);
}

}  // namespace
}  // namespace kvferry::transfer
