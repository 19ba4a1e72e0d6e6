// SPDX-License-Identifier: Apache-2.0
// Goal: every case of suite disk is there, measured beside a raw loop that moves the same bytes, or
//       skipped with the reason; no file stays behind. Method: the suite itself, quickly; whether
//       bars are met is a matter of the machine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "file_tier.hpp"
#include "kvferry/testing/matchers.hpp"
#include "kvferry/testing/temporary_directory.hpp"
#include "raw_ring.hpp"
#include "suites.hpp"

namespace kvferry::bench {
namespace {

TEST(DiskSuite, MeasuresEveryCaseOrSaysWhyNot) {
  const testing::TemporaryDirectory directory;
  const auto results = run_disk_suite({.quick = true, .disk_directory = directory.path()});
  ASSERT_THAT(results, testing::IsOk());
  EXPECT_EQ(results->size(), 24U) << "2 ways, 3 sizes, 2 directions, cold and hot";
  for (const CaseResult& result : *results) {
    EXPECT_EQ(result.suite, "disk");
    EXPECT_EQ(result.bar, 0.95);
    EXPECT_THAT(result.baseline, ::testing::StartsWith("raw io_uring loop"));
    if (result.skipped.empty()) {
      EXPECT_GT(result.ratio.median, 0) << result.name;
      EXPECT_GE(result.bytes, 2U << 20U) << result.name;
    }
  }
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

TEST(DiskSuite, NeedsADirectory) {
  EXPECT_THAT(run_disk_suite({.quick = true, .disk_directory = "/nowhere"}),
              testing::FailsWith(ErrorCode::kUnavailable, "/nowhere: No such file"));
}

TEST(RawRing, MovesWhatItIsTold) {
  constexpr std::uint64_t kPiece = 4096;
  constexpr std::uint64_t kCount = 150;  // More than are under way at a time.
  const testing::TemporaryDirectory directory;
  const auto tier =
      make_file_tier(pieces_config(kCount, kPiece), directory.path(), disk::Direct::kNever);
  ASSERT_THAT(tier, testing::IsOk());
  const int descriptor = (*tier)->files()[0]->descriptor();
  auto write = RawRing::open({descriptor, {}, true});
  if (!write) {
    GTEST_SKIP() << write.error().message;
  }
  std::vector<std::byte> out(kCount * kPiece);
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<std::byte>(i / 7);
  }
  std::vector<std::byte> in(out.size());
  const auto pieces_of = [](std::vector<std::byte>& memory) {
    std::vector<FilePiece> pieces;
    for (std::uint64_t i = 0; i < kCount; ++i) {
      pieces.push_back({(kCount - 1 - i) * kPiece, memory.data() + i * kPiece, kPiece});
    }
    return pieces;
  };
  EXPECT_FALSE(write->move(pieces_of(out)).has_value());
  for (const bool registered : {false, true}) {
    std::fill(in.begin(), in.end(), std::byte{});
    auto read = RawRing::open({descriptor, registered ? std::span{in} : std::span<std::byte>{}});
    ASSERT_THAT(read, testing::IsOk());
    EXPECT_FALSE(read->move(pieces_of(in)).has_value());
    EXPECT_EQ(in, out);
  }
  auto past = RawRing::open({descriptor});
  EXPECT_TRUE(past->move({{kCount * kPiece - 1, in.data(), kPiece}}).has_value()) << "a short read";
}

}  // namespace
}  // namespace kvferry::bench
