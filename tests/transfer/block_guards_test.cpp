// SPDX-License-Identifier: Apache-2.0
// Goal: a block's number is odd exactly while it is written, and never the same after as before.
// Method: single calls, and threads that fight for one block.
#include "kvferry/transfer/block_guards.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <thread>
#include <vector>

#include "kvferry/testing/matchers.hpp"

namespace kvferry::transfer {
namespace {

using testing::FailsWith;
using testing::IsOk;

TEST(BlockGuards, AreOddWhileABlockIsWrittenAndLargerAfterwards) {
  const BlockGuardsPtr guards = *BlockGuards::allocate(3);
  EXPECT_EQ(*guards->sequence(BlockId{2}), 0U);
  for (std::uint64_t round = 0; round < 3; ++round) {
    ASSERT_THAT(guards->begin_write(BlockId{2}), IsOk());
    EXPECT_EQ(*guards->sequence(BlockId{2}), 2 * round + 1);
    ASSERT_THAT(guards->end_write(BlockId{2}), IsOk());
    EXPECT_EQ(*guards->sequence(BlockId{2}), 2 * round + 2);
  }
  EXPECT_EQ(*guards->sequence(BlockId{1}), 0U);
}

TEST(BlockGuards, LieInMemoryThatPeersCanRead) {
  const BlockGuardsPtr guards = *BlockGuards::allocate(1000);
  EXPECT_EQ(guards->num_blocks(), 1000U);
  EXPECT_EQ(guards->region().size_bytes, 8000U);
  EXPECT_EQ(guards->region().address % 4096, 0U);
  EXPECT_NE(guards->memory()->shared_file(), nullptr);
  ASSERT_THAT(guards->begin_write(BlockId{999}), IsOk());
  std::uint64_t number = 0;
  std::memcpy(&number, guards->memory()->bytes().data() + 7992, sizeof(number));
  EXPECT_EQ(number, 1U);
}

TEST(BlockGuards, RefuseMisuse) {
  const BlockGuardsPtr guards = *BlockGuards::allocate(4);
  EXPECT_THAT(guards->begin_write(BlockId{4}),
              FailsWith(ErrorCode::kInvalidArgument, "block 4 of 4"));
  EXPECT_THAT(guards->sequence(BlockId{4}), FailsWith(ErrorCode::kInvalidArgument, "block 4 of 4"));
  EXPECT_THAT(guards->end_write(BlockId{4}),
              FailsWith(ErrorCode::kInvalidArgument, "block 4 of 4"));
  EXPECT_THAT(guards->end_write(BlockId{0}),
              FailsWith(ErrorCode::kInvalidArgument, "block 0 is not being written"));
  ASSERT_THAT(guards->begin_write(BlockId{0}), IsOk());
  EXPECT_THAT(guards->begin_write(BlockId{0}), FailsWith(ErrorCode::kBusy, "block 0"));
  EXPECT_THAT(BlockGuards::allocate(0), FailsWith(ErrorCode::kInvalidArgument, ""));
  EXPECT_THAT(BlockGuards::allocate(std::numeric_limits<std::uint64_t>::max() / 4),
              FailsWith(ErrorCode::kInvalidArgument, "num_blocks"));
}

TEST(BlockGuards, LetOneWriterInAtATime) {
  const BlockGuardsPtr guards = *BlockGuards::allocate(1);
  constexpr int kThreads = 4;
  constexpr std::uint64_t kRounds = 2000;
  std::uint64_t plain = 0;  // Written by whoever has the block: TSan looks on.
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&] {
      for (std::uint64_t done = 0; done < kRounds;) {
        if (guards->begin_write(BlockId{0})) {
          ++plain;
          ++done;
          EXPECT_THAT(guards->end_write(BlockId{0}), IsOk());
        } else {
          std::this_thread::yield();
        }
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(plain, kThreads * kRounds);
  EXPECT_EQ(*guards->sequence(BlockId{0}), 2 * kThreads * kRounds);
}

}  // namespace
}  // namespace kvferry::transfer
