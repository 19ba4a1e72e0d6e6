// SPDX-License-Identifier: Apache-2.0
// Goal: an owner tells the digests of its own memory, and of nothing that is not for peers or not
//       there; questions that wait are bounded, dropped when they are not wanted, and hold their
//       layout.
// Method: questions made by hand, an agent that keeps the answers; a clock that stands still past a
//         deadline.
#include "manager/digest_desk.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "fake_agent.hpp"
#include "kvferry/testing/manual_clock.hpp"
#include "kvferry/testing/matchers.hpp"
#include "transfer/digest.hpp"
#include "workers.hpp"

namespace kvferry::manager {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class DigestDeskTest : public ::testing::Test {
 protected:
  static constexpr LayoutHandle kLayout{WorkerId{7}, LayoutId{0}};
  static constexpr LayoutHandle kSecret{WorkerId{7}, LayoutId{1}};

  DigestDeskTest() {
    layout::PackedLayout packed;
    packed.layers = {.origin = 3, .extent = 3, .whole = 6};
    packed.heads = {.origin = 0, .extent = 2, .whole = 2};
    packed.order = layout::kHnd;
    packed.config = {.num_blocks = 4,
                     .num_layers = 3,
                     .outer_dim = 2,
                     .page_size = 16,
                     .inner_dim = 64,
                     .num_heads = 2};
    const auto built = transfer::PhysicalLayout::packed(packed).allocate_system().build();
    EXPECT_TRUE(built.has_value());
    EXPECT_TRUE(
        pattern_fill((*built)->view(), (*built)->region_bases(), testing::pattern_blocks(4), 9)
            .has_value());
    LocalLayout entry;
    entry.handle = kLayout;
    entry.physical = *built;
    entry.access = Access::kRead;
    entry.gate = gate_;
    registry_.add_local(std::make_shared<LocalLayout>(entry));
    entry.handle = kSecret;
    entry.access = Access::kNone;
    registry_.add_local(std::make_shared<LocalLayout>(entry));
    physical_ = *built;
  }

  static wire::AskDigests question(const std::function<void(wire::AskDigests&)>& change = {}) {
    wire::AskDigests made;
    made.layout = kLayout;
    made.duration = 10s;
    made.outers = 2;
    made.heads = 2;
    made.boxes = {{BlockId{1}, 2, 0, 16}, {BlockId{3}, 0, 4, 8}};
    if (change) {
      change(made);
    }
    return made;
  }
  /// What was answered to a question, "digests 2" or the code and words; empty: nothing within a
  /// while.
  std::string answer(const wire::AskDigests& asked, Duration patience = 10s) {
    desk_.take(reader_, {{1, 1}, ++number_}, asked);
    return next_answer(patience);
  }
  /// A question that takes a while.
  static wire::AskDigests long_question() {
    return question([](wire::AskDigests& asked) {
      asked.boxes.assign(wire::kDigestsMax, DigestBox{asked.boxes.front()});
    });
  }
  /// Asks as often as there is room for. Says how often.
  std::uint64_t ask_many() {
    constexpr std::uint64_t kMany = 60;
    for (std::uint64_t i = 0; i < kMany; ++i) {
      desk_.take(reader_, {{1, 1}, ++number_}, long_question());
    }
    return kMany;
  }
  std::uint64_t answers_until_silence() {
    std::uint64_t count = 0;
    auto end = std::chrono::steady_clock::now() + 500ms;
    while (std::chrono::steady_clock::now() < end) {
      outbox_->send(TimePoint::max());
      if (const auto sent = agent_->take_sent(); !sent.empty()) {
        count += sent.size();
        end = std::chrono::steady_clock::now() + 500ms;
      }
      std::this_thread::yield();
    }
    return count;
  }
  std::string next_answer(Duration patience = 10s) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (std::chrono::steady_clock::now() < end) {
      outbox_->send(TimePoint::max());
      const auto sent = agent_->take_sent();
      if (!sent.empty()) {
        const wire::ControlMessage& message = sent.front().message;
        if (const auto* refused = std::get_if<wire::Refused>(&message.body)) {
          return std::string{to_string(refused->why.code)} + ": " + refused->why.message;
        }
        told_ = std::get<wire::ToldDigests>(message.body).digests;
        return "digests " + std::to_string(told_.size());
      }
      std::this_thread::yield();
    }
    return "";
  }

  std::shared_ptr<testing::ManualClock> clock_ = std::make_shared<testing::ManualClock>();
  std::shared_ptr<testing::FakeAgent> agent_ = std::make_shared<testing::FakeAgent>();
  std::shared_ptr<Contacts> contacts_ = std::make_shared<Contacts>(agent_, clock_);
  std::shared_ptr<Outbox> outbox_ = std::make_shared<Outbox>(agent_, clock_, LogHook{});
  ContactPtr reader_ = *contacts_->import("reader", std::vector{std::byte{1}}, TimePoint::max());
  transfer::GatePtr gate_ = std::make_shared<transfer::Gate>();
  transfer::PhysicalLayoutPtr physical_;
  Registry registry_;
  DigestDesk desk_{outbox_, clock_, registry_};
  std::uint64_t number_{0};
  std::vector<Digest> told_;
};

TEST_F(DigestDeskTest, TellsTheDigestsOfItsMemory) {
  EXPECT_EQ(answer(question()), "digests 2");
  transfer::Digester digester;
  const auto of = [&](const layout::LayoutView& view, const DigestBox& box) {
    return digester.of(view, physical_->region_bases(), box);
  };
  EXPECT_EQ(told_[0], of(physical_->view(), {BlockId{1}, 5, 0, 16}))
      << "layer 2 of the layout is 5 of the model";
  EXPECT_EQ(told_[1], of(physical_->view(), {BlockId{3}, 3, 4, 8}));
  EXPECT_EQ(answer(question([](wire::AskDigests& asked) {
              asked.first_outer = 1;
              asked.outers = 1;
              asked.first_head = 1;
              asked.heads = 1;
            })),
            "digests 2");
  const layout::LayoutView outer = *physical_->view().slice(layout::Axis::kOuter, 1, 1);
  EXPECT_EQ(told_[0], of(*outer.slice(layout::Axis::kHead, 1, 1), {BlockId{1}, 5, 0, 16}));
  EXPECT_EQ(answer(question([](wire::AskDigests& asked) {
              asked.heads = 0;
              asked.boxes = {{BlockId{1}, 2, 0, 16}};
            })),
            "digests 1");
  EXPECT_EQ(told_[0], of(*physical_->view().collapsed(), {BlockId{1}, 5, 0, 16}));
}

TEST_F(DigestDeskTest, RefusesWhatIsNotThereOrNotForPeers) {
  const auto refused = [this](const std::function<void(wire::AskDigests&)>& change,
                              const std::string& why) {
    EXPECT_THAT(answer(question(change)), HasSubstr(why));
  };
  using Asked = wire::AskDigests;
  refused([](Asked& asked) { asked.layout = kSecret; }, "Refused: ");
  refused([](Asked& asked) { asked.layout = LayoutHandle{WorkerId{7}, LayoutId{9}}; }, "Stale: ");
  refused([](Asked& asked) { asked.plane = "scales"; }, "InvalidArgument: ");
  refused([](Asked& asked) { asked.outers = 3; }, "InvalidArgument: outer axis: cannot take 3");
  refused([](Asked& asked) { asked.first_head = 1; }, "InvalidArgument: head axis: cannot take");
  refused([](Asked& asked) { asked.heads = ~std::uint64_t{0}; },
          "InvalidArgument: head axis: cannot take");
  refused([](Asked& asked) { asked.boxes[1].block = BlockId{4}; }, "InvalidArgument: block 4");
  refused([](Asked& asked) { asked.boxes[1].layer = 3; }, "InvalidArgument: layer 6");
  refused([](Asked& asked) { asked.boxes[1].tokens = 13; }, "InvalidArgument: token 4 and 13");
  refused([](Asked& asked) { asked.heads = 0; }, "InvalidArgument: tokens: 8 of a page of 16");
  ASSERT_TRUE(gate_->close(*clock_, clock_->now()));
  refused({}, "Stale: ");
}

TEST_F(DigestDeskTest, HasRoomForSomeQuestionsOfAReader) {
  const wire::AskDigests asked = long_question();
  std::string answers;
  for (int i = 0; i < 2000 && answers.find("Busy") == std::string::npos; ++i) {
    desk_.take(reader_, {{1, 1}, ++number_}, asked);
    outbox_->send(TimePoint::max());
    for (const auto& sent : agent_->take_sent()) {
      if (const auto* refused = std::get_if<wire::Refused>(&sent.message.body)) {
        answers += std::string{to_string(refused->why.code)} + ": " + refused->why.message;
      }
    }
  }
  EXPECT_THAT(answers, HasSubstr("Busy: digests: 64 questions of this reader wait"));
}

TEST_F(DigestDeskTest, DropsWhatIsNotWanted) {
  const std::uint64_t asked = ask_many();
  for (std::uint64_t number = 1; number <= asked; ++number) {
    desk_.drop("reader", {{1, 1}, number});
  }
  EXPECT_LT(answers_until_silence(), asked);
  EXPECT_EQ(answer(question()), "digests 2");
}

TEST_F(DigestDeskTest, DropsWhatIsTooLate) {
  const std::uint64_t asked = ask_many();
  clock_->advance(11s);
  EXPECT_LT(answers_until_silence(), asked);
  EXPECT_EQ(answer(question()), "digests 2");
}

TEST_F(DigestDeskTest, HoldsTheLayoutOfWhatWaitsUntilItEnds) {
  static_cast<void>(ask_many());
  EXPECT_FALSE(gate_->close(*clock_, clock_->now())) << "its memory is being read";
  gate_->open();
  desk_.close();
  EXPECT_TRUE(gate_->close(*clock_, clock_->now()));
}

}  // namespace
}  // namespace kvferry::manager
