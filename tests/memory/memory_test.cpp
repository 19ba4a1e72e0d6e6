// SPDX-License-Identifier: Apache-2.0
// Goal: system memory is zeroed, aligned, sealed and not inherited; adopted memory is as it was.
// Method: ask the kernel for seals, sizes and mappings; a forked child looks for the memory.
#include "kvferry/memory/memory.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <memory>
#include <vector>

#include "kvferry/testing/matchers.hpp"
#include "memory/control_page.hpp"

namespace kvferry::memory {
namespace {

using kvferry::testing::FailsWith;
using kvferry::testing::IsOk;

TEST(SystemMemory, IsZeroedAlignedAndOfTheSizeAsked) {
  for (const std::uint64_t size : {1ULL, 4095ULL, 4096ULL, 4097ULL, 1ULL << 20U}) {
    const auto memory = allocate_system(size);
    ASSERT_THAT(memory, IsOk());
    const std::span<std::byte> bytes = (*memory)->bytes();
    EXPECT_EQ(bytes.size(), size);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(bytes.data()) % kAlignmentBytes, 0U);
    EXPECT_TRUE(
        std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{}; }));
    EXPECT_EQ((*memory)->storage_kind(), StorageKind::system());
    bytes.back() = std::byte{1};
  }
}

TEST(SystemMemory, IsAFileSealedAgainstShrinkingAndGrowing) {
  const auto memory = allocate_system(5000);
  ASSERT_THAT(memory, IsOk());
  const SharedFile* file = (*memory)->shared_file();
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(file->control_offset, 8192U);
  EXPECT_EQ(file->file_bytes, 12288U);
  struct stat status {};
  ASSERT_EQ(fstat(file->descriptor, &status), 0);
  EXPECT_EQ(status.st_size, 12288);
  EXPECT_EQ(static_cast<std::uint64_t>(status.st_blocks) * 512, 12288U)
      << "pages are not taken yet";
  EXPECT_EQ(fcntl(file->descriptor, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW);
  EXPECT_EQ(fcntl(file->descriptor, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  EXPECT_NE(ftruncate(file->descriptor, 4096), 0);
  EXPECT_NE(ftruncate(file->descriptor, 1 << 20), 0);
}

TEST(SystemMemory, CarriesItsNonceBehindTheMemory) {
  const auto one = allocate_system(4096);
  const auto two = allocate_system(4096);
  ASSERT_THAT(one, IsOk());
  ASSERT_THAT(two, IsOk());
  EXPECT_NE((*one)->shared_file()->nonce, (*two)->shared_file()->nonce);
  const std::span<std::byte, kControlPageBytes> page{(*one)->bytes().data() + 4096,
                                                     kControlPageBytes};
  EXPECT_TRUE(is_control_page_of(page, (*one)->shared_file()->nonce));
  EXPECT_FALSE(is_control_page_of(page, (*two)->shared_file()->nonce));
}

TEST(SystemMemory, SealedAgainstWritersTakesNoNewWriter) {
  const auto memory = allocate_system(4096);
  ASSERT_THAT(memory, IsOk());
  EXPECT_FALSE((*memory)->sealed_against_writers());
  ASSERT_THAT((*memory)->seal_against_writers(), IsOk());
  ASSERT_THAT((*memory)->seal_against_writers(), IsOk());
  EXPECT_TRUE((*memory)->sealed_against_writers());
  const int file = (*memory)->shared_file()->descriptor;
  EXPECT_EQ(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), MAP_FAILED);
  EXPECT_EQ(errno, EPERM);
  (*memory)->bytes()[0] = std::byte{9};  // The owner still may.
  void* reader = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, file, 0);
  ASSERT_NE(reader, MAP_FAILED);
  EXPECT_EQ(*static_cast<const std::byte*>(reader), std::byte{9});
  munmap(reader, 4096);
}

TEST(SystemMemory, IsNotInheritedByForkedChildren) {
  auto memory = allocate_system(4096);
  ASSERT_THAT(memory, IsOk());
  void* const address = (*memory)->bytes().data();
  const pid_t child = fork();
  if (child == 0) {
    std::array<unsigned char, 1> present{};
    const bool gone = mincore(address, 4096, present.data()) != 0 && errno == ENOMEM;
    // Something else may lie there in a child; the end of the memory must not take it away.
    const void* other =
        mmap(address, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    memory->reset();
    const bool kept = other == address && mincore(address, 4096, present.data()) == 0;
    _exit(gone && kept ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  (*memory)->bytes()[0] = std::byte{1};
}

TEST(SystemMemory, RefusesSizesThatCannotBe) {
  EXPECT_THAT(allocate_system(0), FailsWith(ErrorCode::kInvalidArgument, "size 0"));
  for (const auto size : {std::numeric_limits<std::uint64_t>::max(), std::uint64_t{1} << 63U,
                          (std::uint64_t{1} << 63U) - 4096}) {
    EXPECT_THAT(allocate_system(size), FailsWith(ErrorCode::kInvalidArgument, "does not fit"));
  }
  EXPECT_THAT(allocate_system(1ULL << 60U), FailsWith(ErrorCode::kUnavailable, "of the machine's"));
}

TEST(AdoptedMemory, IsTheCallersAndCannotBeMapped) {
  auto storage = std::make_shared<std::vector<std::byte>>(100, std::byte{3});
  const auto memory = adopt(*storage, storage);
  ASSERT_THAT(memory, IsOk());
  EXPECT_EQ((*memory)->bytes().data(), storage->data());
  EXPECT_EQ((*memory)->bytes().size(), 100U);
  EXPECT_EQ((*memory)->bytes()[50], std::byte{3});
  EXPECT_EQ((*memory)->shared_file(), nullptr);
  EXPECT_EQ((*memory)->storage_kind(), StorageKind::system());
  EXPECT_THAT((*memory)->seal_against_writers(), IsOk());
  EXPECT_FALSE((*memory)->sealed_against_writers());
  EXPECT_EQ(storage.use_count(), 2);
}

TEST(AdoptedMemory, RefusesAnEmptyRange) {
  EXPECT_THAT(adopt({}), FailsWith(ErrorCode::kInvalidArgument, "empty"));
}

}  // namespace
}  // namespace kvferry::memory
