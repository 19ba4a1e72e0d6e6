// SPDX-License-Identifier: Apache-2.0
// Goal: who asks an owner gets its answer in time or an error, and the owner is told once,
// whatever is late, lost, or sent by somebody else.
// Method: an agent that keeps what is sent, and answers made by hand.
#include "manager/hold_book.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>

#include "fake_agent.hpp"
#include "kvferry/testing/matchers.hpp"

namespace kvferry::manager {
namespace {

using namespace std::chrono_literals;
using testing::FailsWith;
using testing::IsOk;
using Asked = Result<std::unique_ptr<HeldBlocks>>;

class HoldBookTest : public ::testing::Test {
 protected:
  static constexpr Epoch kLife{3, 4};

  static TimePoint in(Duration time) { return std::chrono::steady_clock::now() + time; }
  static wire::Hold hold() {
    wire::Hold made;
    made.layout = LayoutHandle{WorkerId{7}, LayoutId{0}};
    made.blocks = block_ids({1, 2});
    return made;
  }
  std::future<Asked> ask(Duration deadline = 30s) {
    return std::async(std::launch::async,
                      [this, deadline] { return book_->ask(owner_, hold(), in(deadline)); });
  }
  void answer(const std::string& sender, std::uint64_t number, wire::ControlBody body,
              Epoch life = kLife) {
    book_->take(sender, {{life, number}, std::nullopt, std::move(body)});
  }
  /// What the owner was told: the number, and the code of a release.
  std::string told() {
    outbox_->send(TimePoint::max());
    std::string all;
    for (const auto& sent : agent_->take_sent()) {
      const auto& release = std::get<wire::Release>(sent.message.body);
      all += std::to_string(sent.message.request.number) + " " +
             (release.error ? std::string{to_string(release.error->code)} : "ok") + ";";
    }
    return all;
  }

  std::shared_ptr<const Clock> clock_ = std::make_shared<const SteadyClock>();
  std::shared_ptr<testing::FakeAgent> agent_ = std::make_shared<testing::FakeAgent>();
  std::shared_ptr<Contacts> contacts_ = std::make_shared<Contacts>(agent_, clock_);
  std::shared_ptr<Outbox> outbox_ = std::make_shared<Outbox>(agent_, clock_, LogHook{});
  ContactPtr owner_ = *contacts_->import("owner", std::vector{std::byte{1}}, TimePoint::max());
  std::shared_ptr<HoldBook> book_ = std::make_shared<HoldBook>(
      Asker{agent_, contacts_, outbox_, clock_, WorkerId{8}, kLife, {std::byte{5}}});
};

TEST_F(HoldBookTest, AsksAndTellsTheEndOnce) {
  auto asked = ask();
  const auto sent = agent_->next_sent();
  EXPECT_EQ(sent.peer, "owner");
  EXPECT_EQ(sent.message.request, (wire::ControlRequest{kLife, 1}));
  EXPECT_EQ(sent.message.contact, (wire::ControlContact{WorkerId{8}, {std::byte{5}}}));
  const auto& said = std::get<wire::Hold>(sent.message.body);
  EXPECT_EQ(said.blocks, hold().blocks);
  EXPECT_GT(said.duration, 30s) << "the end must be told after the deadline";
  EXPECT_LE(said.duration, 31s);
  answer("owner", 1, wire::Held{});
  auto held = asked.get();
  ASSERT_THAT(held, IsOk());
  EXPECT_EQ(told(), "");
  answer("owner", 1, wire::Held{});
  EXPECT_EQ(told(), "") << "an answer that comes twice";
  (*held)->end(std::nullopt);
  EXPECT_EQ(told(), "1 ok;");
  (*held)->end(Error{ErrorCode::kBusy, ""});
  held->reset();
  EXPECT_EQ(told(), "");
}

TEST_F(HoldBookTest, TellsWhatWasLetGoOf) {
  auto asked = ask();
  static_cast<void>(agent_->next_sent());
  answer("owner", 1, wire::Held{});
  { const auto held = asked.get(); }
  EXPECT_EQ(told(), "1 Cancelled;");
}

TEST_F(HoldBookTest, GivesTheOwnersRefusal) {
  auto asked = ask();
  static_cast<void>(agent_->next_sent());
  answer("somebody", 1, wire::Held{});
  answer("owner", 1, wire::Held{}, Epoch{9, 9});
  answer("owner", 2, wire::Refused{{ErrorCode::kBusy, "of another request"}});
  answer("owner", 1, wire::Refused{{ErrorCode::kRefused, "not now"}});
  EXPECT_THAT(asked.get(), FailsWith(ErrorCode::kRefused, "the owner refuses: not now"));
  EXPECT_EQ(told(), "") << "nothing is held";
}

TEST_F(HoldBookTest, GivesARefusalThatIsFitForATerminal) {
  auto asked = ask();
  static_cast<void>(agent_->next_sent());
  answer("owner", 1, wire::Refused{{ErrorCode::kRefused, "not \x1B[2J now\xFF"}});
  const auto refused = asked.get();
  EXPECT_THAT(refused, FailsWith(ErrorCode::kRefused, "the owner refuses: \"not "));
  for (const char letter : refused.error().message) {
    EXPECT_GE(letter, ' ');
  }
}

TEST_F(HoldBookTest, GivesUpAtTheDeadlineAndReleasesLateAnswers) {
  auto asked = ask(20ms);
  static_cast<void>(agent_->next_sent());
  EXPECT_THAT(asked.get(), FailsWith(ErrorCode::kDeadline, "did not answer request 1"));
  EXPECT_EQ(told(), "1 Deadline;");
  answer("owner", 1, wire::Held{});
  EXPECT_EQ(told(), "1 Deadline;") << "the first release may have been lost";
  answer("owner", 1, wire::Refused{{ErrorCode::kBusy, ""}});
  answer("stranger", 1, wire::Held{});
  EXPECT_EQ(told(), "");
}

TEST_F(HoldBookTest, GivesUpAnOwnerThatDies) {
  auto asked = ask();
  static_cast<void>(agent_->next_sent());
  agent_->kill("owner");
  book_->look_around();
  EXPECT_THAT(asked.get(), FailsWith(ErrorCode::kUnavailable, "the owner has died"));
}

TEST_F(HoldBookTest, TellsWhatCannotBeAsked) {
  agent_->set_error("owner", Error{ErrorCode::kBusy, "full"});
  EXPECT_THAT(book_->ask(owner_, hold(), in(30s)), FailsWith(ErrorCode::kBusy, "ask the owner"));
  agent_->set_error("owner", Error{ErrorCode::kDeadline, "frozen"});
  EXPECT_THAT(book_->ask(owner_, hold(), in(30s)), FailsWith(ErrorCode::kDeadline, "frozen"));
  agent_->set_error("owner", std::nullopt);
  EXPECT_EQ(told(), "2 Deadline;") << "the hold may have arrived all the same";
  wire::Hold none = hold();
  none.blocks.clear();
  EXPECT_THAT(book_->ask(owner_, none, in(30s)), FailsWith(ErrorCode::kInvalidArgument, "0 block"));
}

}  // namespace
}  // namespace kvferry::manager
