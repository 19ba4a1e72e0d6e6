// SPDX-License-Identifier: Apache-2.0
// Goal: who waits for an agent is told of a message, of a peer's end and of wake(), and of nothing
// else; a peer that knows only the contact can send.
// Method: one suite over all agents; where a thread waits, both orders of the two must end well.
#include <gtest/gtest.h>

#include <csignal>
#include <future>

#include "conformance/agent_cases.hpp"
#include "kvferry/testing/matchers.hpp"

namespace kvferry::conformance {
namespace {

using kvferry::testing::FailsWith;
using kvferry::testing::IsOk;

/// How long to wait for what must not come.
TimePoint shortly() { return std::chrono::steady_clock::now() + std::chrono::milliseconds{50}; }

class AgentWait : public AgentContract {
 protected:
  void expect_nothing() {
    EXPECT_THAT(agent_->wait(shortly()), FailsWith(ErrorCode::kDeadline, ""));
  }
  void send_back(const Bytes& message) {
    owner_->notify("tested", *agent_->local_metadata(), {message});
  }
};
class AgentWaitWithProcess : public AgentWait {};

TEST_P(AgentWait, EndsAtTheDeadlineWhenNothingComes) {
  expect_nothing();
  EXPECT_THAT(agent_->wait(TimePoint{}), FailsWith(ErrorCode::kDeadline, ""));
}

TEST_P(AgentWait, TellsOfMessagesUntilTheyAreTaken) {
  send_back({std::byte{1}});
  EXPECT_THAT(agent_->wait(soon()), IsOk());
  EXPECT_THAT(agent_->wait(TimePoint{}), IsOk()) << "it is still there";
  EXPECT_EQ(agent_->take_notifications().size(), 1U);
  expect_nothing();
}

TEST_P(AgentWait, TellsOfAMessageThatComes) {
  auto waiting = std::async(std::launch::async, [this] { return agent_->wait(soon()); });
  send_back({std::byte{1}});
  EXPECT_THAT(waiting.get(), IsOk());
}

TEST_P(AgentWait, IsEndedByWakeNowOrTheNextTime) {
  agent_->wake();
  agent_->wake();
  EXPECT_THAT(agent_->wait(soon()), IsOk());
  expect_nothing();
  auto waiting = std::async(std::launch::async, [this] { return agent_->wait(soon()); });
  agent_->wake();
  EXPECT_THAT(waiting.get(), IsOk());
}

TEST_P(AgentWait, ContactIsEnoughToSendAndTellsOfNoMemory) {
  const auto contact = agent_->contact_metadata();
  ASSERT_THAT(contact, IsOk());
  const auto memory = memory::allocate_system(4096);
  ASSERT_THAT(agent_->register_memory(*memory, Access::kRead), IsOk());
  EXPECT_EQ(*agent_->contact_metadata(), *contact);
  EXPECT_NE(*agent_->local_metadata(), *contact);
  owner_->notify("tested", *contact, {{std::byte{7}}});
  const auto got = agent_->take_notifications();
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].sender, "owner");
}

TEST_P(AgentWaitWithProcess, TellsOnceOfThePeersEnd) {
  const auto peer = load();
  ASSERT_THAT(peer, IsOk());
  expect_nothing();
  auto waiting = std::async(std::launch::async, [this] { return agent_->wait(soon()); });
  kill(owner_->process(), SIGKILL);
  EXPECT_THAT(waiting.get(), IsOk());
  EXPECT_EQ(agent_->liveness(*peer), agent::Liveness::kDead);
  expect_nothing();
}

INSTANTIATE_TEST_SUITE_P(Agents, AgentWait,
                         ::testing::Values(shm_in_one_process(), shm_in_two_processes(),
                                           faulty_without_fault()),
                         case_name);
INSTANTIATE_TEST_SUITE_P(Agents, AgentWaitWithProcess,
                         ::testing::Values(shm_in_two_processes(), faulty_without_fault()),
                         case_name);

}  // namespace
}  // namespace kvferry::conformance
