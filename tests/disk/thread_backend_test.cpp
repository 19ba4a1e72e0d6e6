// SPDX-License-Identifier: Apache-2.0
// Goal: threads read and write as every backend does.
// Method: what only this one can do; the rest is backend_test.cpp.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "disk/backend.hpp"
#include "kvferry/disk/file.hpp"
#include "kvferry/testing/matchers.hpp"
#include "kvferry/testing/temporary_directory.hpp"

namespace kvferry::disk {
namespace {

constexpr std::uint64_t kBytes = 1 << 20U;

TEST(ThreadBackend, FinishesWhatItHasBegun) {
  const testing::TemporaryDirectory directory;
  const FilePtr file = *File::open({directory.path() + "/blocks"}, kBytes);
  std::vector<std::byte> memory(kBytes, std::byte{5});
  {
    const auto backend = *make_thread_backend(1);
    for (std::uint64_t i = 0; i < 4; ++i) {
      const Operation write{Direction::kWrite, file->descriptor(), i * 4096,
                            std::span{memory}.first(4096), i};
      backend->submit({&write, 1});
    }
  }
  std::vector<std::byte> content(4 * 4096);
  ASSERT_EQ(::pread(file->descriptor(), content.data(), content.size(), 0), 4 * 4096);
  EXPECT_EQ(std::ranges::count(content, std::byte{5}), 4 * 4096);
}

}  // namespace
}  // namespace kvferry::disk
