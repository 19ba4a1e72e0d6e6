// SPDX-License-Identifier: Apache-2.0
// Goal: each number counts once, and each lease is taken once, by whatever ends it.
// Method: numbers against a set; leases added and taken by name, by time and by reader.
#include "manager/lease_table.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <random>
#include <set>

#include "kvferry/testing/matchers.hpp"

namespace kvferry::manager {
namespace {

using namespace std::chrono_literals;
using testing::FailsWith;
using testing::IsOk;
using Verdict = UsedNumbers::Verdict;

TEST(UsedNumbers, AreUsedOnceInAnyOrder) {
  UsedNumbers numbers;
  for (const std::uint64_t number : {1U, 2U, 5U, 3U, 1025U}) {
    EXPECT_EQ(numbers.use(number), Verdict::kFirst) << number;
    EXPECT_EQ(numbers.use(number), Verdict::kAgain) << number;
  }
  EXPECT_EQ(numbers.use(4), Verdict::kFirst);
  EXPECT_EQ(numbers.use(1), Verdict::kTooOld);
  EXPECT_EQ(numbers.use(~std::uint64_t{0}), Verdict::kFirst);
  EXPECT_EQ(numbers.use(1025), Verdict::kTooOld);
  EXPECT_EQ(numbers.use(~std::uint64_t{0} - 1023), Verdict::kFirst);
  EXPECT_EQ(numbers.use(~std::uint64_t{0} - 1024), Verdict::kTooOld);
}

TEST(UsedNumbers, AreASetOfTheLast1024) {
  constexpr std::uint32_t kSeed = 11;
  RecordProperty("seed", static_cast<int>(kSeed));
  std::mt19937 random{kSeed};
  UsedNumbers numbers;
  std::set<std::uint64_t> used;
  std::uint64_t highest = 0;
  for (int round = 0; round < 50'000; ++round) {
    const std::uint64_t number = highest + 900 - std::min<std::uint64_t>(highest, random() % 2200);
    const Verdict expected = number + 1024 <= highest  ? Verdict::kTooOld
                             : used.count(number) != 0 ? Verdict::kAgain
                                                       : Verdict::kFirst;
    ASSERT_EQ(numbers.use(number), expected) << kSeed << ' ' << round;
    used.insert(number);
    highest = std::max(highest, number);
  }
}

TimePoint at(Duration time) { return TimePoint{} + time; }

Lease lease(const std::string& reader, std::uint64_t number, Duration deadline) {
  Lease made;
  made.request.reader_agent = reader;
  made.request.number = number;
  made.request.deadline = at(deadline);
  return made;
}

TEST(LeaseTable, GivesEachLeaseOnce) {
  LeaseTable table{{}};
  EXPECT_EQ(table.next_deadline(), TimePoint::max());
  table.add(lease("a", 1, 30s));
  table.add(lease("a", 2, 10s));
  table.add(lease("b", 1, 20s));
  EXPECT_EQ(table.size(), 3U);
  EXPECT_EQ(table.size_of("a"), 2U);
  EXPECT_EQ(table.next_deadline(), at(10s));
  EXPECT_FALSE(table.take("b", 2).has_value());
  EXPECT_FALSE(table.take("c", 1).has_value());
  EXPECT_EQ(table.take("a", 2)->request.deadline, at(10s));
  EXPECT_FALSE(table.take("a", 2).has_value());
  EXPECT_EQ(table.next_deadline(), at(20s));

  EXPECT_TRUE(table.take_expired(at(19s)).empty());
  const auto expired = table.take_expired(at(20s));
  ASSERT_EQ(expired.size(), 1U);
  EXPECT_EQ(expired[0].request.reader_agent, "b");
  EXPECT_TRUE(table.take_all_of("b").empty());
  EXPECT_EQ(table.take_all_of("a").size(), 1U);
  EXPECT_EQ(table.size(), 0U);
  EXPECT_TRUE(table.take_all().empty());
}

TEST(LeaseTable, TakesAllInTheOrderOfTheirDeadlines) {
  LeaseTable table{{}};
  table.add(lease("a", 1, 30s));
  table.add(lease("b", 1, 10s));
  table.add(lease("b", 2, 10s));
  const auto all = table.take_all();
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[2].request.reader_agent, "a");
  EXPECT_EQ(table.size(), 0U);
}

TEST(LeaseTable, IsBoundedForEachReaderAndForAll) {
  LeaseTable table{{.per_reader = 2, .in_all = 3}};
  table.add(lease("a", 1, 1s));
  EXPECT_THAT(table.check_room("a"), IsOk());
  table.add(lease("a", 2, 1s));
  EXPECT_THAT(table.check_room("a"), FailsWith(ErrorCode::kBusy, "2 of 2 of this reader"));
  EXPECT_THAT(table.check_room("b"), IsOk());
  table.add(lease("b", 1, 1s));
  EXPECT_THAT(table.check_room("b"), FailsWith(ErrorCode::kBusy, "3 of 3 of all readers"));
  EXPECT_TRUE(table.take("a", 1).has_value());
  EXPECT_THAT(table.check_room("b"), IsOk());
}

}  // namespace
}  // namespace kvferry::manager
