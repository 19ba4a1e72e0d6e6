// SPDX-License-Identifier: Apache-2.0
// Goal: a file is made whole or not at all and never in the place of another, and what others may
// write is not read.
// Method: each thing that could lie where a file goes; a disk that is full after ten bytes, by the
// process's own limit; every owner, mode and kind that is refused.
#include "trust/files.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <string>

#include "base/files.hpp"
#include "kvferry/testing/matchers.hpp"
#include "kvferry/testing/temporary_directory.hpp"
#include "samples.hpp"

namespace kvferry::trust {
namespace {

using kvferry::testing::FailsWith;
using kvferry::testing::IsOk;
using kvferry::testing::TemporaryDirectory;
using ::testing::ElementsAre;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text.data(), text.size()});
}

std::vector<std::string> names_in(const TemporaryDirectory& base) {
  const Result<UniqueFd> directory = open_own_directory(base.path());
  EXPECT_THAT(directory, IsOk());
  const Result<std::vector<std::string>> names = file_names(directory->get(), 1000);
  EXPECT_THAT(names, IsOk());
  return *names;
}

TEST(WriteNewFile, MakesTheFileAndNothingElse) {
  const TemporaryDirectory base;
  const mode_t old = ::umask(0);
  EXPECT_THAT(write_new_file(base.path() + "/s", bytes_of("ab"), Secrecy::kSecret), IsOk());
  EXPECT_THAT(write_new_file(base.path() + "//p", bytes_of(""), Secrecy::kPublic), IsOk());
  ::umask(077);
  EXPECT_THAT(write_new_file(base.path() + "/u", bytes_of(""), Secrecy::kPublic), IsOk());
  ::umask(old);
  EXPECT_THAT(names_in(base), ElementsAre("p", "s", "u"));
  EXPECT_EQ(read_text(base.path() + "/s"), "ab");
  EXPECT_EQ(mode_of(base.path() + "/s"), 0600U);
  EXPECT_EQ(mode_of(base.path() + "/p"), 0644U);
  EXPECT_EQ(mode_of(base.path() + "/u"), 0600U) << "the umask counts";
  struct stat status {};
  ASSERT_EQ(::stat((base.path() + "/s").c_str(), &status), 0);
  EXPECT_EQ(status.st_nlink, 1U);
}

TEST(WriteNewFile, WritesToTheCurrentDirectoryToo) {
  const TemporaryDirectory base;
  const std::filesystem::path old = std::filesystem::current_path();
  std::filesystem::current_path(base.path());
  EXPECT_THAT(write_new_file("here", bytes_of("ab"), Secrecy::kSecret), IsOk());
  std::filesystem::current_path(old);
  EXPECT_EQ(read_text(base.path() + "/here"), "ab");
}

TEST(WriteNewFile, ReplacesNothing) {
  const TemporaryDirectory base;
  const std::string path = base.path() + "/x";
  const auto attempt = [&path] { return write_new_file(path, bytes_of("new"), Secrecy::kSecret); };
  const auto is_there = FailsWith(ErrorCode::kRefused, path + ": is there already");

  write_text(path, "old", 0600);
  EXPECT_THAT(attempt(), is_there);
  EXPECT_EQ(read_text(path), "old");
  std::filesystem::remove(path);

  ASSERT_EQ(::symlink("nowhere", path.c_str()), 0);
  EXPECT_THAT(attempt(), is_there);
  EXPECT_THAT(names_in(base), ElementsAre("x")) << "nothing is made through a link";
  std::filesystem::remove(path);

  ASSERT_EQ(::mkdir(path.c_str(), 0700), 0);
  EXPECT_THAT(attempt(), is_there);
  EXPECT_THAT(names_in(base), ElementsAre("x"));
  EXPECT_THAT(write_new_file(path + "/..", bytes_of(""), Secrecy::kSecret),
              FailsWith(ErrorCode::kRefused, "is there already"));
}

TEST(WriteNewFile, LeavesNothingOfAFileThatDoesNotFit) {
  const TemporaryDirectory base;
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  rlimit small = old;
  small.rlim_cur = 10;
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const Result<void> written =
      write_new_file(base.path() + "/x", bytes_of("more than ten"), Secrecy::kSecret);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_THAT(written, FailsWith(ErrorCode::kUnavailable, "/x: write: File too large"));
  EXPECT_THAT(names_in(base), ElementsAre());
}

TEST(WriteNewFile, NamesThePathThatCannotBe) {
  const TemporaryDirectory base;
  const std::string none = base.path() + "/none/x";
  EXPECT_THAT(write_new_file(none, bytes_of(""), Secrecy::kSecret),
              FailsWith(ErrorCode::kUnavailable, none + ": No such file"));
  for (const std::string& path : {std::string{}, base.path() + "/", std::string{"/"}}) {
    EXPECT_THAT(write_new_file(path, bytes_of(""), Secrecy::kSecret),
                FailsWith(ErrorCode::kInvalidArgument, "file: '" + path + "' names none"));
  }
  EXPECT_THAT(
      write_new_file(base.path() + "/" + std::string(300, 'x'), bytes_of(""), Secrecy::kSecret),
      FailsWith(ErrorCode::kUnavailable, "link: File name too long"));
  EXPECT_THAT(names_in(base), ElementsAre());
}

TEST(ReadKeyFile, GivesAtMostWhatFits) {
  const TemporaryDirectory base;
  const std::string path = base.path() + "/x";
  write_text(path, "abcdef", 0600);
  std::array<std::byte, 4> small{};
  EXPECT_EQ(*read_key_file(kCurrentDirectory, path, Secrecy::kSecret, small), 4U);
  EXPECT_EQ(small[3], std::byte{'d'});
  std::array<std::byte, 9> large{};
  EXPECT_EQ(*read_key_file(kCurrentDirectory, path, Secrecy::kSecret, large), 6U);
  EXPECT_EQ(large[5], std::byte{'f'});
}

TEST(ReadPublicFile, RefusesWhatOthersMayWrite) {
  const TemporaryDirectory base;
  const std::string path = base.path() + "/x";
  for (const mode_t mode : {0664U, 0646U, 0666U, 0620U}) {
    write_text(path, "a", mode);
    EXPECT_THAT(read_public_file(kCurrentDirectory, path),
                FailsWith(ErrorCode::kRefused, path + ": group or others may write it"))
        << mode;
  }
  for (const mode_t mode : {0644U, 0600U, 0444U, 0755U}) {
    write_text(path, "a", mode);
    EXPECT_THAT(read_public_file(kCurrentDirectory, path), IsOk()) << mode;
    ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
  }
}

}  // namespace
}  // namespace kvferry::trust
