// SPDX-License-Identifier: Apache-2.0
// Goal: a file comes back as it was written; what cannot be read or written is said, with its name.
// Method: files of sizes around the piece in which they are read, and places that are none.
#include "files.hpp"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace kvferry::tool
