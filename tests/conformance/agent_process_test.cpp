// SPDX-License-Identifier: Apache-2.0
// Goal: a peer that is stopped, killed or silent is told as what it is, in time, and kills nobody.
// Method: signals to the peer's process; every call with a deadline that must be kept.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "conformance/agent_cases.hpp"
#include "kvferry/testing/matchers.hpp"

namespace kvferry::conformance {
namespace {

using agent::Liveness;
using agent::Operation;
using kvferry::testing::FailsWith;
using kvferry::testing::IsOk;

constexpr std::uint64_t kSize = 20'000;

/// Long enough for a process that answers, short enough to wait for one that does not.
TimePoint shortly() { return std::chrono::steady_clock::now() + std::chrono::milliseconds{200}; }

void stop(pid_t process) {
  kill(process, SIGSTOP);
  waitpid(process, nullptr, WUNTRACED);
}

class AgentWithProcess : public AgentContract {};

TEST_P(AgentWithProcess, AStoppedPeerIsAliveAndCanBeReadFrom) {
  const Owned memory = owner_->add(kSize, Access::kReadWrite, false);
  const Owned adopted = owner_->add(kSize, Access::kRead, true);
  owner_->fill(memory.id, 1);
  owner_->fill(adopted.id, 2);
  const auto peer = load();
  ASSERT_THAT(peer, IsOk());
  stop(owner_->process());
  EXPECT_EQ(agent_->liveness(*peer), Liveness::kAlive);
  if (!agent_->facts().read_needs_owner_cpu) {
    EXPECT_TRUE(reads(far(*peer, memory.region), kSize, 1));
    EXPECT_TRUE(reads(far(*peer, adopted.region), kSize, 2));
  }
  kill(owner_->process(), SIGCONT);
}

TEST_P(AgentWithProcess, AStoppedPeerIsGivenUpAtTheDeadline) {
  owner_->add(kSize, Access::kRead, false);
  const Bytes blob = owner_->metadata();
  stop(owner_->process());
  EXPECT_THAT(agent_->load_peer("owner", blob, shortly()), FailsWith(ErrorCode::kDeadline, ""));
  EXPECT_THAT(agent_->load_peer("owner", blob, TimePoint{}), FailsWith(ErrorCode::kDeadline, ""));
  kill(owner_->process(), SIGCONT);
  const auto peer = agent_->load_peer("owner", blob, soon());
  ASSERT_THAT(peer, IsOk());

  const Owned later = owner_->add(kSize, Access::kRead, false);
  owner_->fill(later.id, 4);
  const Bytes newer = owner_->metadata();
  stop(owner_->process());
  EXPECT_THAT(agent_->notify(*peer, {}, shortly()), FailsWith(ErrorCode::kDeadline, ""));
  EXPECT_THAT(agent_->update_peer(*peer, newer, shortly()), FailsWith(ErrorCode::kDeadline, ""));
  EXPECT_THAT(agent_->prepare_remote(*peer, {&later.region, 1}),
              FailsWith(ErrorCode::kInvalidArgument, ""));
  kill(owner_->process(), SIGCONT);
  // The answers to both questions come now, and are not taken for the answer to this one.
  ASSERT_THAT(agent_->update_peer(*peer, newer, soon()), IsOk());
  EXPECT_TRUE(reads(far(*peer, later.region), kSize, 4));
}

TEST_P(AgentWithProcess, ADeadPeerIsDeadAtOnceAndKillsNobody) {
  const Owned memory = owner_->add(kSize, Access::kReadWrite, false);
  const Owned adopted = owner_->add(kSize, Access::kRead, true);
  const Bytes blob = owner_->metadata();
  const auto peer = load();
  ASSERT_THAT(peer, IsOk());
  const auto side = far(*peer, memory.region);
  const auto adopted_side = far(*peer, adopted.region);
  ASSERT_EQ(agent_->process_of(*peer), owner_->process());
  kill(owner_->process(), SIGKILL);
  siginfo_t gone{};
  waitid(P_PID, static_cast<id_t>(owner_->process()), &gone, WEXITED | WNOWAIT);
  EXPECT_EQ(agent_->liveness(*peer), Liveness::kDead);

  Bytes bytes(100);
  const kvferry::Run run = whole(100);
  for (const Operation operation : {Operation::kRead, Operation::kWrite}) {
    EXPECT_THAT(move(operation, near(bytes), side, {&run, 1}),
                FailsWith(ErrorCode::kUnavailable, "gone"));
  }
  EXPECT_THAT(move(Operation::kRead, near(bytes), adopted_side, {&run, 1}),
              FailsWith(ErrorCode::kUnavailable, ""));
  EXPECT_THAT(agent_->notify(*peer, {}, soon()), FailsWith(ErrorCode::kUnavailable, ""));
  EXPECT_THAT(agent_->update_peer(*peer, blob, soon()), FailsWith(ErrorCode::kUnavailable, ""));
  ASSERT_THAT(agent_->forget_peer(*peer), IsOk());
  EXPECT_THAT(agent_->load_peer("owner", blob, soon()), FailsWith(ErrorCode::kUnavailable, ""));
}

TEST_P(AgentWithProcess, TheEndOfAPeerIsNoticedWithoutAsking) {
  const Owned memory = owner_->add(kSize, Access::kRead, false);
  const auto peer = load();
  ASSERT_THAT(peer, IsOk());
  const auto side = far(*peer, memory.region);
  kill(owner_->process(), SIGKILL);
  Bytes bytes(100);
  const kvferry::Run run = whole(100);
  const TimePoint end = soon();
  while (move(Operation::kRead, near(bytes), side, {&run, 1}) &&
         std::chrono::steady_clock::now() < end) {
    std::this_thread::yield();
  }
  EXPECT_THAT(move(Operation::kRead, near(bytes), side, {&run, 1}),
              FailsWith(ErrorCode::kUnavailable, "gone"));
}

INSTANTIATE_TEST_SUITE_P(Agents, AgentWithProcess,
                         ::testing::Values(shm_in_two_processes(), faulty_without_fault()),
                         case_name);

}  // namespace
}  // namespace kvferry::conformance
