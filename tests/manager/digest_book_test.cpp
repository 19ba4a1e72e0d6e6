// SPDX-License-Identifier: Apache-2.0
// Goal: who asks an owner for digests gets those of its question or an error, and is woken,
// whatever
//       is late, or sent by somebody else; an owner hears of what is not wanted any more.
// Method: an agent that keeps what is sent, and answers made by hand.
#include "manager/digest_book.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "fake_agent.hpp"
#include "kvferry/testing/matchers.hpp"
#include "workers.hpp"

namespace kvferry::manager {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using testing::FailsWith;
using ::testing::IsEmpty;
using testing::IsOk;
using ::testing::SizeIs;

class Counter final : public Waker {
 public:
  void wake() noexcept override { ++count; }
  int count{0};
};

class DigestBookTest : public ::testing::Test {
 protected:
  static constexpr Epoch kLife{3, 4};

  static wire::AskDigests question(std::size_t boxes) {
    wire::AskDigests made;
    made.layout = LayoutHandle{WorkerId{7}, LayoutId{0}};
    made.outers = 2;
    made.boxes.assign(boxes, {BlockId{1}, 0, 0, 16});
    return made;
  }
  std::uint64_t ask(std::size_t boxes = 2) {
    return book_->ask(owner_, question(boxes), clock_->now() + 30s, waker_);
  }
  void answer(const std::string& sender, std::uint64_t number, wire::ControlBody body,
              Epoch life = kLife) {
    book_->take(sender, {{life, number}, std::nullopt, std::move(body)});
  }
  std::vector<testing::FakeAgent::Sent> sent() {
    outbox_->send(TimePoint::max());
    return agent_->take_sent();
  }

  std::shared_ptr<const Clock> clock_ = std::make_shared<const SteadyClock>();
  std::shared_ptr<testing::FakeAgent> agent_ = std::make_shared<testing::FakeAgent>();
  std::shared_ptr<Contacts> contacts_ = std::make_shared<Contacts>(agent_, clock_);
  std::shared_ptr<Outbox> outbox_ = std::make_shared<Outbox>(agent_, clock_, LogHook{});
  ContactPtr owner_ = *contacts_->import("owner", std::vector{std::byte{1}}, TimePoint::max());
  std::shared_ptr<Counter> waker_ = std::make_shared<Counter>();
  std::shared_ptr<DigestBook> book_ = std::make_shared<DigestBook>(
      Asker{agent_, contacts_, outbox_, clock_, WorkerId{8}, kLife, {std::byte{5}}});
};

TEST_F(DigestBookTest, AsksAndTakesTheAnswerOnce) {
  const std::uint64_t number = ask();
  EXPECT_EQ(number, 1U);
  const auto asked = sent();
  ASSERT_THAT(asked, SizeIs(1));
  EXPECT_EQ(asked[0].peer, "owner");
  EXPECT_EQ(asked[0].message.request, (wire::ControlRequest{kLife, 1}));
  EXPECT_EQ(asked[0].message.contact, (wire::ControlContact{WorkerId{8}, {std::byte{5}}}));
  const auto& body = std::get<wire::AskDigests>(asked[0].message.body);
  EXPECT_GT(body.duration, 29s);
  EXPECT_LE(body.duration, 30s);
  EXPECT_THAT(body.boxes, SizeIs(2));
  EXPECT_FALSE(book_->take_answer(number).has_value());
  answer("owner", number, wire::ToldDigests{{{1, 2}, {3, 4}}});
  EXPECT_EQ(waker_->count, 1);
  const auto told = book_->take_answer(number);
  ASSERT_TRUE(told.has_value());
  EXPECT_THAT(**told, ElementsAre(Digest{1, 2}, Digest{3, 4}));
  EXPECT_FALSE(book_->take_answer(number).has_value());
  book_->give_up(number);
  EXPECT_THAT(sent(), IsEmpty());
}

TEST_F(DigestBookTest, TakesNoAnswerOfAnother) {
  const std::uint64_t number = ask(1);
  const wire::ToldDigests told{{{1, 2}}};
  answer("stranger", number, told);
  answer("owner", number + 1, told);
  answer("owner", number, told, {3, 5});
  answer("owner", number, wire::Held{});
  EXPECT_FALSE(book_->take_answer(number).has_value());
  EXPECT_EQ(waker_->count, 0);
  answer("owner", number, told);
  answer("owner", number, wire::Refused{{ErrorCode::kBusy, "later"}});
  EXPECT_THAT(*book_->take_answer(number), IsOk()) << "the first answer counts";
}

TEST_F(DigestBookTest, TellsWhyThereAreNone) {
  const std::uint64_t refused = ask();
  answer("owner", refused, wire::Refused{{ErrorCode::kStale, "gone\x1b"}});
  EXPECT_THAT(*book_->take_answer(refused),
              FailsWith(ErrorCode::kStale, "the owner refuses to tell digests: \"gone\\u001b\""));
  const std::uint64_t short_of = ask(3);
  answer("owner", short_of, wire::ToldDigests{{{1, 2}}});
  EXPECT_THAT(*book_->take_answer(short_of), FailsWith(ErrorCode::kCorrupt, "1 digests of 3"));
  const std::uint64_t late = ask();
  agent_->kill("owner");
  book_->look_around();
  EXPECT_EQ(waker_->count, 3);
  EXPECT_THAT(*book_->take_answer(late), FailsWith(ErrorCode::kUnavailable, "owner has died"));
}

TEST_F(DigestBookTest, TellsTheOwnerWhatIsNotWantedAnyMore) {
  const std::uint64_t number = ask();
  static_cast<void>(sent());
  book_->give_up(number);
  book_->give_up(number);
  const auto told = sent();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].message.request.number, number);
  EXPECT_EQ(std::get<wire::Release>(told[0].message.body).error->code, ErrorCode::kCancelled);
  answer("owner", number, wire::ToldDigests{{{1, 2}, {3, 4}}});
  EXPECT_EQ(waker_->count, 0);
}

/// A layout of a peer that is the second half of a model: 2 of 4 heads, layers 3 to 5 of 6.
RemoteLayoutPtr half_a_model() {
  layout::PackedLayout packed;
  packed.layers = {.origin = 3, .extent = 3, .whole = 6};
  packed.heads = {.origin = 2, .extent = 2, .whole = 4};
  packed.order = layout::kNhd;
  packed.config = {.num_blocks = 4,
                   .num_layers = 3,
                   .outer_dim = 2,
                   .page_size = 16,
                   .inner_dim = 64,
                   .num_heads = 2};
  const auto built = transfer::PhysicalLayout::packed(packed).allocate_system().build();
  EXPECT_TRUE(built.has_value());
  RemoteLayout layout{{}, {{}, (*built)->view(), {}, {}}, {}, {}, {}};
  layout.told.handle = LayoutHandle{WorkerId{7}, LayoutId{2}};
  return std::make_shared<RemoteLayout>(std::move(layout));
}

TEST_F(DigestBookTest, CountsRangesInTheOwnersLayout) {
  const RemoteLayoutPtr layout = half_a_model();
  {
    OwnerTeller teller{book_, owner_, layout, clock_->now() + 30s};
    const layout::LayoutView outer = *layout->told.view.slice(layout::Axis::kOuter, 1, 1);
    const layout::LayoutView part = *outer.slice(layout::Axis::kHead, 1, 1);
    EXPECT_THAT(teller.ask("scales", part, {{BlockId{3}, 4, 8, 8}}, waker_), IsOk());
    const auto asked = sent();
    ASSERT_THAT(asked, SizeIs(1));
    const auto& body = std::get<wire::AskDigests>(asked[0].message.body);
    EXPECT_EQ(body.layout, layout->told.handle);
    EXPECT_EQ(body.plane, "scales");
    EXPECT_EQ(body.first_outer, 1U);
    EXPECT_EQ(body.outers, 1U);
    EXPECT_EQ(body.first_head, 1U) << "head 3 of the model is the second here";
    EXPECT_EQ(body.heads, 1U);
    EXPECT_THAT(body.boxes, ElementsAre(DigestBox{BlockId{3}, 1, 8, 8}));
  }
  EXPECT_THAT(sent(), SizeIs(1)) << "who goes gives up";
}

TEST_F(DigestBookTest, TellsInTheOrderOfAskingAFewAtATime) {
  const RemoteLayoutPtr layout = half_a_model();
  OwnerTeller teller{book_, owner_, layout, clock_->now() + 30s};
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(teller.may_ask());
    EXPECT_THAT(teller.ask("", layout->told.view, {{BlockId{0}, 3, 0, 16}}, waker_), IsOk());
  }
  EXPECT_FALSE(teller.may_ask());
  std::vector<Digest> told;
  answer("owner", 2, wire::ToldDigests{{{2, 0}}});
  EXPECT_THAT(teller.take(told), IsOk());
  EXPECT_THAT(told, IsEmpty()) << "the first comes first";
  answer("owner", 1, wire::ToldDigests{{{1, 0}}});
  EXPECT_THAT(teller.take(told), IsOk());
  EXPECT_THAT(told, ElementsAre(Digest{1, 0}, Digest{2, 0}));
  EXPECT_TRUE(teller.may_ask());
  answer("owner", 3, wire::Refused{{ErrorCode::kBusy, "later"}});
  EXPECT_THAT(teller.take(told), FailsWith(ErrorCode::kBusy, "later"));
}

}  // namespace
}  // namespace kvferry::manager
