// SPDX-License-Identifier: Apache-2.0
// Goal: io_uring reads and writes as every backend does.
// Method: what only this one can do; the rest is backend_test.cpp.
#include <gtest/gtest.h>

#include "disk/backend.hpp"
#include "kvferry/disk/file.hpp"
#include "kvferry/testing/matchers.hpp"
#include "kvferry/testing/temporary_directory.hpp"

namespace kvferry::disk {
namespace {

TEST(UringBackend, IsRefusedWithTheReason) {
  EXPECT_THAT(make_uring_backend(std::size_t{1} << 20U),
              testing::FailsWith(ErrorCode::kUnavailable, "io_uring: "));
}

}  // namespace
}  // namespace kvferry::disk
