// SPDX-License-Identifier: Apache-2.0
// Goal: a source block that changed makes bad exactly the destination blocks that it feeds.
// Method: checks of their own, with guards of this process that the test moves; the blocks that
//         must be bad are worked out token by token.
#include "transfer/guard_check.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include "guarded_cache.hpp"
#include "kvferry/testing/matchers.hpp"

namespace kvferry::transfer {
namespace {

using ::testing::ElementsAreArray;
using testing::FailsWith;
using testing::ids_from;
using ::testing::IsEmpty;
using testing::IsOk;

void change(BlockGuards& guards, BlockId block) {
  ASSERT_THAT(guards.begin_write(block), IsOk());
  ASSERT_THAT(guards.end_write(block), IsOk());
}

void read_all(GuardCheck& check) {
  for (auto runs = check.next_runs(); !runs.empty(); runs = check.next_runs()) {
    ASSERT_THAT(check.reader().post({runs}), IsOk());
  }
}

std::unique_ptr<GuardCheck> make(const BlockGuardsPtr& guards, const GuardedBlocks& blocks,
                                 std::vector<std::uint64_t> expected = {}) {
  auto made = GuardCheck::create(blocks, expected);
  EXPECT_THAT(made, IsOk());
  (*made)->set_reader(make_guard_reader(guards, (*made)->buffer()));
  return *std::move(made);
}

TEST(GuardCheck, IsContentWhenNothingChanged) {
  const BlockGuardsPtr guards = *BlockGuards::allocate(10'000);
  change(*guards, BlockId{7});
  const auto ids = ids_from(0, 10'000);  // More than one read.
  const auto check = make(guards, {ids, 16, ids, 16});
  read_all(*check);
  ASSERT_THAT(check->end_before(), IsOk());
  read_all(*check);
  EXPECT_EQ(check->buffer()->at(7), 2U);
  EXPECT_THAT(check->end_after(), IsOk());
  EXPECT_THAT(check->changed(), IsEmpty());
}

/// Takes no more than so many bytes at once.
class SmallReader final : public Executor {
 public:
  SmallReader(std::unique_ptr<const Executor> inner, std::uint64_t largest)
      : inner_{std::move(inner)}, largest_{largest} {}

  [[nodiscard]] const std::string& route() const noexcept override { return inner_->route(); }
  [[nodiscard]] std::uint64_t largest_post_bytes() const noexcept override { return largest_; }
  [[nodiscard]] Result<std::optional<agent::RequestId>> post(
      const Posting& posting) const override {
    std::uint64_t bytes{0};
    for (const Run& run : posting.runs) {
      bytes += run.total_bytes();
    }
    EXPECT_LE(bytes, std::max<std::uint64_t>(largest_, sizeof(std::uint64_t)));
    return inner_->post(posting);
  }
  [[nodiscard]] Result<agent::RequestState> poll(agent::RequestId id) const override {
    return inner_->poll(id);
  }
  void cancel(agent::RequestId id) const override { inner_->cancel(id); }
  [[nodiscard]] bool quiet(agent::RequestId id) const override { return inner_->quiet(id); }
  void release(agent::RequestId id) const override { inner_->release(id); }
  [[nodiscard]] Result<void> check_owner() const override { return inner_->check_owner(); }

 private:
  std::unique_ptr<const Executor> inner_;
  std::uint64_t largest_;
};

TEST(GuardCheck, ReadsNoMoreAtOnceThanTheAgentTakes) {
  const BlockGuardsPtr guards = *BlockGuards::allocate(1000);
  change(*guards, BlockId{999});
  const auto ids = ids_from(0, 1000);
  for (const std::uint64_t largest : {1U, 8U, 100U, 4096U}) {
    const auto check = make(guards, {ids, 16, ids, 16});
    check->set_reader(
        std::make_unique<const SmallReader>(make_guard_reader(guards, check->buffer()), largest));
    read_all(*check);
    ASSERT_THAT(check->end_before(), IsOk());
    EXPECT_EQ(check->buffer()->at(999), 2U);
  }
}

TEST(GuardCheck, NamesTheBlocksThatChangedAndThoseThatAreBeingWritten) {
  const BlockGuardsPtr guards = *BlockGuards::allocate(16);
  ASSERT_THAT(guards->begin_write(BlockId{9}), IsOk());  // Before, and still after.
  const auto from = block_ids({4, 9, 2, 4});
  const auto to = block_ids({8, 0, 3, 1});
  const auto check = make(guards, {from, 16, to, 16});
  read_all(*check);
  ASSERT_THAT(check->end_before(), IsOk());
  change(*guards, BlockId{4});
  change(*guards, BlockId{5});
  read_all(*check);
  EXPECT_THAT(check->end_after(), FailsWith(ErrorCode::kStale,
                                            "source block 4 changed while it was copied: sequence "
                                            "number 0 before, 2 after"));
  EXPECT_EQ(check->changed(), block_ids({0, 1, 8}));
}

TEST(GuardCheck, RefusesOtherNumbersThanAreExpected) {
  const BlockGuardsPtr guards = *BlockGuards::allocate(16);
  const auto ids = block_ids({4, 9});
  EXPECT_THAT(GuardCheck::create({ids, 16, ids, 16}, std::vector<std::uint64_t>{0}),
              FailsWith(ErrorCode::kInvalidArgument, "expected_sequences: 1 for 2"));
  change(*guards, BlockId{9});
  const auto wrong = make(guards, {ids, 16, ids, 16}, {0, 0});
  read_all(*wrong);
  EXPECT_THAT(wrong->end_before(),
              FailsWith(ErrorCode::kStale, "source block 9 has sequence number 2, not 0"));
  const auto right = make(guards, {ids, 16, ids, 16}, {0, 2});
  read_all(*right);
  EXPECT_THAT(right->end_before(), IsOk());
}

TEST(GuardCheck, FindsWhatAChangedBlockFeedsWhateverThePages) {
  constexpr std::uint64_t kSeed = 20'261;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937_64 random{kSeed};
  for (int round = 0; round < 300; ++round) {
    const std::uint64_t source_page = 1 + random() % 8;
    const std::uint64_t destination_page = 1 + random() % 8;
    const std::uint64_t tokens = source_page * destination_page * (1 + random() % 3);
    const BlockGuardsPtr guards = *BlockGuards::allocate(64);
    std::vector<BlockId> from = ids_from(0, tokens / source_page);
    std::shuffle(from.begin(), from.end(), random);
    const std::vector<BlockId> to = ids_from(100, tokens / destination_page);
    const auto check = make(guards, {from, source_page, to, destination_page});
    read_all(*check);
    ASSERT_THAT(check->end_before(), IsOk());
    const BlockId victim = from[random() % from.size()];
    change(*guards, victim);
    read_all(*check);
    EXPECT_THAT(check->end_after(), FailsWith(ErrorCode::kStale, ""));
    std::set<BlockId> bad;
    for (std::uint64_t token = 0; token < tokens; ++token) {
      if (from[token / source_page] == victim) {
        bad.insert(to[token / destination_page]);
      }
    }
    EXPECT_THAT(check->changed(), ElementsAreArray(bad)) << "round " << round;
  }
}

}  // namespace
}  // namespace kvferry::transfer
