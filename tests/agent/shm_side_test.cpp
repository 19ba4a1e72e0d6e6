// SPDX-License-Identifier: Apache-2.0
// Goal: a side is stale as soon as any memory that it uses is, and only then.
// Method: two memories of this process as if they were a peer's. What requests move is checked by
// the agents' conformance suite.
#include "agent/shm_side.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "agent/peers.hpp"
#include "agent/shm_registry.hpp"
#include "kvferry/testing/matchers.hpp"

namespace kvferry::agent {
namespace {

using kvferry::testing::FailsWith;
using kvferry::testing::IsOk;

TEST(ShmSide, IsStaleWithAnyMemoryThatItUses) {
  ShmRegistry registry{10};
  std::vector<memory::MemoryPtr> owned;
  std::vector<RemoteMemoryPtr> memories;
  for (int count = 0; count < 2; ++count) {
    owned.push_back(*memory::allocate_system(4096));
    const auto id = registry.add(owned.back(), Access::kRead);
    memories.push_back(*RemoteMemory::map(registry.table().back(), *registry.open(id->value()),
                                          *PeerProcess::open(getpid())));
  }
  std::sort(memories.begin(), memories.end(),
            [](const auto& a, const auto& b) { return a->told().address < b->told().address; });
  const auto region = [&memories](std::size_t index) {
    return Region{memories[index]->told().address, 10};
  };
  const std::vector<Region> both{region(0), region(1), region(0)};
  const std::vector<Region> second{region(1)};
  const auto uses_both = ShmSide::remote(both, memories);
  const auto uses_second = ShmSide::remote(second, memories);
  ASSERT_THAT(uses_both, IsOk());
  ASSERT_THAT(uses_second, IsOk());
  std::vector<std::byte> bytes(10);
  const Region here{reinterpret_cast<std::uintptr_t>(bytes.data()), bytes.size()};
  const auto local = ShmSide::local({&here, 1});
  const kvferry::Run run{{0, 0, 0}, {0, 0, 0}, 10, 1};
  const auto move = [&](const PreparedSidePtr& side) {
    return ShmSide::move({Operation::kRead, *local, side, {&run, 1}});
  };
  EXPECT_THAT(move(*uses_both), IsOk());
  memories[0]->set_stale();
  EXPECT_THAT(move(*uses_both), FailsWith(ErrorCode::kStale, "memory "));
  EXPECT_THAT(move(*uses_second), IsOk());
  memories[1]->process().set_dead();
  EXPECT_THAT(move(*uses_second), FailsWith(ErrorCode::kUnavailable, "is gone"));
}

}  // namespace
}  // namespace kvferry::agent
