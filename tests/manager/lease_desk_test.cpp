// SPDX-License-Identifier: Apache-2.0
// Goal: an owner grants what may be held, refuses the rest with its reason, and every lease ends
// once, whatever readers send.
// Method: readers that are made up of messages, an agent that keeps the answers, a clock that
// the test moves; hooks that count.
#include "manager/lease_desk.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>

#include "fake_agent.hpp"
#include "kvferry/testing/manual_clock.hpp"
#include "kvferry/testing/matchers.hpp"
#include "workers.hpp"

namespace kvferry::manager {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class LeaseDeskTest : public ::testing::Test {
 protected:
  static constexpr Epoch kLife{1, 1};

  LeaseDeskTest() {
    auto entry = std::make_shared<LocalLayout>();
    entry->handle = layout_;
    entry->physical = testing::shared_layout(testing::standard_config(4),
                                             layout::Arrangement::kFullyContiguous, 1);
    entry->access = Access::kRead;
    entry->gate = gate_;
    registry_.add_local(entry);
    auto secret = std::make_shared<LocalLayout>(*entry);
    secret->handle = secret_;
    secret->access = Access::kNone;
    registry_.add_local(secret);
  }

  LeaseDeskOptions options() {
    LeaseDeskOptions made;
    made.agent = agent_;
    made.contacts = contacts_;
    made.outbox = outbox_;
    made.clock = clock_;
    made.log = [this](LogLevel, std::string_view message) { logged_ += message; };
    made.limits = {.per_reader = 3, .in_all = 4, .longest = 60s};
    made.hooks.ask = [this](const LeaseRequest& asked) {
      asked_.push_back(asked);
      return refuses_ ? Result<void>{*refuses_} : Result<void>{};
    };
    made.hooks.ended = [this](const LeaseRequest& ended, const std::optional<Error>& error) {
      ended_.emplace_back(ended.number, error);
    };
    return made;
  }

  void deliver(const std::string& sender, const wire::ControlMessage& message) {
    deliver_bytes(sender, *wire::encode_control(message));
  }
  void deliver_bytes(const std::string& sender, const std::vector<std::byte>& bytes) {
    const auto frame = wire::open_control(bytes);
    ASSERT_TRUE(frame.has_value());
    desk_.take(sender, *frame, wire::read_control(*frame));
  }
  static wire::ControlMessage hold(std::uint64_t number, Epoch life = kLife) {
    wire::Hold asked;
    asked.layout = layout_;
    asked.duration = 10s;
    asked.blocks = block_ids({0, 3});
    return {{life, number}, wire::ControlContact{WorkerId{8}, {std::byte{1}}}, asked};
  }
  /// The hold with one thing changed.
  static wire::ControlMessage hold(std::uint64_t number,
                                   const std::function<void(wire::Hold&)>& change) {
    wire::ControlMessage made = hold(number);
    change(std::get<wire::Hold>(made.body));
    return made;
  }
  static wire::ControlMessage release(std::uint64_t number, std::optional<Error> error = {}) {
    return {{kLife, number}, std::nullopt, wire::Release{std::move(error)}};
  }

  /// What was answered since the last time: "reader number held", or the code and words.
  std::string answers() {
    outbox_->send(TimePoint::max());
    std::string all;
    for (const auto& sent : agent_->take_sent()) {
      all += sent.peer + " " + std::to_string(sent.message.request.number) + " ";
      if (const auto* refused = std::get_if<wire::Refused>(&sent.message.body)) {
        all += std::string{to_string(refused->why.code)} + ": " + refused->why.message;
      } else {
        all += "held";
      }
      all += ";";
    }
    return all;
  }

  static constexpr LayoutHandle layout_{WorkerId{7}, LayoutId{0}};
  static constexpr LayoutHandle secret_{WorkerId{7}, LayoutId{1}};
  std::shared_ptr<testing::ManualClock> clock_ = std::make_shared<testing::ManualClock>();
  std::shared_ptr<testing::FakeAgent> agent_ = std::make_shared<testing::FakeAgent>();
  std::shared_ptr<Contacts> contacts_ = std::make_shared<Contacts>(agent_, clock_);
  std::shared_ptr<Outbox> outbox_ = std::make_shared<Outbox>(agent_, clock_, LogHook{});
  transfer::GatePtr gate_ = std::make_shared<transfer::Gate>();
  std::string logged_;
  std::optional<Error> refuses_;
  std::vector<LeaseRequest> asked_;
  std::vector<std::pair<std::uint64_t, std::optional<Error>>> ended_;
  Registry registry_;
  LeaseDesk desk_{options(), registry_};
};

TEST_F(LeaseDeskTest, HoldsUntilTheReaderReleases) {
  deliver("r", hold(1));
  EXPECT_EQ(answers(), "r 1 held;");
  ASSERT_EQ(asked_.size(), 1U);
  EXPECT_EQ(asked_[0].reader, WorkerId{8});
  EXPECT_EQ(asked_[0].reader_agent, "r");
  EXPECT_EQ(asked_[0].blocks, block_ids({0, 3}));
  EXPECT_EQ(asked_[0].deadline, clock_->now() + 10s);
  EXPECT_EQ(desk_.next_deadline(), clock_->now() + 10s);
  EXPECT_EQ(desk_.held(), 1U);
  EXPECT_FALSE(gate_->close(*clock_, clock_->now())) << "the layout can be taken away";
  desk_.look_around();
  EXPECT_TRUE(ended_.empty());
  deliver("r", release(1));
  ASSERT_EQ(ended_.size(), 1U);
  EXPECT_EQ(ended_[0].second, std::nullopt);
  EXPECT_EQ(desk_.held(), 0U);
  EXPECT_TRUE(gate_->close(*clock_, clock_->now()));
}

TEST_F(LeaseDeskTest, EndsWithWhatTheReaderTells) {
  deliver("r", hold(1));
  const Error told{ErrorCode::kDeadline, "3 of 4 bytes"};
  deliver("r", release(1, told));
  ASSERT_EQ(ended_.size(), 1U);
  EXPECT_EQ(ended_[0].second, told);
}

TEST_F(LeaseDeskTest, EndsAtTheDeadline) {
  deliver("r", hold(1));
  deliver("r", hold(2, [](wire::Hold& asked) { asked.duration = 20s; }));
  clock_->advance(10s);
  desk_.look_around();
  ASSERT_EQ(ended_.size(), 1U);
  EXPECT_EQ(ended_[0].first, 1U);
  EXPECT_EQ(ended_[0].second->code, ErrorCode::kDeadline);
  EXPECT_EQ(desk_.next_deadline(), clock_->now() + 10s);
  deliver("r", release(1));
  EXPECT_EQ(ended_.size(), 1U) << "it has ended";
}

TEST_F(LeaseDeskTest, EndsWithTheReader) {
  deliver("r", hold(1));
  deliver("s", hold(1));
  EXPECT_EQ(answers(), "r 1 held;s 1 held;");
  agent_->kill("r");
  desk_.look_around();
  ASSERT_EQ(ended_.size(), 1U);
  EXPECT_EQ(ended_[0].second->code, ErrorCode::kUnavailable);
  EXPECT_EQ(desk_.held(), 1U);
  EXPECT_EQ(contacts_->known("r"), nullptr) << "nothing of the dead is kept";
}

TEST_F(LeaseDeskTest, EndsWithTheReadersLife) {
  deliver("r", hold(1));
  deliver("r", hold(1, Epoch{2, 2}));
  ASSERT_EQ(ended_.size(), 1U);
  EXPECT_THAT(ended_[0].second->message, HasSubstr("another life"));
  EXPECT_EQ(answers(), "r 1 held;r 1 held;");
  deliver("r", release(1));
  EXPECT_EQ(ended_.size(), 1U) << "a release of the earlier life";
  deliver("r", hold(2));
  EXPECT_EQ(answers(), "") << "a message of the earlier life";
  EXPECT_EQ(desk_.held(), 1U);
}

TEST_F(LeaseDeskTest, EndsWithTheManager) {
  deliver("r", hold(1));
  desk_.close();
  ASSERT_EQ(ended_.size(), 1U);
  EXPECT_EQ(ended_[0].second->code, ErrorCode::kCancelled);
  EXPECT_EQ(desk_.held(), 0U);
}

TEST_F(LeaseDeskTest, RefusesWhatCannotBeHeld) {
  const auto refused = [this](const wire::ControlMessage& asked, const std::string& why) {
    deliver("r", asked);
    EXPECT_THAT(answers(), HasSubstr(why));
  };
  refused(hold(1,
               [](wire::Hold& asked) {
                 asked.blocks = block_ids({0, 4});
               }),
          "r 1 InvalidArgument: block 4 of 4");
  refused(hold(2, [](wire::Hold& asked) { asked.layout = secret_; }),
          "r 2 Refused: LayoutHandle(worker=7, layout=1) is not for peers");
  refused(hold(3,
               [](wire::Hold& asked) {
                 asked.layout = {WorkerId{7}, LayoutId{9}};
               }),
          "r 3 Stale: LayoutHandle(worker=7, layout=9) is not registered");
  refused(hold(4, [](wire::Hold& asked) { asked.duration = 60'001ms; }),
          "r 4 InvalidArgument: a hold of 60001 ms of 60000");
  refuses_ = Error{ErrorCode::kRefused, "about to be recycled"};
  refused(hold(5), "r 5 Refused: about to be recycled");
  EXPECT_EQ(asked_.size(), 1U) << "the engine is asked only what could be";
  refuses_.reset();
  ASSERT_TRUE(gate_->close(*clock_, clock_->now()));
  refused(hold(6), "r 6 Stale: LayoutHandle(worker=7, layout=0) is not registered");
  EXPECT_TRUE(ended_.empty());
  EXPECT_EQ(desk_.held(), 0U);
}

TEST_F(LeaseDeskTest, IsBounded) {
  for (std::uint64_t number = 1; number <= 3; ++number) {
    deliver("r", hold(number));
  }
  EXPECT_EQ(answers(), "r 1 held;r 2 held;r 3 held;");
  deliver("r", hold(4));
  EXPECT_EQ(answers(), "r 4 Busy: leases: 3 of 3 of this reader are held;");
  deliver("s", hold(1));
  deliver("s", hold(2));
  EXPECT_EQ(answers(), "s 1 held;s 2 Busy: leases: 4 of 4 of all readers are held;");
  EXPECT_EQ(asked_.size(), 4U);
}

TEST_F(LeaseDeskTest, KeepsABoundedNumberOfReaders) {
  for (int reader = 0; reader < 300; ++reader) {
    deliver("r" + std::to_string(reader), hold(1));
  }
  EXPECT_EQ(asked_.size(), 4U);
  EXPECT_LE(agent_->loaded().size(), 256U + 300U);  // Some wait for their answer.
  static_cast<void>(answers());
  EXPECT_EQ(agent_->loaded().size(), 256U);
  EXPECT_EQ(desk_.held(), 4U);
}

TEST_F(LeaseDeskTest, ReplayedMessagesHaveNoEffect) {
  deliver("r", hold(1));
  deliver("r", hold(1));
  EXPECT_EQ(answers(), "r 1 held;");
  EXPECT_THAT(logged_, HasSubstr("request 1 of \"r\" came twice"));
  deliver("r", release(1));
  deliver("r", release(1));
  deliver("r", hold(1));
  EXPECT_EQ(answers(), "");
  EXPECT_EQ(asked_.size(), 1U);
  EXPECT_EQ(ended_.size(), 1U);
  deliver("r", hold(2000));
  deliver("r", hold(2));
  EXPECT_EQ(answers(), "r 2000 held;r 2 Stale: request 2 is too old;");
}

TEST_F(LeaseDeskTest, ReleaseThatOvertakesItsHoldUsesUpTheNumber) {
  deliver("r", hold(1));
  deliver("r", release(2));
  deliver("r", hold(2));
  EXPECT_EQ(answers(), "r 1 held;");
  EXPECT_EQ(desk_.held(), 1U);
}

TEST_F(LeaseDeskTest, AnswersWhatIsNotKnownHere) {
  wire::ControlFrame frame;
  frame.version = 1;
  frame.type = 9;
  frame.request = {kLife, 5};
  frame.contact = hold(5).contact;
  desk_.take("r", frame, wire::read_control(frame));
  EXPECT_THAT(answers(), HasSubstr("r 5 Incompatible: control messages of type 9"));
  frame.contact.reset();
  desk_.take("r", frame, wire::read_control(frame));
  EXPECT_EQ(answers(), "") << "who does not say how wants no answer";
  frame.type = 1;  // A hold without a body.
  frame.contact = hold(5).contact;
  desk_.take("r", frame, wire::read_control(frame));
  EXPECT_EQ(answers(), "") << "nothing in it can be believed";
  EXPECT_EQ(desk_.held(), 0U);
}

TEST_F(LeaseDeskTest, StrangersTakeHalfOfTheTimeAtMost) {
  deliver("r", hold(1));
  agent_->set_error("stranger", Error{ErrorCode::kDeadline, ""});
  agent_->set_load_hook([this] { clock_->advance(800ms); });
  deliver("stranger", hold(1));
  EXPECT_THAT(logged_, HasSubstr("cannot answer \"stranger\""));
  agent_->set_error("stranger", std::nullopt);
  agent_->set_load_hook({});
  deliver("stranger", hold(2));
  deliver("r", hold(2));
  EXPECT_EQ(answers(), "r 1 held;r 2 held;") << "those who are known go on";
  clock_->advance(800ms);
  deliver("stranger", hold(3));
  EXPECT_EQ(answers(), "stranger 3 held;");
}

}  // namespace
}  // namespace kvferry::manager
