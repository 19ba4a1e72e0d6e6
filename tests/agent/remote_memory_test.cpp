// SPDX-License-Identifier: Apache-2.0
// Goal: no file is mapped that could kill its reader or is not the one announced; addresses of a
// peer are found in its memories or not at all.
// Method: forged files, one thing wrong with each; a table with memories beside and inside others.
#include "agent/remote_memory.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <limits>
#include <string>

#include "agent/peers.hpp"
#include "base/unique_fd.hpp"
#include "kvferry/testing/matchers.hpp"
#include "memory/control_page.hpp"

namespace kvferry::agent {
namespace {

using kvferry::testing::FailsWith;
using kvferry::testing::IsOk;

constexpr std::uint64_t kSize = 8192;
constexpr int kSizeSeals = F_SEAL_SHRINK | F_SEAL_GROW;

memory::Nonce nonce() {
  memory::Nonce made{};
  made.fill(std::byte{5});
  return made;
}

BlobMemory told(Access access) {
  return {7, 0x10000, kSize, access, MemoryKind::kSharedFile, kSize, nonce()};
}

/// A file as an owner makes it, but for what a test changes.
UniqueFd forged(std::uint64_t size, int seals, unsigned flags = 0) {
  UniqueFd file{memfd_create("kvferry_test", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags)};
  EXPECT_EQ(ftruncate(file.get(), static_cast<off_t>(size)), 0);
  if (size >= kSize + memory::kControlPageBytes && flags == 0) {
    auto whole = memory::Mapping::of_file(file.get(), size, PROT_READ | PROT_WRITE, 0);
    memory::write_control_page(whole->bytes().subspan<kSize, memory::kControlPageBytes>(), nonce());
  }
  EXPECT_EQ(fcntl(file.get(), F_ADD_SEALS, seals), 0);
  return file;
}

std::shared_ptr<PeerProcess> self() { return *PeerProcess::open(getpid()); }

TEST(RemoteMemory, MapsWhatIsAsAnnounced) {
  const UniqueFd file = forged(kSize + 4096, kSizeSeals | F_SEAL_FUTURE_WRITE);
  const auto memory = RemoteMemory::map(told(Access::kRead), file, self());
  ASSERT_THAT(memory, IsOk());
  EXPECT_TRUE((*memory)->is_mapped());
  EXPECT_EQ((*memory)->translate(0x10000 + 8191) - (*memory)->translate(0x10000), 8191);
  EXPECT_EQ(*(*memory)->translate(0x10000), std::byte{0});
  const UniqueFd shared = forged(kSize + 4096, kSizeSeals);
  EXPECT_THAT(RemoteMemory::map(told(Access::kReadWrite), shared, self()), IsOk());
}

TEST(RemoteMemory, RefusesFilesThatCouldKillTheReader) {
  for (const int seals : {0, F_SEAL_SHRINK, F_SEAL_GROW}) {
    const UniqueFd file = forged(kSize + 4096, seals | F_SEAL_FUTURE_WRITE);
    EXPECT_THAT(RemoteMemory::map(told(Access::kRead), file, self()),
                FailsWith(ErrorCode::kRefused, "memory 7 is not sealed against shrinking"));
  }
  const UniqueFd small = forged(kSize + 4095, kSizeSeals | F_SEAL_FUTURE_WRITE);
  EXPECT_THAT(RemoteMemory::map(told(Access::kRead), small, self()),
              FailsWith(ErrorCode::kRefused, "needs 12288 bytes, its file has 12287"));
  const UniqueFd no_memory{open("/dev/null", O_RDONLY | O_CLOEXEC)};
  EXPECT_THAT(RemoteMemory::map(told(Access::kRead), no_memory, self()),
              FailsWith(ErrorCode::kRefused, "is not sealed"));
  // Where the kernel knows huge pages at all.
  if (UniqueFd{memfd_create("kvferry_test", MFD_CLOEXEC | MFD_HUGETLB)}) {
    const UniqueFd huge =
        forged(std::uint64_t{2} << 20U, kSizeSeals | F_SEAL_FUTURE_WRITE, MFD_HUGETLB);
    EXPECT_THAT(RemoteMemory::map(told(Access::kRead), huge, self()),
                FailsWith(ErrorCode::kRefused, "ordinary pages"));
  }
}

TEST(RemoteMemory, RefusesFilesOpenToWritersThatShouldNotBe) {
  const UniqueFd file = forged(kSize + 4096, kSizeSeals);
  EXPECT_THAT(RemoteMemory::map(told(Access::kRead), file, self()),
              FailsWith(ErrorCode::kRefused, "not sealed against writers"));
}

TEST(RemoteMemory, RefusesToWriteWhereTheFileDoesNotAllowIt) {
  const UniqueFd sealed = forged(kSize + 4096, kSizeSeals | F_SEAL_FUTURE_WRITE);
  EXPECT_THAT(RemoteMemory::map(told(Access::kReadWrite), sealed, self()),
              FailsWith(ErrorCode::kRefused, "memory 7: cannot map"));
}

TEST(RemoteMemory, RefusesToWriteThroughADescriptorForReading) {
  const UniqueFd file = forged(kSize + 4096, kSizeSeals);
  const std::string path = "/proc/self/fd/" + std::to_string(file.get());
  const UniqueFd for_reading{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  EXPECT_THAT(RemoteMemory::map(told(Access::kReadWrite), for_reading, self()),
              FailsWith(ErrorCode::kRefused, "memory 7: cannot map"));
}

TEST(RemoteMemory, RefusesAnotherMemoryThanAnnounced) {
  const UniqueFd file = forged(kSize + 4096, kSizeSeals | F_SEAL_FUTURE_WRITE);
  BlobMemory other = told(Access::kRead);
  other.nonce[0] = std::byte{6};
  EXPECT_THAT(RemoteMemory::map(other, file, self()),
              FailsWith(ErrorCode::kRefused, "its nonce differs"));
}

TEST(RemoteMemory, ProbesMemoryWithoutAFile) {
  const memory::Nonce own = nonce();
  BlobMemory process = told(Access::kRead);
  process.kind = MemoryKind::kProcess;
  process.control = reinterpret_cast<std::uintptr_t>(&own);
  const auto memory = RemoteMemory::probe(process, self());
  ASSERT_THAT(memory, IsOk());
  EXPECT_FALSE((*memory)->is_mapped());
  process.nonce[15] = std::byte{0};
  EXPECT_THAT(RemoteMemory::probe(process, self()),
              FailsWith(ErrorCode::kRefused, "its nonce differs"));
  process.control = 16;
  EXPECT_THAT(RemoteMemory::probe(process, self()),
              FailsWith(ErrorCode::kUnavailable, "memory 7: cannot read"));
}

TEST(FindMemory, FindsTheOneThatHoldsAllOfARegion) {
  const memory::Nonce own = nonce();
  std::vector<RemoteMemoryPtr> memories;
  const auto add = [&](std::uint64_t address, std::uint64_t size) {
    BlobMemory process{memories.size(),
                       address,
                       size,
                       Access::kRead,
                       MemoryKind::kProcess,
                       reinterpret_cast<std::uintptr_t>(&own),
                       own};
    memories.push_back(*RemoteMemory::probe(process, self()));
  };
  add(1000, 1000);  // Holds the next two.
  add(1100, 10);
  add(1200, 100);
  add(5000, 50);
  const auto found = [&memories](std::uint64_t address, std::uint64_t size) -> int {
    const RemoteMemoryPtr* memory = find_memory(memories, {address, size});
    return memory == nullptr ? -1 : static_cast<int>((*memory)->told().id);
  };
  EXPECT_EQ(found(1000, 1000), 0);
  EXPECT_EQ(found(1100, 10), 1);
  EXPECT_EQ(found(1100, 11), 0);
  EXPECT_EQ(found(1299, 1), 2);
  EXPECT_EQ(found(1999, 1), 0);
  EXPECT_EQ(found(5049, 1), 3);
  EXPECT_EQ(found(999, 2), -1);
  EXPECT_EQ(found(1999, 2), -1);
  EXPECT_EQ(found(2000, 1), -1);
  EXPECT_EQ(found(5000, 51), -1);
  EXPECT_EQ(found(5001, std::numeric_limits<std::uint64_t>::max()), -1);
  EXPECT_EQ(find_memory({}, {1000, 1}), nullptr);
}

}  // namespace
}  // namespace kvferry::agent
