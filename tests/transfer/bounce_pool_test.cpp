// SPDX-License-Identifier: Apache-2.0
// Goal: slots are given once, to whoever came first, and nobody in the line is forgotten.
// Method: takers that count how often they are woken.
#include "transfer/bounce_pool.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <vector>

namespace kvferry::transfer {
namespace {

class Counter final : public Waker {
 public:
  void wake() noexcept override { ++count; }
  int count{0};
};

using Place = BouncePool::Place;

BouncePool pool_of(std::uint64_t bytes) { return BouncePool{*memory::allocate_system(bytes)}; }

TEST(BouncePool, CutsMemoryIntoAtLeastTwoSlots) {
  for (const auto& [bytes, slot_bytes, slots] :
       {std::tuple{std::uint64_t{32} << 20U, std::uint64_t{1} << 20U, std::size_t{32}},
        std::tuple{std::uint64_t{24'576}, std::uint64_t{8192}, std::size_t{3}},
        std::tuple{std::uint64_t{16'384}, std::uint64_t{8192}, std::size_t{2}},
        std::tuple{std::uint64_t{5000}, std::uint64_t{2500}, std::size_t{2}},
        std::tuple{std::uint64_t{1}, std::uint64_t{1}, std::size_t{1}}}) {
    const BouncePool pool = pool_of(bytes);
    EXPECT_EQ(pool.slot_bytes(), slot_bytes) << bytes;
    EXPECT_EQ(pool.slots(), slots) << bytes;
  }
}

TEST(BouncePool, GivesEachSlotOnce) {
  BouncePool pool = pool_of(24'576);
  Place place;
  std::set<std::uint64_t> offsets;
  for (int i = 0; i < 3; ++i) {
    const auto offset = pool.take(place, {});
    ASSERT_TRUE(offset.has_value());
    EXPECT_TRUE(offsets.insert(*offset).second);
    EXPECT_LE(*offset + pool.slot_bytes(), 24'576U);
  }
  EXPECT_FALSE(pool.take(place, std::make_shared<Counter>()).has_value());
}

TEST(BouncePool, GivesThemInTheOrderOfComing) {
  BouncePool pool = pool_of(16'384);
  Place holder;
  const std::uint64_t first = *pool.take(holder, {});
  const std::uint64_t second = *pool.take(holder, {});
  const auto early = std::make_shared<Counter>();
  const auto late = std::make_shared<Counter>();
  Place early_place;
  Place late_place;
  EXPECT_FALSE(pool.take(early_place, early).has_value());
  EXPECT_FALSE(pool.take(late_place, late).has_value());
  pool.give_back(first);
  EXPECT_EQ(early->count, 1);
  EXPECT_EQ(late->count, 0);
  EXPECT_FALSE(pool.take(holder, std::make_shared<Counter>()).has_value())
      << "whoever gives back goes to the end of the line";
  EXPECT_FALSE(pool.take(late_place, late).has_value()) << "not before the first";
  EXPECT_EQ(pool.take(early_place, early), first);
  pool.give_back(second);
  EXPECT_EQ(late->count, 1);
  EXPECT_EQ(pool.take(late_place, late), second);
}

TEST(BouncePool, LeavingTheLineLetsTheNextOn) {
  BouncePool pool = pool_of(16'384);
  Place holder;
  const std::uint64_t slot = *pool.take(holder, {});
  ASSERT_TRUE(pool.take(holder, {}).has_value());
  auto gone = std::make_shared<Counter>();
  const auto leaving = std::make_shared<Counter>();
  const auto next = std::make_shared<Counter>();
  Place gone_place;
  Place leaving_place;
  Place next_place;
  EXPECT_FALSE(pool.take(gone_place, gone).has_value());
  EXPECT_FALSE(pool.take(leaving_place, leaving).has_value());
  EXPECT_FALSE(pool.take(next_place, next).has_value());
  gone.reset();  // Without a word.
  pool.give_back(slot);
  EXPECT_EQ(leaving->count, 1);
  pool.leave(leaving_place);
  EXPECT_EQ(next->count, 1);
  EXPECT_EQ(pool.take(next_place, next), slot);
}

}  // namespace
}  // namespace kvferry::transfer
