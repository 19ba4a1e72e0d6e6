// SPDX-License-Identifier: Apache-2.0
// Goal: only what this user alone may write is opened, and nothing is followed or waited for.
// Method: each thing that could lie in the place of a directory or a file; every owner and mode; a
// disk that is full after ten bytes, by the process's own limit.
#include "base/files.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <fstream>
#include <string>
#include <vector>

#include "kvferry/testing/matchers.hpp"
#include "kvferry/testing/temporary_directory.hpp"

namespace kvferry {
namespace {

using ::testing::ElementsAre;
using testing::FailsWith;
using testing::IsOk;
using testing::TemporaryDirectory;

void write_text(const std::string& path, const std::string& text) {
  std::ofstream{path, std::ios::binary} << text;
}

TEST(OpenOwnDirectory, RefusesWhatOthersMayWriteAndWhatIsNone) {
  const TemporaryDirectory base;
  for (const mode_t mode : {0720U, 0702U, 0777U, 01777U}) {
    ASSERT_EQ(::chmod(base.path().c_str(), mode), 0);
    EXPECT_THAT(open_own_directory(base.path()),
                FailsWith(ErrorCode::kRefused, "group or others may write it"))
        << mode;
  }
  ASSERT_EQ(::chmod(base.path().c_str(), 0755), 0);
  EXPECT_THAT(open_own_directory(base.path() + "//"), IsOk());
  const std::string file = base.path() + "/file";
  write_text(file, "");
  EXPECT_THAT(open_own_directory(file), FailsWith(ErrorCode::kRefused, file + ": Not a directory"));
  const std::string link = base.path() + "/link";
  ASSERT_EQ(::symlink(base.path().c_str(), link.c_str()), 0);
  for (const char* slashes : {"", "/", "//"}) {
    EXPECT_THAT(open_own_directory(link + slashes), FailsWith(ErrorCode::kRefused, link));
  }
  for (const std::string& path : {std::string{}, base.path() + "/none"}) {
    EXPECT_THAT(open_own_directory(path), FailsWith(ErrorCode::kUnavailable, "No such file"));
  }
}

TEST(OpenOwnDirectory, RefusesAnotherUsers) {
  const TemporaryDirectory base;
  std::string path = "/usr";  // root's
  if (::geteuid() == 0) {
    path = base.path();
    ASSERT_EQ(::chown(path.c_str(), 65534, 65534), 0);
  }
  EXPECT_THAT(open_own_directory(path), FailsWith(ErrorCode::kRefused, path + ": belongs to user"));
}

TEST(OpenFile, OpensOnlyRegularFiles) {
  const TemporaryDirectory base;
  const Result<UniqueFd> directory = open_own_directory(base.path());
  ASSERT_THAT(directory, IsOk());
  const std::string folder = base.path() + "/";
  write_text(folder + "file", "text");
  ASSERT_EQ(::symlink("file", (folder + "link").c_str()), 0);
  ASSERT_EQ(::mkfifo((folder + "pipe").c_str(), 0600), 0);
  ASSERT_EQ(::mkdir((folder + "directory").c_str(), 0700), 0);
  EXPECT_THAT(open_file(directory->get(), "file"), IsOk());
  EXPECT_THAT(open_file(directory->get(), "link"),
              FailsWith(ErrorCode::kRefused, "link: is a symbolic link"));
  for (const std::string name : {"pipe", "directory"}) {
    EXPECT_THAT(open_file(directory->get(), name),
                FailsWith(ErrorCode::kRefused, name + ": is no regular file"));
  }
  EXPECT_THAT(open_file(directory->get(), "none"),
              FailsWith(ErrorCode::kUnavailable, "none: No such file"));
}

TEST(FileNames, AreSortedAndLimited) {
  const TemporaryDirectory base;
  const Result<UniqueFd> directory = open_own_directory(base.path());
  ASSERT_THAT(directory, IsOk());
  EXPECT_THAT(*file_names(directory->get(), 0), ElementsAre());
  for (const char* name : {"/b", "/a", "/.c"}) {
    write_text(base.path() + name, "");
  }
  EXPECT_THAT(*file_names(directory->get(), 3), ElementsAre(".c", "a", "b"));
  EXPECT_THAT(file_names(directory->get(), 2),
              FailsWith(ErrorCode::kRefused, "holds more than 2 files"));
  EXPECT_THAT(file_names(-1, 2), FailsWith(ErrorCode::kUnavailable, "list: Bad file descriptor"));
}

TEST(CheckOwnerAndMode, TellsWritingFromUsing) {
  struct stat status {};
  status.st_uid = ::geteuid();
  status.st_mode = 0644;
  EXPECT_THAT(check_owner_and_mode(status, kOthersWrite, "key"), IsOk());
  EXPECT_THAT(check_owner_and_mode(status, kOthersUse, "key"),
              FailsWith(ErrorCode::kRefused, "key: group or others may use it, give it mode 0600"));
  status.st_mode = 0600;
  EXPECT_THAT(check_owner_and_mode(status, kOthersUse, "key"), IsOk());
}

TEST(WriteAll, SaysThatNotAllFits) {
  const TemporaryDirectory base;
  const std::string path = base.path() + "/x";
  const UniqueFd file{::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)};
  ASSERT_TRUE(file);
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  const rlimit small{10, old.rlim_max};
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const Result<void> written = write_all(file, std::vector<std::byte>(14));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_THAT(written, FailsWith(ErrorCode::kUnavailable, "write: File too large"));
  struct stat status {};
  ASSERT_EQ(::fstat(file.get(), &status), 0);
  EXPECT_EQ(status.st_size, 10) << "what fitted was written";
}

TEST(SystemError, TellsWhatLiesInTheWayFromWhatIsUsedUp) {
  for (const int number : {ELOOP, ENOTDIR, EISDIR}) {
    EXPECT_EQ(system_error("x", number).code, ErrorCode::kRefused) << number;
  }
  for (const int number : {EMFILE, ENFILE}) {
    EXPECT_EQ(system_error("x", number).code, ErrorCode::kBusy) << number;
  }
  EXPECT_EQ(system_error("x", EACCES).code, ErrorCode::kUnavailable);
  EXPECT_EQ(system_error("x", ENOENT).message, "x: No such file or directory");
}

}  // namespace
}  // namespace kvferry
