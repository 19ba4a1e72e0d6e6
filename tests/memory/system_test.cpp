// SPDX-License-Identifier: Apache-2.0
// Goal: mappings end exactly once; errors name the cause.
// Method: ask the kernel whether an address is mapped.
#include "memory/system.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/unique_fd.hpp"
#include "kvferry/testing/matchers.hpp"

namespace kvferry::memory {
namespace {

using kvferry::testing::FailsWith;
using kvferry::testing::IsOk;

TEST(Mapping, UnmapsAtItsEnd) {
  const UniqueFd file{memfd_create("kvferry_test", MFD_CLOEXEC)};
  ASSERT_EQ(ftruncate(file.get(), 8192), 0);
  std::array<unsigned char, 2> present{};
  void* address = nullptr;
  {
    auto mapping = Mapping::of_file(file.get(), 8192, PROT_READ | PROT_WRITE, MAP_POPULATE);
    ASSERT_THAT(mapping, IsOk());
    Mapping moved;
    moved = *std::move(mapping);
    EXPECT_EQ(moved.bytes().size(), 8192U);
    address = moved.bytes().data();
    EXPECT_EQ(mincore(address, 8192, present.data()), 0);
  }
  EXPECT_NE(mincore(address, 8192, present.data()), 0);
}

TEST(Mapping, SaysWhoRefuses) {
  const UniqueFd null{open("/dev/null", O_RDONLY | O_CLOEXEC)};
  EXPECT_THAT(Mapping::of_file(null.get(), 4096, PROT_READ, 0),
              FailsWith(ErrorCode::kUnavailable, "cannot map 4096 bytes: "));
  const UniqueFd file{memfd_create("kvferry_test", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  ASSERT_EQ(ftruncate(file.get(), 4096), 0);
  ASSERT_EQ(fcntl(file.get(), F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
  EXPECT_THAT(Mapping::of_file(file.get(), 4096, PROT_READ | PROT_WRITE, 0),
              FailsWith(ErrorCode::kRefused, "cannot map 4096 bytes: "));
}

TEST(SystemError, SaysWhatWasTriedAndTheAnswer) {
  EXPECT_EQ(system_error(ErrorCode::kUnavailable, "cannot open door", ENOENT),
            (Error{ErrorCode::kUnavailable, "cannot open door: No such file or directory"}));
}

TEST(FillRandom, FillsEveryByteAndNeverTheSame) {
  using Bytes = std::array<std::byte, 4096>;
  Bytes one{};
  Bytes two{};
  ASSERT_THAT(fill_random(one), IsOk());
  ASSERT_THAT(fill_random(two), IsOk());
  EXPECT_NE(one, two);
  const auto tail_is_zero = [](const Bytes& bytes) {
    return std::all_of(bytes.end() - 16, bytes.end(), [](std::byte b) { return b == std::byte{}; });
  };
  EXPECT_FALSE(tail_is_zero(one));
}

}  // namespace
}  // namespace kvferry::memory
