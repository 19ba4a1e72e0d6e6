// SPDX-License-Identifier: Apache-2.0
// Goal: what lies in the page cache is read at once, and nothing else is.
// Method: a file that was just written, its end, a hole in what is cached, and no file.
#include "disk/cached.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "kvferry/disk/file.hpp"
#include "kvferry/testing/temporary_directory.hpp"

namespace kvferry::disk {
namespace {

constexpr std::uint64_t kBytes = 1 << 20U;

class ReadCached : public ::testing::Test {
 protected:
  [[nodiscard]] Operation read_at(std::uint64_t offset, std::uint64_t bytes) {
    return {Direction::kRead, file_->descriptor(), offset, std::span{memory_}.first(bytes)};
  }

  testing::TemporaryDirectory directory_;
  FilePtr file_ = *File::open({directory_.path() + "/blocks"}, kBytes);
  std::vector<std::byte> memory_ = std::vector<std::byte>(kBytes);
};

TEST_F(ReadCached, ReadsWhatWasJustWritten) {
  const std::vector<std::byte> written(kBytes, std::byte{3});
  ASSERT_EQ(::pwrite(file_->descriptor(), written.data(), kBytes, 0), kBytes);
  EXPECT_EQ(read_cached(read_at(5, 100'000)), 100'000);
  EXPECT_EQ(std::count(memory_.begin(), memory_.end(), std::byte{3}), 100'000);
  EXPECT_EQ(read_cached(read_at(kBytes - 10, 100)), 10) << "up to the end of the file";
}

TEST_F(ReadCached, ReadsNothingThatItWouldHaveToWaitFor) {
  const std::vector<std::byte> written(kBytes, std::byte{3});
  ASSERT_EQ(::pwrite(file_->descriptor(), written.data(), kBytes, 0), kBytes);
  ASSERT_EQ(::fdatasync(file_->descriptor()), 0);
  ASSERT_EQ(::posix_fadvise(file_->descriptor(), 0, 0, POSIX_FADV_DONTNEED), 0);
  // File systems in memory have nothing else; there all of it is read, and right.
  const std::uint64_t moved = read_cached(read_at(0, kBytes));
  EXPECT_TRUE(moved == 0 || moved == kBytes) << moved;
  EXPECT_EQ(std::count(memory_.begin(), memory_.end(), std::byte{3}),
            static_cast<std::ptrdiff_t>(moved));
}

TEST_F(ReadCached, ReadsNothingWhereNothingCanBeRead) {
  EXPECT_EQ(read_cached(read_at(kBytes, 10)), 0) << "past the end";
  Operation nowhere = read_at(0, 10);
  nowhere.descriptor = -1;
  EXPECT_EQ(read_cached(nowhere), 0);
}

}  // namespace
}  // namespace kvferry::disk
