// SPDX-License-Identifier: Apache-2.0
// Goal: exactly the bytes of the runs are copied, and runs that leave their regions are refused.
// Method: random runs against a copier that loops over every byte; edges of the address space.
#include "kvferry/memory/copy.hpp"

#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <random>
#include <vector>

#include "kvferry/testing/matchers.hpp"

namespace kvferry::memory {
namespace {

using kvferry::testing::FailsWith;
using kvferry::testing::IsOk;

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
using Bytes = std::vector<std::byte>;

void copy_byte_by_byte(std::span<const kvferry::Run> runs, const std::vector<Bytes>& sources,
                       std::vector<Bytes>& destinations) {
  for (const kvferry::Run& run : runs) {
    for (std::uint64_t piece = 0; piece < run.count; ++piece) {
      for (std::uint64_t byte = 0; byte < run.bytes; ++byte) {
        destinations[run.destination.region]
                    [run.destination.offset_bytes + piece * run.destination.stride_bytes + byte] =
                        sources[run.source.region]
                               [run.source.offset_bytes + piece * run.source.stride_bytes + byte];
      }
    }
  }
}

std::vector<std::byte*> bases(std::vector<Bytes>& regions) {
  std::vector<std::byte*> made;
  for (Bytes& region : regions) {
    made.push_back(region.data());
  }
  return made;
}

TEST(CopyRuns, EqualsACopyByteByByte) {
  constexpr std::uint32_t kSeed = 20;
  RecordProperty("seed", static_cast<int>(kSeed));
  std::mt19937_64 random{kSeed};
  const auto below = [&random](std::uint64_t bound) { return random() % bound; };
  constexpr std::array<std::uint64_t, 10> kSizes{1, 7, 32, 64, 65, 128, 256, 512, 777, 0};
  for (int round = 0; round < 400; ++round) {
    std::vector<Bytes> sources(3, Bytes(40'000));
    for (Bytes& region : sources) {
      for (std::byte& byte : region) {
        byte = static_cast<std::byte>(random());
      }
    }
    std::vector<Bytes> fast(2, Bytes(40'000));
    std::vector<Bytes> slow = fast;
    std::vector<kvferry::Run> runs;
    for (std::uint64_t index = below(6); index > 0; --index) {
      kvferry::Run run;
      run.bytes = kSizes[below(kSizes.size())];
      run.count = below(20);
      run.source = {static_cast<std::uint32_t>(below(3)), below(500), run.bytes + below(2) * 90};
      run.destination = {static_cast<std::uint32_t>(below(2)), below(500),
                         run.bytes + below(2) * 33};
      runs.push_back(run);
    }
    copy_byte_by_byte(runs, sources, slow);
    copy_runs(runs, bases(sources), bases(fast));
    ASSERT_EQ(fast, slow) << "round " << round << " of seed " << kSeed;
  }
}

class CheckRuns : public ::testing::Test {
 protected:
  static constexpr std::array<std::uint64_t, 2> kSource{100, 50};
  static constexpr std::array<std::uint64_t, 1> kDestination{100};

  static Result<void> check(const kvferry::Run& run) {
    return check_runs({&run, 1}, kSource, kDestination);
  }
};

TEST_F(CheckRuns, TakesRunsThatJustFit) {
  EXPECT_THAT(check({{0, 10, 30}, {0, 90, 0}, 30, 0}), IsOk());
  EXPECT_THAT(check({{0, 10, 30}, {0, 0, 35}, 30, 3}), IsOk());
  EXPECT_THAT(check({{1, 0, 0}, {0, 50, 0}, 50, 1}), IsOk());
  EXPECT_THAT(check({{1, 50, 0}, {0, 100, 0}, 0, 1}), IsOk());
}

TEST_F(CheckRuns, NamesRunSideAndBound) {
  EXPECT_THAT(check({{2, 0, 0}, {0, 0, 0}, 1, 1}),
              FailsWith(ErrorCode::kInvalidArgument, "run 0: source region 2 of 2"));
  EXPECT_THAT(check({{0, 0, 0}, {1, 0, 0}, 1, 1}),
              FailsWith(ErrorCode::kInvalidArgument, "run 0: destination region 1 of 1"));
  EXPECT_THAT(check({{0, 11, 30}, {0, 0, 30}, 30, 3}),
              FailsWith(ErrorCode::kInvalidArgument,
                        "source offset 11, 3 pieces of 30 every 30 leave region 0 of 100 bytes"));
  EXPECT_THAT(check({{1, 0, 0}, {0, 51, 0}, 50, 1}),
              FailsWith(ErrorCode::kInvalidArgument, "destination offset 51"));
}

TEST_F(CheckRuns, SurvivesEveryOverflow) {
  for (const std::uint64_t huge : {kMax, kMax - 49, kMax / 2 + 1}) {
    EXPECT_THAT(check({{0, huge, 0}, {0, 0, 0}, 50, 1}),
                FailsWith(ErrorCode::kInvalidArgument, ""));
    EXPECT_THAT(check({{0, 0, huge}, {0, 0, 0}, 1, 3}), FailsWith(ErrorCode::kInvalidArgument, ""));
    EXPECT_THAT(check({{0, 0, 0}, {0, 0, 0}, huge, 1}), FailsWith(ErrorCode::kInvalidArgument, ""));
    EXPECT_THAT(check({{0, 0, 2}, {0, 0, 2}, 1, huge}), FailsWith(ErrorCode::kInvalidArgument, ""));
    EXPECT_THAT(check({{0, 0, 0}, {0, huge, 2}, 1, 2}), FailsWith(ErrorCode::kInvalidArgument, ""));
  }
}

}  // namespace
}  // namespace kvferry::memory
