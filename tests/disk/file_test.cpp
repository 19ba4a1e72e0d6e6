// SPDX-License-Identifier: Apache-2.0
// Goal: a file is what the layout needs or is refused with the reason; nobody's file is lost,
//       changed in size or left behind by an attempt that failed.
// Method: real files of a temporary directory; what a file system cannot do is asked of ones that
//         cannot.
#include "kvferry/disk/file.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <string>

#include "kvferry/testing/matchers.hpp"
#include "kvferry/testing/temporary_directory.hpp"

namespace kvferry::disk {
namespace {

using testing::FailsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;

constexpr std::uint64_t kBytes = std::uint64_t{1} << 20U;

class DiskFile : public ::testing::Test {
 protected:
  [[nodiscard]] std::string path(const char* name = "blocks") const {
    return directory_.path() + "/" + name;
  }
  void write(const std::string& to, const std::string& text) const { std::ofstream{to} << text; }
  [[nodiscard]] static std::string content(const std::string& of) {
    std::ifstream file{of};
    return {std::istreambuf_iterator<char>{file}, {}};
  }
  [[nodiscard]] static bool exists(const std::string& of) {
    return ::access(of.c_str(), F_OK) == 0;
  }

  testing::TemporaryDirectory directory_;
};

TEST_F(DiskFile, IsMadeForItsUserOnlyAndStays) {
  {
    const auto file = File::open({path()}, kBytes);
    ASSERT_THAT(file, IsOk());
    EXPECT_EQ((*file)->size_bytes(), kBytes);
    EXPECT_EQ((*file)->path(), path());
    EXPECT_THAT((*file)->facts().why_not_preallocated, IsEmpty());
    struct stat status {};
    ASSERT_EQ(::fstat((*file)->descriptor(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
    EXPECT_EQ(static_cast<std::uint64_t>(status.st_size), kBytes);
    EXPECT_GE(static_cast<std::uint64_t>(status.st_blocks) * 512, kBytes) << "space is reserved";
  }
  EXPECT_EQ(content(path()), std::string(kBytes, '\0'));
}

TEST_F(DiskFile, FromBeforeKeepsItsBytes) {
  write(path(), std::string(kBytes, 'x'));
  ASSERT_THAT(File::open({path()}, kBytes), IsOk());
  EXPECT_EQ(content(path()), std::string(kBytes, 'x'));
}

TEST_F(DiskFile, OfAnotherSizeIsNotTouched) {
  write(path(), "somebody's letters");
  EXPECT_THAT(File::open({path()}, kBytes),
              FailsWith(ErrorCode::kRefused, "has 18 bytes, and the layout needs 1048576"));
  EXPECT_EQ(content(path()), "somebody's letters");
}

TEST_F(DiskFile, ThatIsEmptyIsTaken) {
  write(path(), "");
  ASSERT_THAT(File::open({path()}, kBytes), IsOk());
  EXPECT_EQ(content(path()).size(), kBytes);
}

TEST_F(DiskFile, IsOneWorkersAtATime) {
  const auto first = File::open({path()}, kBytes);
  ASSERT_THAT(first, IsOk());
  EXPECT_THAT(File::open({path()}, kBytes), FailsWith(ErrorCode::kBusy, "another worker has it"));
}

TEST_F(DiskFile, ThatIsNoFileIsRefused) {
  EXPECT_THAT(File::open({directory_.path()}, kBytes), FailsWith(ErrorCode::kRefused, "directory"));
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  EXPECT_THAT(File::open({path("pipe")}, kBytes),
              FailsWith(ErrorCode::kRefused, "no regular file"));
  EXPECT_THAT(File::open({path("no/where")}, kBytes),
              FailsWith(ErrorCode::kUnavailable, "No such file"));
  EXPECT_THAT(File::open({""}, kBytes), FailsWith(ErrorCode::kInvalidArgument, "path: empty"));
  EXPECT_THAT(File::open({path()}, 0), FailsWith(ErrorCode::kInvalidArgument, "a file of 0 bytes"));
  EXPECT_THAT(File::open({path()}, std::uint64_t{1} << 63U),
              FailsWith(ErrorCode::kInvalidArgument, "9223372036854775808 bytes"));
  EXPECT_FALSE(exists(path()));
}

TEST_F(DiskFile, WithoutRoomIsNotBegun) {
  EXPECT_THAT(File::open({path()}, std::uint64_t{1} << 56U),
              FailsWith(ErrorCode::kBusy, "the file system has room for "));
  EXPECT_FALSE(exists(path())) << "what was made for it goes";
  write(path(), "");
  EXPECT_THAT(File::open({path()}, std::uint64_t{1} << 56U), FailsWith(ErrorCode::kBusy, "room"));
  EXPECT_TRUE(exists(path())) << "what was there stays";
  EXPECT_EQ(content(path()), "");
}

TEST_F(DiskFile, IsDirectWhereItMayBe) {
  const auto file = File::open({path()}, kBytes);
  ASSERT_THAT(file, IsOk());
  const FileFacts& facts = (*file)->facts();
  EXPECT_EQ(facts.direct_alignment != 0, (*file)->direct_descriptor() >= 0);
  EXPECT_EQ(facts.direct_alignment == 0, !facts.why_not_direct.empty());
  const auto buffered = File::open({path("other"), Direct::kNever}, kBytes);
  ASSERT_THAT(buffered, IsOk());
  EXPECT_EQ((*buffered)->direct_descriptor(), -1);
  EXPECT_EQ((*buffered)->facts().why_not_direct, "not asked for");
}

}  // namespace
}  // namespace kvferry::disk
