// SPDX-License-Identifier: Apache-2.0
// Goal: a peer is loaded into the agent once, whoever needs it, and forgotten with the last of
// them.
// Method: an agent that keeps what it was told; imports and meetings in every order, and at
// once.
#include "manager/contacts.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "fake_agent.hpp"
#include "kvferry/testing/matchers.hpp"

namespace kvferry::manager {
namespace {

using testing::FailsWith;
using testing::IsOk;
using Bytes = std::vector<std::byte>;

class ContactsTest : public ::testing::Test {
 protected:
  static TimePoint soon() { return std::chrono::steady_clock::now() + std::chrono::seconds{30}; }

  const Bytes whole_{std::byte{1}, std::byte{2}};
  const Bytes contact_{std::byte{1}};
  std::shared_ptr<testing::FakeAgent> agent_ = std::make_shared<testing::FakeAgent>();
  std::shared_ptr<Contacts> contacts_ =
      std::make_shared<Contacts>(agent_, std::make_shared<const SteadyClock>());
};

TEST_F(ContactsTest, LastOneForgetsThePeer) {
  EXPECT_EQ(contacts_->known("p"), nullptr);
  auto met = *contacts_->meet("p", contact_, soon());
  EXPECT_EQ(contacts_->known("p"), met);
  auto again = *contacts_->meet("p", contact_, soon());
  EXPECT_EQ(again, met);
  met.reset();
  EXPECT_EQ(agent_->loaded().size(), 1U);
  again.reset();
  EXPECT_TRUE(agent_->loaded().empty());
  EXPECT_EQ(contacts_->known("p"), nullptr);
}

TEST_F(ContactsTest, ImportSaysMoreThanAMeetingAndStays) {
  const auto met = contacts_->meet("p", contact_, soon());
  ASSERT_THAT(met, IsOk());
  EXPECT_EQ(agent_->loaded().at("p"), contact_);
  const auto imported = contacts_->import("p", whole_, soon());
  ASSERT_THAT(imported, IsOk());
  EXPECT_EQ(*imported, *met);
  EXPECT_EQ(agent_->loaded().at("p"), whole_);
  ASSERT_THAT(contacts_->meet("p", contact_, soon()), IsOk());
  EXPECT_EQ(agent_->loaded().at("p"), whole_);
  EXPECT_THAT(contacts_->import("p", whole_, soon()), FailsWith(ErrorCode::kBusy, "\"p\""));
  contacts_->forget(*imported);
  EXPECT_EQ(agent_->loaded().at("p"), contact_) << "its memory is not reachable any more";
  EXPECT_THAT(contacts_->import("p", whole_, soon()), IsOk());
}

TEST_F(ContactsTest, ForgetInTheMiddleOfAMeetingTakesTheMemoryAway) {
  const auto imported = contacts_->import("p", whole_, soon());
  ASSERT_THAT(imported, IsOk());
  agent_->set_liveness_hook([&] { contacts_->forget(*imported); });
  const auto met = contacts_->meet("p", contact_, soon());
  agent_->set_liveness_hook({});
  ASSERT_THAT(met, IsOk());
  EXPECT_EQ(agent_->loaded().at("p"), contact_) << "its memory is not reachable any more";
}

TEST_F(ContactsTest, DeadImportIsMetAnew) {
  const auto imported = contacts_->import("p", whole_, soon());
  ASSERT_THAT(imported, IsOk());
  ASSERT_THAT(contacts_->update(*imported, whole_, soon()), IsOk());
  agent_->kill("p");
  ASSERT_THAT(contacts_->meet("p", contact_, soon()), IsOk());
  EXPECT_EQ(agent_->loaded().at("p"), contact_);
}

TEST_F(ContactsTest, WhatFailsLeavesNothing) {
  agent_->set_error("p", Error{ErrorCode::kUnavailable, "gone"});
  EXPECT_THAT(contacts_->meet("p", contact_, soon()), FailsWith(ErrorCode::kUnavailable, ""));
  EXPECT_THAT(contacts_->import("p", whole_, soon()), FailsWith(ErrorCode::kUnavailable, ""));
  agent_->set_error("p", std::nullopt);
  const auto met = contacts_->meet("p", contact_, soon());
  ASSERT_THAT(met, IsOk());
  agent_->set_error("p", Error{ErrorCode::kUnavailable, "gone"});
  EXPECT_THAT(contacts_->import("p", whole_, soon()), FailsWith(ErrorCode::kUnavailable, ""));
  EXPECT_THAT(contacts_->update(*met, whole_, soon()), FailsWith(ErrorCode::kUnavailable, ""));
  agent_->set_error("p", std::nullopt);
  EXPECT_THAT(contacts_->import("p", whole_, soon()), IsOk());
}

TEST_F(ContactsTest, ManyAtOnceGetOne) {
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int index = 0; index < 4; ++index) {
    threads.emplace_back([&] {
      for (int round = 0; round < 2'000; ++round) {
        const auto met = contacts_->meet("p", contact_, soon());
        wrong += met && agent_->loaded().size() == 1 ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_TRUE(agent_->loaded().empty());
}

}  // namespace
}  // namespace kvferry::manager
