// SPDX-License-Identifier: Apache-2.0
// Goal: a file comes back as it was written; what cannot be read or written is said, with its name.
// Method: files of sizes around the piece in which they are read, and places that are none.
#include "files.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "kvferry/testing/matchers.hpp"
#include "kvferry/testing/temporary_directory.hpp"

namespace kvferry::tool {
namespace {

using kvferry::testing::FailsWith;
using kvferry::testing::IsOk;

TEST(Files, ReadsWhatWasWritten) {
  const kvferry::testing::TemporaryDirectory directory;
  const std::string file = directory.path() + "/file";
  for (const std::size_t size : {0UL, 1UL, 65535UL, 65536UL, 65537UL, 300000UL}) {
    std::string text(size, 'x');
    for (std::size_t i = 0; i < size; ++i) {
      text[i] = static_cast<char>(i * 7);
    }
    ASSERT_THAT(write_output(file, text), IsOk());
    const auto bytes = read_input(file, size);
    ASSERT_THAT(bytes, IsOk());
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size()), text);
    if (size > 0) {
      EXPECT_THAT(read_input(file, size - 1),
                  FailsWith(ErrorCode::kCorrupt, "more than the limit"));
    }
  }
}

TEST(Files, NameWhatCannotBeReadOrWritten) {
  EXPECT_THAT(read_input("/no/such/file", 1), FailsWith(ErrorCode::kUnavailable, "/no/such/file"));
  EXPECT_THAT(write_output("/no/such/file", "x"),
              FailsWith(ErrorCode::kUnavailable, "/no/such/file: No such file"));
  // Here the text fits into the stream's buffer, and only closing says that the disk is full.
  EXPECT_THAT(write_output("/dev/full", "x"), FailsWith(ErrorCode::kUnavailable, "No space left"));
}

std::string read_text(const std::string& file) {
  const auto bytes = read_input(file, 1000);
  EXPECT_THAT(bytes, IsOk());
  return bytes ? std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size())
               : std::string{};
}

std::size_t count_files(const std::string& directory) {
  const std::filesystem::directory_iterator files{directory};
  return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

TEST(Files, ReplacesAFileAndLeavesNothingBeside) {
  const kvferry::testing::TemporaryDirectory directory;
  const std::string file = directory.path() + "/file";
  for (const std::string text : {"first", "", "the last"}) {
    ASSERT_THAT(replace_output(file, std::as_bytes(std::span{text})), IsOk());
    EXPECT_EQ(read_text(file), text);
  }
  EXPECT_EQ(count_files(directory.path()), 1U);
}

TEST(Files, ReplacesOnlyWhatCanBeReplaced) {
  const kvferry::testing::TemporaryDirectory directory;
  const std::string below = directory.path() + "/folder";
  std::filesystem::create_directory(below);
  EXPECT_THAT(replace_output(below, {}), FailsWith(ErrorCode::kUnavailable, below + ": "));
  EXPECT_THAT(replace_output(directory.path() + "/no/file", {}),
              FailsWith(ErrorCode::kUnavailable, "/no/file: No such file"));
  EXPECT_EQ(count_files(directory.path()), 1U);
}

}  // namespace
}  // namespace kvferry::tool
