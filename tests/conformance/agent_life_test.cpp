// SPDX-License-Identifier: Apache-2.0
// Goal: peers come, change, restart and go; sides of what is gone are stale, nothing leaks, and
// messages arrive in order or the sender knows.
// Method: one suite over all agents; what a process holds is counted before and after.
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "conformance/agent_cases.hpp"
#include "kvferry/testing/matchers.hpp"

namespace kvferry::conformance {
namespace {

using agent::Operation;
using kvferry::testing::FailsWith;
using kvferry::testing::IsOk;

constexpr std::uint64_t kSize = 20'000;

class AgentLife : public AgentContract {
 protected:
  /// Reads the first ten bytes of a side.
  Result<void> touch(const agent::PreparedSidePtr& side) {
    Bytes bytes(10);
    const kvferry::Run run = whole(10);
    return move(Operation::kRead, near(bytes), side, {&run, 1});
  }
};

Bytes text(const std::string& words) {
  const auto bytes = std::as_bytes(std::span{words});
  return {bytes.begin(), bytes.end()};
}

TEST_P(AgentLife, LoadsOnlyWhatCanBeAPeer) {
  const Owned memory = owner_->add(kSize, Access::kRead, false);
  owner_->fill(memory.id, 1);
  const Bytes blob = owner_->metadata();
  const auto own = agent_->local_metadata();
  ASSERT_THAT(own, IsOk());
  EXPECT_THAT(agent_->load_peer("tested", *own, soon()),
              FailsWith(ErrorCode::kInvalidArgument, "own name"));
  EXPECT_THAT(agent_->load_peer("other", blob, soon()),
              FailsWith(ErrorCode::kInvalidArgument, "\"owner\", not of \"other\""));
  EXPECT_THAT(agent_->load_peer("owner", {}, soon()), FailsWith(ErrorCode::kCorrupt, ""));
  Bytes flipped = blob;
  flipped[flipped.size() / 2] ^= std::byte{1};
  EXPECT_THAT(agent_->load_peer("owner", flipped, soon()), FailsWith(ErrorCode::kCorrupt, ""));

  const auto peer = agent_->load_peer("owner", blob, soon());
  ASSERT_THAT(peer, IsOk()) << "nothing of the refused ones was kept";
  EXPECT_THAT(agent_->load_peer("owner", blob, soon()), FailsWith(ErrorCode::kBusy, "\"owner\""));
  EXPECT_TRUE(reads(far(*peer, memory.region), kSize, 1));
}

TEST_P(AgentLife, ForgottenPeersLeaveStaleSides) {
  const Owned memory = owner_->add(kSize, Access::kReadWrite, false);
  const auto peer = load();
  ASSERT_THAT(peer, IsOk());
  EXPECT_EQ(agent_->liveness(*peer), agent::Liveness::kAlive);
  EXPECT_EQ(agent_->process_of(*peer), owner_->process());
  const auto side = far(*peer, memory.region);
  ASSERT_THAT(touch(side), IsOk());
  ASSERT_THAT(agent_->forget_peer(*peer), IsOk());
  EXPECT_THAT(touch(side), FailsWith(ErrorCode::kStale, "forgotten"));
  EXPECT_THAT(agent_->forget_peer(*peer), FailsWith(ErrorCode::kStale, ""));
  EXPECT_THAT(agent_->update_peer(*peer, owner_->metadata(), soon()),
              FailsWith(ErrorCode::kStale, ""));
  EXPECT_THAT(agent_->notify(*peer, {}, soon()), FailsWith(ErrorCode::kStale, ""));
  EXPECT_THAT(agent_->prepare_remote(*peer, {}), FailsWith(ErrorCode::kStale, ""));
  EXPECT_EQ(agent_->liveness(*peer), agent::Liveness::kDead);
  EXPECT_EQ(agent_->process_of(*peer), std::nullopt);

  const auto again = load();
  ASSERT_THAT(again, IsOk());
  EXPECT_NE(*again, *peer) << "ids are never used again";
  EXPECT_THAT(touch(far(*again, memory.region)), IsOk());
  EXPECT_THAT(touch(side), FailsWith(ErrorCode::kStale, ""));
}

TEST_P(AgentLife, UpdatesReachMemoryRegisteredLater) {
  const Owned first = owner_->add(kSize, Access::kRead, false);
  const auto peer = load();
  ASSERT_THAT(peer, IsOk());
  const auto side = far(*peer, first.region);
  const Owned second = owner_->add(kSize, Access::kRead, false);
  owner_->fill(second.id, 8);
  EXPECT_THAT(agent_->prepare_remote(*peer, {&second.region, 1}),
              FailsWith(ErrorCode::kInvalidArgument, ""));
  ASSERT_THAT(agent_->update_peer(*peer, owner_->metadata(), soon()), IsOk());
  EXPECT_TRUE(reads(far(*peer, second.region), kSize, 8));
  EXPECT_THAT(touch(side), IsOk()) << "the memory is still the same";
  ASSERT_THAT(agent_->update_peer(*peer, owner_->metadata(), soon()), IsOk());
  EXPECT_THAT(touch(side), IsOk()) << "nothing changed";
}

TEST_P(AgentLife, UpdatesMakeSidesOfMemoryTakenBackStale) {
  const Owned kept = owner_->add(kSize, Access::kRead, false);
  const Owned taken = owner_->add(kSize, Access::kRead, false);
  const auto peer = load();
  ASSERT_THAT(peer, IsOk());
  const auto side = far(*peer, kept.region);
  const auto gone = far(*peer, taken.region);
  owner_->remove(taken.id);
  EXPECT_THAT(touch(gone), IsOk()) << "until told, a mapping is a mapping";
  ASSERT_THAT(agent_->update_peer(*peer, owner_->metadata(), soon()), IsOk());
  EXPECT_THAT(touch(gone), FailsWith(ErrorCode::kStale, "taken back"));
  EXPECT_THAT(touch(side), IsOk());
}

TEST_P(AgentLife, FailedUpdatesChangeNothing) {
  const Owned memory = owner_->add(kSize, Access::kRead, false);
  const auto peer = load();
  ASSERT_THAT(peer, IsOk());
  const auto side = far(*peer, memory.region);
  const Owned later = owner_->add(kSize, Access::kRead, false);
  const Bytes outdated = owner_->metadata();
  owner_->remove(later.id);
  EXPECT_THAT(agent_->update_peer(*peer, outdated, soon()),
              FailsWith(ErrorCode::kStale, "no longer registered"));
  EXPECT_THAT(agent_->update_peer(*peer, {}, soon()), FailsWith(ErrorCode::kCorrupt, ""));
  EXPECT_THAT(agent_->update_peer(*peer, *agent_->local_metadata(), soon()),
              FailsWith(ErrorCode::kInvalidArgument, "\"tested\", not of \"owner\""));
  EXPECT_THAT(touch(side), IsOk());
  EXPECT_THAT(agent_->notify(*peer, text("still here"), soon()), IsOk());
}

TEST_P(AgentLife, RestartedPeersAreAnotherLife) {
  const Owned old_memory = owner_->add(kSize, Access::kRead, false);
  const Bytes old_blob = owner_->metadata();
  const auto peer = load();
  ASSERT_THAT(peer, IsOk());
  const auto side = far(*peer, old_memory.region);
  owner_->restart();
  const Owned memory = owner_->add(kSize, Access::kRead, false);
  owner_->fill(memory.id, 3);
  ASSERT_THAT(agent_->update_peer(*peer, owner_->metadata(), soon()), IsOk());
  EXPECT_THAT(touch(side), FailsWith(ErrorCode::kStale, "replaced"));
  EXPECT_TRUE(reads(far(*peer, memory.region), kSize, 3));
  EXPECT_THAT(agent_->notify(*peer, text("hello again"), soon()), IsOk());
  ASSERT_THAT(agent_->forget_peer(*peer), IsOk());
  EXPECT_THAT(agent_->load_peer("owner", old_blob, soon()), FailsWith(ErrorCode::kUnavailable, ""));
}

TEST_P(AgentLife, NotificationsKeepTheOrderOfTheirSender) {
  const auto peer = load();
  ASSERT_THAT(peer, IsOk());
  for (const char* words : {"one", "", "three"}) {
    ASSERT_THAT(agent_->notify(*peer, text(words), soon()), IsOk());
  }
  const auto got = owner_->take();
  ASSERT_EQ(got.size(), 3U);
  EXPECT_EQ(got[0].sender, "tested");
  EXPECT_EQ(got[0].bytes, text("one"));
  EXPECT_EQ(got[1].bytes, text(""));
  EXPECT_EQ(got[2].bytes, text("three"));
  EXPECT_TRUE(owner_->take().empty());

  owner_->notify("tested", *agent_->local_metadata(), {text("four"), text("five")});
  const auto back = agent_->take_notifications();
  ASSERT_EQ(back.size(), 2U);
  EXPECT_EQ(back[0].sender, "owner");
  EXPECT_EQ(back[0].bytes, text("four"));
  EXPECT_EQ(back[1].bytes, text("five"));
}

TEST_P(AgentLife, NotificationsAreBoundedAndNeverLostInSilence) {
  const auto peer = load();
  ASSERT_THAT(peer, IsOk());
  const Bytes longest(std::size_t{64} << 10U, std::byte{5});
  ASSERT_THAT(agent_->notify(*peer, longest, soon()), IsOk());
  EXPECT_THAT(agent_->notify(*peer, Bytes(longest.size() + 1), soon()),
              FailsWith(ErrorCode::kInvalidArgument, "65537 bytes of 65536"));
  for (unsigned sent = 1; sent < 8; ++sent) {
    ASSERT_THAT(agent_->notify(*peer, text(std::to_string(sent)), soon()), IsOk());
  }
  for (int again = 0; again < 3; ++again) {
    EXPECT_THAT(agent_->notify(*peer, text("more"), soon()),
                FailsWith(ErrorCode::kBusy, "8 notifications of 8 wait"));
  }
  const auto got = owner_->take();
  ASSERT_EQ(got.size(), 8U);
  EXPECT_EQ(got[0].bytes, longest);
  EXPECT_EQ(got[7].bytes, text("7"));
  EXPECT_THAT(agent_->notify(*peer, text("room"), soon()), IsOk());
}

TEST_P(AgentLife, AnotherAgentOfTheOwnersMachineCanBeAPeerToo) {
  const Owned memory = owner_->add(kSize, Access::kRead, false);
  owner_->fill(memory.id, 1);
  const auto peer = load();
  ASSERT_THAT(peer, IsOk());
  agent::ShmAgentOptions options;
  options.name = "third";
  options.socket_directory = directory_.path();
  const auto third = agent::ShmAgent::create(std::move(options));
  ASSERT_THAT(third, IsOk());
  const auto id = agent_->load_peer("third", *(*third)->local_metadata(), soon());
  ASSERT_THAT(id, IsOk());
  EXPECT_NE(*id, *peer);
  ASSERT_THAT(agent_->forget_peer(*id), IsOk());
  EXPECT_TRUE(reads(far(*peer, memory.region), kSize, 1));
}

struct Holdings {
  std::ptrdiff_t descriptors{0};
  std::ptrdiff_t shared_mappings{0};
  std::ptrdiff_t threads{0};

  friend bool operator==(const Holdings&, const Holdings&) = default;
};

Holdings holdings() {
  const auto entries = [](const char* path) {
    return std::distance(std::filesystem::directory_iterator{path}, {});
  };
  Holdings held{entries("/proc/self/fd"), 0, entries("/proc/self/task")};
  std::ifstream maps{"/proc/self/maps"};
  for (std::string line; std::getline(maps, line);) {
    held.shared_mappings += line.find("memfd:kvferry") != std::string::npos ? 1 : 0;
  }
  return held;
}

TEST_P(AgentLife, LeavesNothingBehind) {
  const Owned file = owner_->add(kSize, Access::kRead, false);
  owner_->add(kSize, Access::kRead, true);
  const Holdings before = holdings();
  for (int round = 0; round < 5; ++round) {
    const kvferry::testing::TemporaryDirectory elsewhere;
    auto another = make_shm_agent(elsewhere.path());
    const auto memory = memory::allocate_system(kSize);
    ASSERT_THAT(another->register_memory(*memory, Access::kRead), IsOk());
    const auto peer = another->load_peer("owner", owner_->metadata(), soon());
    ASSERT_THAT(peer, IsOk());
    ASSERT_THAT(another->prepare_remote(*peer, {&file.region, 1}), IsOk());
    ASSERT_THAT(another->update_peer(*peer, owner_->metadata(), soon()), IsOk());
    EXPECT_NE(holdings(), before);
    if (round % 2 == 0) {
      ASSERT_THAT(another->forget_peer(*peer), IsOk());
    }
    another.reset();
    EXPECT_TRUE(std::filesystem::is_empty(elsewhere.path())) << "the socket is still there";
  }
  // An owner in this process closes its end of a connection when it notices, on its own thread.
  const TimePoint end = soon();
  while (holdings() != before && std::chrono::steady_clock::now() < end) {
    std::this_thread::yield();
  }
  EXPECT_EQ(holdings().descriptors, before.descriptors);
  EXPECT_EQ(holdings().shared_mappings, before.shared_mappings);
  EXPECT_EQ(holdings().threads, before.threads);
}

TEST_P(AgentLife, EightThreadsDoEverythingAtOnce) {
  const Owned memory = owner_->add(kSize, Access::kRead, false);
  owner_->fill(memory.id, 2);
  const Bytes blob = owner_->metadata();
  const auto peer = load();
  ASSERT_THAT(peer, IsOk());
  const auto shared_side = far(*peer, memory.region);
  constexpr int kThreads = 8;
  constexpr int kRounds = 1'600;
  std::atomic<int> wrong{0};
  std::atomic<int> operations{0};
  const auto work = [&](int index) {
    Bytes bytes(64);
    const auto local = near(bytes);
    for (int round = 0; round < kRounds; ++round) {
      for (std::uint64_t part = 0; part < 8; ++part) {
        const kvferry::Run run{{0, part * 100, 0}, {0, 0, 0}, 64, 1};
        const bool moved = move(Operation::kRead, local, shared_side, {&run, 1}).has_value();
        wrong += moved && bytes[63] == byte_at(2, part * 100 + 63) ? 0 : 1;
      }
      operations += 10;
      wrong += agent_->prepare_remote(*peer, {&memory.region, 1}) ? 0 : 1;
      wrong += agent_->liveness(*peer) == agent::Liveness::kAlive ? 0 : 1;
      if (round % 16 == index) {
        const auto own = memory::allocate_system(4096);
        const auto id = agent_->register_memory(*own, Access::kRead);
        wrong += id && agent_->local_metadata() && agent_->deregister_memory(*id) ? 0 : 1;
        const auto told = agent_->notify(*peer, bytes, soon());
        wrong += told || told.error().code == ErrorCode::kBusy ? 0 : 1;
        wrong += agent_->update_peer(*peer, blob, soon()) ? 0 : 1;
        const auto second = agent_->load_peer("owner", blob, soon());
        wrong += !second && second.error().code == ErrorCode::kBusy ? 0 : 1;
        (void)agent_->take_notifications();
      }
    }
  };
  std::vector<std::thread> threads;
  for (int index = 0; index < kThreads; ++index) {
    threads.emplace_back(work, index);
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_GE(operations, 100'000);
}

INSTANTIATE_TEST_SUITE_P(Agents, AgentLife,
                         ::testing::Values(shm_in_one_process(), shm_in_two_processes(),
                                           faulty_without_fault()),
                         case_name);

}  // namespace
}  // namespace kvferry::conformance
