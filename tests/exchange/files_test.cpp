// SPDX-License-Identifier: Apache-2.0
// Goal: only a directory that is this user's alone is used, nothing in it is followed or waited
// for, and a lock excludes threads and processes alike.
// Method: each thing that could lie in the place of a directory or a file; locks of one process
// against each other, with deadlines that are over.
#include "exchange/files.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "base/files.hpp"
#include "kvferry/testing/matchers.hpp"
#include "kvferry/testing/temporary_directory.hpp"

namespace kvferry::exchange {
namespace {

using kvferry::testing::FailsWith;
using kvferry::testing::TemporaryDirectory;
using ::testing::HasSubstr;

std::string below(const TemporaryDirectory& base, const std::string& name) {
  return base.path() + "/" + name;
}

constexpr TimePoint kOver = TimePoint::min();

void write_text(const std::string& path, const std::string& text) {
  std::ofstream{path, std::ios::binary} << text;
}

std::vector<std::byte> bytes(std::size_t count, std::byte value) {
  return std::vector<std::byte>(count, value);
}

TEST(PrivateDirectory, IsMadeForTheOwnerOnly) {
  const TemporaryDirectory base;
  ASSERT_TRUE(open_private_directory(below(base, "new")));
  struct stat status {};
  ASSERT_EQ(::stat(below(base, "new").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0700U);
  EXPECT_TRUE(open_private_directory(below(base, "new"))) << "a second time";
}

TEST(PrivateDirectory, IsUnavailableWithoutItsParent) {
  const TemporaryDirectory base;
  const auto result = open_private_directory(below(base, "none/new"));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(result.error().message, HasSubstr("none/new: cannot be made: No such file"));
}

TEST(PrivateDirectory, IsRefusedWhenOthersMayWriteIt) {
  const TemporaryDirectory base;
  for (const mode_t mode : {0720U, 0702U, 0777U}) {
    ASSERT_EQ(::chmod(base.path().c_str(), mode), 0);
    const auto result = open_private_directory(base.path());
    ASSERT_FALSE(result) << mode;
    EXPECT_EQ(result.error().code, ErrorCode::kRefused);
    EXPECT_THAT(result.error().message, HasSubstr("group or others may write it"));
  }
  ASSERT_EQ(::chmod(base.path().c_str(), 0755), 0);
  EXPECT_TRUE(open_private_directory(base.path()));
}

TEST(PrivateDirectory, IsRefusedWhenItBelongsToAnotherUser) {
  const TemporaryDirectory base;
  std::string path = base.path();
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(path.c_str(), 65534, 65534), 0);
  } else {
    path = "/usr";  // root's
  }
  const auto result = open_private_directory(path);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kRefused);
  EXPECT_THAT(result.error().message, HasSubstr("belongs to user"));
}

TEST(PrivateDirectory, IsRefusedThroughASymbolicLink) {
  const TemporaryDirectory base;
  ASSERT_EQ(::mkdir(below(base, "real").c_str(), 0700), 0);
  ASSERT_EQ(::symlink("real", below(base, "link").c_str()), 0);
  for (const char* name : {"link", "link/", "link//"}) {
    const auto result = open_private_directory(below(base, name));
    ASSERT_FALSE(result) << name;
    EXPECT_EQ(result.error().code, ErrorCode::kRefused) << name;
  }
  EXPECT_TRUE(open_private_directory(below(base, "real/")));
}

TEST(PrivateDirectory, IsFoundOnlyWhereItIs) {
  const TemporaryDirectory base;
  for (const char* name : {"new", "new//"}) {
    const auto none = find_private_directory(below(base, name));
    ASSERT_TRUE(none) << none.error().message;
    EXPECT_FALSE(*none);
  }
  EXPECT_EQ(::access(below(base, "new").c_str(), F_OK), -1) << "is not made";
  EXPECT_FALSE(*find_private_directory("kvferry-that-is-not-there"));
  EXPECT_THAT(find_private_directory(below(base, "none/new")),
              FailsWith(ErrorCode::kUnavailable, "none/new: No such file"));
  EXPECT_THAT(find_private_directory(""), FailsWith(ErrorCode::kUnavailable, "No such file"));
  ASSERT_TRUE(open_private_directory(below(base, "new")));
  EXPECT_TRUE(*find_private_directory(below(base, "new")));
  ASSERT_EQ(::symlink("none", below(base, "link").c_str()), 0);
  EXPECT_THAT(find_private_directory(below(base, "link")), FailsWith(ErrorCode::kRefused, "link"));
  ASSERT_EQ(::chmod(below(base, "new").c_str(), 0720), 0);
  EXPECT_THAT(find_private_directory(below(base, "new")), FailsWith(ErrorCode::kRefused, "write"));
}

TEST(ReadAll, ReadsUpToItsLimitAndNotOneByteMore) {
  const TemporaryDirectory base;
  const UniqueFd directory = *open_private_directory(base.path());
  const std::string text(10'000, 'x');
  write_text(below(base, "file"), text);
  const Result<std::string> all = read_all(*open_file(directory.get(), "file"), text.size());
  ASSERT_TRUE(all);
  EXPECT_EQ(*all, text);
  const Result<std::string> more = read_all(*open_file(directory.get(), "file"), text.size() - 1);
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(more.error().message, "more than 9999 bytes");
}

TEST(ReplaceFile, WritesForTheOwnerOnlyAndLeavesNothingBeside) {
  const TemporaryDirectory base;
  const UniqueFd directory = *open_private_directory(base.path());
  write_text(below(base, ".tmp-file"), "left behind by a writer that died");
  ASSERT_TRUE(replace_file(directory.get(), "file", bytes(5000, std::byte{1})));
  ASSERT_TRUE(replace_file(directory.get(), "file", bytes(3, std::byte{'z'})));
  EXPECT_EQ(*read_all(*open_file(directory.get(), "file"), 100), "zzz");
  struct stat status {};
  ASSERT_EQ(::stat(below(base, "file").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0600U);
  EXPECT_EQ(::access(below(base, ".tmp-file").c_str(), F_OK), -1);
}

TEST(ReplaceFile, LeavesTheOldFileToWhoHasItOpen) {
  const TemporaryDirectory base;
  const UniqueFd directory = *open_private_directory(base.path());
  ASSERT_TRUE(replace_file(directory.get(), "file", bytes(100, std::byte{'o'})));
  const UniqueFd reader = *open_file(directory.get(), "file");
  ASSERT_TRUE(replace_file(directory.get(), "file", bytes(100, std::byte{'n'})));
  EXPECT_EQ(*read_all(reader, 100), std::string(100, 'o'));
}

TEST(LockDirectory, ExcludesByKindUntilItIsClosed) {
  const TemporaryDirectory base;
  const UniqueFd directory = *open_private_directory(base.path());
  {
    const auto shared = lock_directory(directory.get(), Lock::kShared, kOver);
    ASSERT_TRUE(shared);
    EXPECT_TRUE(lock_directory(directory.get(), Lock::kShared, kOver));
    EXPECT_FALSE(lock_directory(directory.get(), Lock::kExclusive, kOver));
  }
  const auto exclusive = lock_directory(directory.get(), Lock::kExclusive, kOver);
  ASSERT_TRUE(exclusive);
  const auto second = lock_directory(directory.get(), Lock::kShared, kOver);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kDeadline);
}

}  // namespace
}  // namespace kvferry::exchange
