// SPDX-License-Identifier: Apache-2.0
// Goal: every message is taken by its peer or given up in time, and a silent peer holds up no
// other.
// Method: peers that are silent, full or gone, and a clock that the test moves.
#include "manager/outbox.hpp"

#include <gtest/gtest.h>

#include <chrono>

#include "fake_agent.hpp"
#include "kvferry/testing/manual_clock.hpp"

namespace kvferry::manager {
namespace {

using namespace std::chrono_literals;

class OutboxTest : public ::testing::Test {
 protected:
  ContactPtr peer(const std::string& name) {
    return *contacts_->meet(name, std::vector{std::byte{1}}, TimePoint::max());
  }
  void put(const ContactPtr& to, std::uint64_t number) {
    outbox_.put(to, {{{}, number}, std::nullopt, wire::Held{}});
  }
  /// Sends what is ready and says whom it reached.
  std::string send() {
    outbox_.send(TimePoint::max());
    std::string reached;
    for (const auto& sent : agent_->take_sent()) {
      reached += sent.peer + std::to_string(sent.message.request.number) + " ";
    }
    return reached;
  }
  void set_error(const std::string& name, ErrorCode code) {
    agent_->set_error(name, Error{code, "as the test says"});
  }

  std::shared_ptr<testing::ManualClock> clock_ = std::make_shared<testing::ManualClock>();
  std::shared_ptr<testing::FakeAgent> agent_ = std::make_shared<testing::FakeAgent>();
  std::shared_ptr<Contacts> contacts_ = std::make_shared<Contacts>(agent_, clock_);
  int logged_{0};
  Outbox outbox_{agent_, clock_, [this](LogLevel, std::string_view) { ++logged_; }};
};

TEST_F(OutboxTest, SendsInOrderAndWakes) {
  const ContactPtr a = peer("a");
  EXPECT_EQ(outbox_.next_deadline(), TimePoint::max());
  put(a, 1);
  put(a, 2);
  EXPECT_EQ(outbox_.next_deadline(), clock_->now());
  EXPECT_TRUE(agent_->wait(TimePoint{})) << "it was not woken";
  EXPECT_EQ(send(), "a1 a2 ");
  EXPECT_EQ(outbox_.next_deadline(), TimePoint::max());
}

TEST_F(OutboxTest, SilentPeerIsTriedOnceASecondAndTheOthersAreServed) {
  const ContactPtr a = peer("a");
  const ContactPtr b = peer("b");
  put(a, 1);
  put(a, 2);
  put(b, 1);
  set_error("a", ErrorCode::kDeadline);
  EXPECT_EQ(send(), "") << "it returns, so that others can be looked after";
  EXPECT_EQ(send(), "b1 ");
  EXPECT_EQ(outbox_.next_deadline(), clock_->now() + 1s);
  clock_->advance(1s);
  agent_->set_error("a", std::nullopt);
  EXPECT_EQ(send(), "a2 a1 ");
}

TEST_F(OutboxTest, FullPeerIsTriedAgain) {
  const ContactPtr a = peer("a");
  put(a, 1);
  set_error("a", ErrorCode::kBusy);
  EXPECT_EQ(send(), "");
  EXPECT_EQ(outbox_.next_deadline(), clock_->now() + 10ms);
  clock_->advance(10ms);
  agent_->set_error("a", std::nullopt);
  EXPECT_EQ(send(), "a1 ");
}

TEST_F(OutboxTest, GivesUpWhatCannotBeTold) {
  const ContactPtr a = peer("a");
  put(a, 1);
  set_error("a", ErrorCode::kUnavailable);
  EXPECT_EQ(send(), "");
  EXPECT_EQ(outbox_.next_deadline(), TimePoint::max());
  EXPECT_EQ(logged_, 1);
  put(a, 2);
  set_error("a", ErrorCode::kDeadline);
  for (int second = 0; second < 10; ++second) {
    EXPECT_EQ(send(), "");
    EXPECT_NE(outbox_.next_deadline(), TimePoint::max());
    clock_->advance(1s);
  }
  EXPECT_EQ(send(), "");
  EXPECT_EQ(outbox_.next_deadline(), TimePoint::max());
  EXPECT_EQ(logged_, 2);
}

TEST_F(OutboxTest, SilentPeerThatDiesIsGivenUpAtOnce) {
  put(peer("a"), 1);
  set_error("a", ErrorCode::kDeadline);
  EXPECT_EQ(send(), "");
  set_error("a", ErrorCode::kUnavailable);
  EXPECT_EQ(send(), "");
  EXPECT_EQ(logged_, 0) << "it may still come back";
  agent_->kill("a");
  EXPECT_EQ(send(), "");
  EXPECT_EQ(logged_, 1);
  EXPECT_EQ(outbox_.next_deadline(), TimePoint::max());
}

TEST_F(OutboxTest, KeepsPeersLoadedUntilTheyAreTold) {
  put(peer("a"), 1);
  EXPECT_EQ(agent_->loaded().size(), 1U);
  EXPECT_EQ(send(), "a1 ");
  EXPECT_TRUE(agent_->loaded().empty());
}

}  // namespace
}  // namespace kvferry::manager
