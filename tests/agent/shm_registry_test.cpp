// SPDX-License-Identifier: Apache-2.0
// Goal: peers are told of what is registered for them, and get descriptors that allow no more.
// Method: every kind of memory with every access; the kernel is asked what a descriptor allows.
#include "agent/shm_registry.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include "agent/peers.hpp"
#include "base/unique_fd.hpp"
#include "kvferry/testing/matchers.hpp"
#include "memory/system.hpp"

namespace kvferry::agent {
namespace {

using kvferry::testing::FailsWith;
using kvferry::testing::IsOk;

TEST(ShmRegistry, TellsOfWhatPeersMayReach) {
  ShmRegistry registry{10};
  const memory::MemoryPtr file = *memory::allocate_system(5000);
  std::vector<std::byte> storage(100);
  const memory::MemoryPtr adopted = *memory::adopt(storage);
  ASSERT_THAT(registry.add(*memory::allocate_system(4096), Access::kNone), IsOk());
  const auto first = registry.add(file, Access::kReadWrite);
  const auto second = registry.add(adopted, Access::kRead);
  ASSERT_THAT(first, IsOk());
  ASSERT_THAT(second, IsOk());

  const std::vector<BlobMemory> table = registry.table();
  ASSERT_EQ(table.size(), 2U);
  EXPECT_EQ(
      table[0],
      (BlobMemory{first->value(), reinterpret_cast<std::uintptr_t>(file->bytes().data()), 5000,
                  Access::kReadWrite, MemoryKind::kSharedFile, 8192, file->shared_file()->nonce}));
  EXPECT_EQ(table[1].id, second->value());
  EXPECT_EQ(table[1].kind, MemoryKind::kProcess);
  EXPECT_EQ(table[1].size_bytes, 100U);
  EXPECT_EQ(*reinterpret_cast<const memory::Nonce*>(table[1].control), table[1].nonce);
  ASSERT_THAT(registry.remove(*first), IsOk());
  EXPECT_EQ(registry.table().size(), 1U);
}

TEST(ShmRegistry, MemoryForReadersIsSealedAndOpenedForReading) {
  ShmRegistry registry{10};
  const memory::MemoryPtr memory = *memory::allocate_system(4096);
  const auto id = registry.add(memory, Access::kRead);
  ASSERT_THAT(id, IsOk());
  EXPECT_TRUE(memory->sealed_against_writers());
  const auto file = registry.open(id->value());
  ASSERT_THAT(file, IsOk());
  EXPECT_EQ(fcntl(file->get(), F_GETFL) & O_ACCMODE, O_RDONLY);
  // Opened again for writing, as a reader with bad intentions would: the seal holds.
  const std::string path = "/proc/self/fd/" + std::to_string(file->get());
  const UniqueFd again{open(path.c_str(), O_RDWR | O_CLOEXEC)};
  EXPECT_EQ(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, again.get(), 0), MAP_FAILED);
  EXPECT_LT(pwrite(again.get(), "x", 1, 0), 0);
}

TEST(ShmRegistry, MemoryForWritersCanBeMappedByThem) {
  ShmRegistry registry{10};
  const memory::MemoryPtr memory = *memory::allocate_system(4096);
  const auto id = registry.add(memory, Access::kReadWrite);
  ASSERT_THAT(id, IsOk());
  EXPECT_FALSE(memory->sealed_against_writers());
  const auto file = registry.open(id->value());
  ASSERT_THAT(file, IsOk());
  EXPECT_THAT(memory::Mapping::of_file(file->get(), 4096, PROT_READ | PROT_WRITE, 0), IsOk());
}

TEST(ShmRegistry, KeepsReadersAndWritersOfOneMemoryApart) {
  ShmRegistry registry{10};
  const memory::MemoryPtr memory = *memory::allocate_system(4096);
  const auto one = registry.add(memory, Access::kReadWrite);
  const auto two = registry.add(memory, Access::kReadWrite);
  ASSERT_THAT(one, IsOk());
  ASSERT_THAT(two, IsOk());
  EXPECT_THAT(registry.add(memory, Access::kRead), FailsWith(ErrorCode::kRefused, "read-write"));
  ASSERT_THAT(registry.remove(*one), IsOk());
  EXPECT_THAT(registry.add(memory, Access::kRead), FailsWith(ErrorCode::kRefused, "read-write"));
  EXPECT_FALSE(memory->sealed_against_writers());
  ASSERT_THAT(registry.remove(*two), IsOk());
  ASSERT_THAT(registry.add(memory, Access::kRead), IsOk());
  EXPECT_THAT(registry.add(memory, Access::kReadWrite), FailsWith(ErrorCode::kRefused, "for good"));
}

TEST(ShmRegistry, HasALimitAndNeverUsesAnIdAgain) {
  ShmRegistry registry{2};
  const memory::MemoryPtr memory = *memory::allocate_system(4096);
  const auto one = registry.add(memory, Access::kRead);
  ASSERT_THAT(registry.add(memory, Access::kNone), IsOk());
  EXPECT_THAT(registry.add(memory, Access::kRead), FailsWith(ErrorCode::kBusy, "2 memories of 2"));
  ASSERT_THAT(registry.remove(*one), IsOk());
  const auto three = registry.add(memory, Access::kRead);
  ASSERT_THAT(three, IsOk());
  EXPECT_EQ(three->value(), 3U);
}

TEST(ShmRegistry, OpensNothingElse) {
  ShmRegistry registry{10};
  std::vector<std::byte> storage(100);
  const auto hidden = registry.add(*memory::allocate_system(4096), Access::kNone);
  const auto adopted = registry.add(*memory::adopt(storage), Access::kRead);
  for (const std::uint64_t id : {hidden->value(), adopted->value(), std::uint64_t{99}}) {
    EXPECT_THAT(registry.open(id), FailsWith(ErrorCode::kStale, "memory " + std::to_string(id)));
  }
}

}  // namespace
}  // namespace kvferry::agent
