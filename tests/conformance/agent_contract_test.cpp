// SPDX-License-Identifier: Apache-2.0
// Goal: every agent moves exactly the bytes of a request, or says why not before any has moved.
// Method: one suite over all agents and both places of a peer (this process, another): requests
// against memory whose every byte is known, and one test for each error of the interface.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "conformance/agent_cases.hpp"
#include "kvferry/testing/matchers.hpp"

namespace kvferry::conformance {
namespace {

using agent::Operation;
using kvferry::testing::FailsWith;
using kvferry::testing::IsOk;

constexpr std::uint64_t kSize = 40'000;

TEST_P(AgentContract, SaysWhatItCanDo) {
  const agent::AgentFacts& facts = agent_->facts();
  EXPECT_FALSE(facts.kind.empty());
  EXPECT_TRUE(facts.reads);
  EXPECT_FALSE(facts.storage_kinds.empty());
  EXPECT_EQ(agent_->name(), "tested");
}

TEST_P(AgentContract, ReadsMemoryOfEveryKind) {
  const Owned file = owner_->add(kSize, Access::kRead, false);
  const Owned adopted = owner_->add(kSize, Access::kRead, true);
  const Owned shared = owner_->add(kSize, Access::kReadWrite, false);
  owner_->fill(file.id, 1);
  owner_->fill(adopted.id, 2);
  owner_->fill(shared.id, 3);
  const auto peer = load();
  ASSERT_THAT(peer, IsOk());
  EXPECT_TRUE(reads(far(*peer, file.region), kSize, 1));
  EXPECT_TRUE(reads(far(*peer, adopted.region), kSize, 2));
  EXPECT_TRUE(reads(far(*peer, shared.region), kSize, 3));
  owner_->fill(file.id, 9);
  EXPECT_TRUE(reads(far(*peer, file.region), kSize, 9)) << "what the owner writes now is seen";
}

TEST_P(AgentContract, MovesStridedRunsOfSeveralRegionsAndNothingElse) {
  const Owned one = owner_->add(kSize, Access::kRead, false);
  const Owned two = owner_->add(kSize, Access::kRead, true);
  owner_->fill(one.id, 4);
  owner_->fill(two.id, 5);
  const auto peer = load();
  ASSERT_THAT(peer, IsOk());
  const std::vector<Region> theirs{{one.region.address + 1000, 30'000},
                                   {two.region.address + 3, 20'000}};
  const auto remote = agent_->prepare_remote(*peer, theirs);
  ASSERT_THAT(remote, IsOk());
  Bytes bytes(kSize, std::byte{0xEE});
  Bytes expected = bytes;
  // 100 pieces of the second kind of memory: more than one system call takes.
  const std::vector<kvferry::Run> runs{{{0, 100, 900}, {0, 10, 200}, 128, 20},
                                       {{1, 7, 130}, {0, 10'001, 100}, 100, 100},
                                       {{0, 29'999, 0}, {0, 39'999, 0}, 1, 1},
                                       {{0, 0, 0}, {0, 0, 0}, 0, 1},
                                       {{0, 0, 5}, {0, 0, 5}, 5, 0}};
  for (const kvferry::Run& run : runs) {
    const std::uint64_t seed = run.source.region == 0 ? 4 : 5;
    const std::uint64_t skipped = run.source.region == 0 ? 1000 : 3;
    for (std::uint64_t piece = 0; piece < run.count; ++piece) {
      for (std::uint64_t byte = 0; byte < run.bytes; ++byte) {
        expected[run.destination.offset_bytes + piece * run.destination.stride_bytes + byte] =
            byte_at(seed,
                    skipped + run.source.offset_bytes + piece * run.source.stride_bytes + byte);
      }
    }
  }
  ASSERT_THAT(move(Operation::kRead, near(bytes), *remote, runs), IsOk());
  EXPECT_EQ(bytes, expected);
}

TEST_P(AgentContract, WritesWherePeersMay) {
  if (!agent_->facts().writes) {
    return;
  }
  const Owned shared = owner_->add(kSize, Access::kReadWrite, false);
  owner_->fill(shared.id, 6);
  const auto peer = load();
  ASSERT_THAT(peer, IsOk());
  Bytes bytes(300, std::byte{0x77});
  const kvferry::Run run{{0, 0, 100}, {0, 50, 5000}, 100, 3};
  ASSERT_THAT(move(Operation::kWrite, near(bytes), far(*peer, shared.region), {&run, 1}), IsOk());
  const Bytes now = owner_->read(shared.id);
  for (std::uint64_t offset = 0; offset < kSize; ++offset) {
    const bool written = offset < 10'150 && offset % 5000 >= 50 && offset % 5000 < 150;
    ASSERT_EQ(now[offset], written ? std::byte{0x77} : byte_at(6, offset)) << offset;
  }
}

TEST_P(AgentContract, RefusesWritesIntoMemoryForReading) {
  for (const bool adopted : {false, true}) {
    const Owned memory = owner_->add(kSize, Access::kRead, adopted);
    const Owned shared = owner_->add(kSize, Access::kReadWrite, false);
    owner_->fill(memory.id, 1);
    owner_->fill(shared.id, 2);
    const auto peer = load();
    ASSERT_THAT(peer, IsOk());
    const std::vector<Region> theirs{shared.region, memory.region};
    const auto remote = agent_->prepare_remote(*peer, theirs);
    ASSERT_THAT(remote, IsOk());
    Bytes bytes(100, std::byte{0x77});
    const std::vector<kvferry::Run> runs{{{0, 0, 0}, {0, 0, 0}, 100, 1},
                                         {{0, 0, 0}, {1, 0, 0}, 100, 1}};
    EXPECT_THAT(move(Operation::kWrite, near(bytes), *remote, runs),
                FailsWith(ErrorCode::kRefused, "may only be read"));
    EXPECT_EQ(owner_->read(memory.id)[0], byte_at(1, 0));
    EXPECT_EQ(owner_->read(shared.id)[0], byte_at(2, 0))
        << "moved before the check of the next run";
    ASSERT_THAT(agent_->forget_peer(*peer), IsOk());
  }
}

TEST_P(AgentContract, RefusesRunsThatLeaveTheirRegionsBeforeAnyByteMoves) {
  const Owned memory = owner_->add(kSize, Access::kReadWrite, false);
  owner_->fill(memory.id, 1);
  const auto peer = load();
  ASSERT_THAT(peer, IsOk());
  constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
  const std::vector<kvferry::Run> bad{
      {{0, 0, 0}, {0, 1, 0}, 100, 1},  {{0, 39'901, 0}, {0, 0, 0}, 100, 1},
      {{1, 0, 0}, {0, 0, 0}, 1, 1},    {{0, 0, 0}, {1, 0, 0}, 1, 1},
      {{7, 0, 0}, {0, 0, 0}, 1, 0},    {{0, 0, kMax / 2 + 1}, {0, 0, 0}, 1, 3},
      {{0, kMax, 0}, {0, 0, 0}, 1, 1}, {{0, 0, 0}, {0, 0, 2}, 2, kMax}};
  for (std::size_t index = 0; index < bad.size(); ++index) {
    Bytes bytes(100, std::byte{0x77});
    const std::vector<kvferry::Run> runs{whole(100), bad[index]};
    EXPECT_THAT(move(Operation::kRead, near(bytes), far(*peer, memory.region), runs),
                FailsWith(ErrorCode::kInvalidArgument, "run 1: "))
        << index;
    EXPECT_EQ(bytes, Bytes(100, std::byte{0x77})) << index;
  }
  Bytes bytes(100);
  const kvferry::Run too_far{{0, 0, 0}, {0, kSize - 99, 0}, 100, 1};
  EXPECT_THAT(move(Operation::kWrite, near(bytes), far(*peer, memory.region), {&too_far, 1}),
              FailsWith(ErrorCode::kInvalidArgument, "run 0: destination"));
}

TEST_P(AgentContract, RefusesSidesThatAreNotTheOnesNeeded) {
  const Owned memory = owner_->add(kSize, Access::kReadWrite, false);
  const auto peer = load();
  ASSERT_THAT(peer, IsOk());
  Bytes bytes(100);
  const auto local = near(bytes);
  const auto remote = far(*peer, memory.region);
  const kvferry::Run run = whole(10);
  for (const auto& [near_side, far_side] :
       {std::pair{remote, local}, std::pair{local, local}, std::pair{remote, remote},
        std::pair{agent::PreparedSidePtr{}, remote}, std::pair{local, agent::PreparedSidePtr{}}}) {
    EXPECT_THAT(agent_->post({Operation::kRead, near_side, far_side, {&run, 1}}),
                FailsWith(ErrorCode::kInvalidArgument, ""));
  }
}

TEST_P(AgentContract, PreparesOnlyWhatThePeerRegistered) {
  const Owned memory = owner_->add(kSize, Access::kRead, false);
  const Owned adopted = owner_->add(kSize, Access::kRead, true);
  const Owned hidden = owner_->add(kSize, Access::kNone, false);
  const auto peer = load();
  ASSERT_THAT(peer, IsOk());
  const std::uint64_t start = memory.region.address;
  const std::vector<Region> fine{{start, kSize}, {start + kSize - 1, 1}, adopted.region};
  EXPECT_THAT(agent_->prepare_remote(*peer, fine), IsOk());
  EXPECT_THAT(agent_->prepare_remote(*peer, {}), IsOk());
  constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
  for (const Region& bad :
       {Region{start, kSize + 1}, Region{start - 1, 2}, Region{start + kSize, 1}, Region{start, 0},
        Region{start + 1, kMax}, Region{start + 1, kMax - start}, Region{0, 1}, hidden.region}) {
    const std::vector<Region> regions{memory.region, bad};
    EXPECT_THAT(agent_->prepare_remote(*peer, regions),
                FailsWith(ErrorCode::kInvalidArgument, "region 1, "));
  }
  EXPECT_THAT(agent_->prepare_remote(agent::PeerId{999}, fine),
              FailsWith(ErrorCode::kStale, "peer 999"));
}

TEST_P(AgentContract, PreparesOnlyRangesOfAddresses) {
  for (const Region& bad :
       {Region{0, 10}, Region{4096, 0}, Region{4096, std::numeric_limits<std::uint64_t>::max()}}) {
    EXPECT_THAT(agent_->prepare_local({&bad, 1}),
                FailsWith(ErrorCode::kInvalidArgument, "region 0, "));
  }
}

TEST_P(AgentContract, RegistersAndTakesBack) {
  const auto memory = memory::allocate_system(4096);
  ASSERT_THAT(memory, IsOk());
  const auto one = agent_->register_memory(*memory, Access::kRead);
  const auto two = agent_->register_memory(*memory, Access::kRead);
  ASSERT_THAT(one, IsOk());
  ASSERT_THAT(two, IsOk());
  EXPECT_NE(*one, *two);
  EXPECT_THAT(agent_->deregister_memory(*one), IsOk());
  EXPECT_THAT(agent_->deregister_memory(*one), FailsWith(ErrorCode::kInvalidArgument, ""));
  EXPECT_THAT(agent_->deregister_memory(*two), IsOk());
  EXPECT_THAT(agent_->register_memory(nullptr, Access::kRead),
              FailsWith(ErrorCode::kInvalidArgument, ""));
  Bytes bytes(100);
  EXPECT_THAT(agent_->register_memory(*memory::adopt(bytes), Access::kReadWrite),
              FailsWith(ErrorCode::kRefused, "adopted memory"));
}

TEST_P(AgentContract, KnowsNoRequestThatItDidNotStart) {
  const agent::RequestId id{12345};
  EXPECT_THAT(agent_->poll(id), FailsWith(ErrorCode::kInvalidArgument, "request 12345"));
  EXPECT_TRUE(agent_->quiet(id));
  agent_->cancel(id);
  agent_->release(id);
  EXPECT_TRUE(agent_->quiet(id));
}

INSTANTIATE_TEST_SUITE_P(Agents, AgentContract,
                         ::testing::Values(shm_in_one_process(), shm_in_two_processes(),
                                           faulty_without_fault()),
                         case_name);

}  // namespace
}  // namespace kvferry::conformance
