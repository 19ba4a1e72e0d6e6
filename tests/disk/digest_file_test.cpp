// SPDX-License-Identifier: Apache-2.0
// Goal: a digest that is kept is there for whoever opens the file later, whole or not at all, and
//       no file of somebody else is touched.
// Method: files that are opened again, cut at every length, and changed in every bit; paths that
//         cannot be written; threads.
#include "disk/digest_file.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "kvferry/testing/matchers.hpp"
#include "kvferry/testing/temporary_directory.hpp"

namespace kvferry::disk {
namespace {

using testing::FailsWith;
using testing::IsOk;

constexpr Digest kSubject{11, 22};
constexpr std::uint64_t kCount = 6;

/// The digest that is kept at `i`.
constexpr Digest nth(std::uint64_t i) { return {i, i + 100}; }

class KeptDigests : public ::testing::Test {
 protected:
  [[nodiscard]] std::shared_ptr<DigestFile> open(const Digest& subject = kSubject,
                                                 std::uint64_t count = kCount) const {
    auto opened = DigestFile::open(path_, subject, count);
    EXPECT_TRUE(opened.has_value()) << opened.error().message;
    return *std::move(opened);
  }
  void write(const std::string& bytes) const {
    std::ofstream{path_, std::ios::binary | std::ios::trunc} << bytes;
  }
  [[nodiscard]] std::string content() const {
    std::ifstream file{path_, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
  }
  /// The file with digests {i, i + 100} at 0, 2 and 5.
  [[nodiscard]] std::string some() const {
    const auto file = open();
    for (const std::uint64_t i : {0U, 2U, 5U}) {
      EXPECT_THAT(file->put(i, nth(i)), IsOk());
    }
    return content();
  }

  testing::TemporaryDirectory directory_;
  std::string path_ = directory_.path() + "/tier.digests";
};

TEST_F(KeptDigests, AreThereForALaterOpenAndNoOthersAre) {
  const std::string bytes = some();
  EXPECT_EQ(bytes.size(), 64U + 24 * kCount);
  EXPECT_EQ(bytes.substr(0, 8), "HVFDIGS1");
  const auto file = open();
  for (std::uint64_t i = 0; i < kCount; ++i) {
    const bool kept = i == 0 || i == 2 || i == 5;
    EXPECT_EQ(file->get(i), kept ? std::optional{nth(i)} : std::nullopt) << i;
  }
  EXPECT_FALSE(file->get(kCount).has_value());
}

TEST_F(KeptDigests, MakeNoFileWhileNothingIsKept) {
  const auto file = open();
  EXPECT_THAT(file->drop(0, kCount), IsOk());
  EXPECT_NE(::access(path_.c_str(), F_OK), 0);
}

TEST_F(KeptDigests, AreGoneWhenDroppedAlsoInTheFile) {
  static_cast<void>(some());
  EXPECT_THAT(open()->drop(1, 3), IsOk());
  const auto file = open();
  EXPECT_TRUE(file->get(0).has_value());
  EXPECT_FALSE(file->get(2).has_value());
  EXPECT_TRUE(file->get(5).has_value());
  EXPECT_EQ(content().substr(64 + 24, 3 * 24), std::string(3 * 24, '\0'));
}

TEST_F(KeptDigests, OfAnotherSubjectOrCountAreNone) {
  static_cast<void>(some());
  for (const auto& other : {open({11, 23}), open({12, 22}), open(kSubject, kCount - 1)}) {
    EXPECT_FALSE(other->get(0).has_value());
  }
  const auto other = open({11, 23});
  EXPECT_THAT(other->put(1, {7, 8}), IsOk());
  EXPECT_FALSE(open()->get(0).has_value()) << "it was begun anew";
  EXPECT_EQ(open({11, 23})->get(1), (Digest{7, 8}));
}

TEST_F(KeptDigests, OfAFileThatWasCutAreThoseThatAreWhole) {
  const std::string bytes = some();
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    write(bytes.substr(0, size));
    const auto opened = DigestFile::open(path_, kSubject, kCount);
    if (size > 0 && size < 8) {  // Not even a magic.
      EXPECT_THAT(opened, FailsWith(ErrorCode::kRefused, "no file of digests"));
      continue;
    }
    ASSERT_THAT(opened, IsOk()) << size;
    for (const std::uint64_t i : {0U, 2U, 5U}) {
      const bool whole = size >= 64 + 24 * (i + 1);
      EXPECT_EQ((*opened)->get(i), whole ? std::optional{nth(i)} : std::nullopt)
          << i << " of " << size;
    }
  }
}

TEST_F(KeptDigests, ThatWereChangedInAnyBitAreNone) {
  const std::string bytes = some();
  for (std::size_t bit = 64 * 8; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    write(flipped);
    const auto file = open();
    const std::uint64_t hit = (bit / 8 - 64) / 24;
    for (std::uint64_t i = 0; i < kCount; ++i) {
      const bool kept = (i == 0 || i == 2 || i == 5) && i != hit;
      ASSERT_EQ(file->get(i), kept ? std::optional{nth(i)} : std::nullopt) << i << ", bit " << bit;
    }
  }
}

TEST_F(KeptDigests, InAnotherPlaceAreNone) {
  std::string bytes = some();
  bytes.replace(64 + 24, 24, bytes.substr(64, 24));
  write(bytes);
  EXPECT_FALSE(open()->get(1).has_value()) << "that of 0 is not that of 1";
}

TEST_F(KeptDigests, LeaveAFileOfSomebodyElseAlone) {
  const std::string letter = "Dear reader, these are no digests, and there are more than 64 bytes.";
  write(letter);
  EXPECT_THAT(DigestFile::open(path_, kSubject, kCount),
              FailsWith(ErrorCode::kRefused, "is no file of digests"));
  EXPECT_EQ(content(), letter);
}

TEST_F(KeptDigests, AreNotThereWhenTheyCannotBeWritten) {
  const auto nowhere =
      DigestFile::open(directory_.path() + "/missing/tier.digests", kSubject, kCount);
  ASSERT_THAT(nowhere, IsOk());
  EXPECT_THAT((*nowhere)->put(0, {1, 2}), FailsWith(ErrorCode::kUnavailable, "missing/tier"));
  EXPECT_FALSE((*nowhere)->get(0).has_value());
  EXPECT_THAT(DigestFile::open(directory_.path(), kSubject, kCount), ::testing::Not(IsOk()));
}

TEST_F(KeptDigests, OfSeveralThreadsAreAllKept) {
  constexpr std::uint64_t kMany = 4000;
  {
    const auto file = open(kSubject, kMany);
    std::vector<std::jthread> threads;
    for (std::uint64_t thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&file, thread] {
        for (std::uint64_t i = thread; i < kMany; i += 4) {
          EXPECT_THAT(file->put(i, {i, thread}), IsOk());
          EXPECT_THAT(file->drop((i + 2000) % kMany, 0), IsOk());
        }
      });
    }
  }
  const auto file = open(kSubject, kMany);
  for (std::uint64_t i = 0; i < kMany; ++i) {
    EXPECT_EQ(file->get(i), (Digest{i, i % 4}));
  }
}

}  // namespace
}  // namespace kvferry::disk
