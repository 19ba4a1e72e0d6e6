// SPDX-License-Identifier: Apache-2.0
// Goal: the thread hears messages, deaths and deadlines by itself, survives whatever is sent,
// and ends.
// Method: an agent whose messages and deaths the test makes; promises that hooks keep.
#include "manager/peer_service.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>

#include "fake_agent.hpp"
#include "kvferry/testing/matchers.hpp"
#include "workers.hpp"

namespace kvferry::manager {
namespace {

using namespace std::chrono_literals;
using testing::FailsWith;
using testing::IsOk;

class PeerServiceTest : public ::testing::Test {
 protected:
  PeerServiceTest() {
    auto entry = std::make_shared<LocalLayout>();
    entry->handle = LayoutHandle{WorkerId{7}, LayoutId{0}};
    entry->physical = testing::shared_layout(testing::standard_config(4),
                                             layout::Arrangement::kFullyContiguous, 1);
    entry->access = Access::kRead;
    entry->gate = std::make_shared<transfer::Gate>();
    registry_.add_local(entry);
    PeerService::Options options;
    options.worker = WorkerId{7};
    options.epoch = Epoch{1, 2};
    options.desk.agent = agent_;
    options.desk.contacts = contacts_;
    options.desk.outbox = std::make_shared<Outbox>(agent_, clock_, LogHook{});
    options.desk.clock = clock_;
    options.desk.hooks.ask = [this](const LeaseRequest&) { return in_hook_(); };
    options.desk.hooks.ended = [this](const LeaseRequest&, const std::optional<Error>& error) {
      ended_.set_value(error);
    };
    auto started = PeerService::start(std::move(options), registry_);
    EXPECT_THAT(started, IsOk());
    service_ = *std::move(started);
  }

  static std::vector<std::byte> hold(std::chrono::milliseconds duration) {
    wire::Hold asked;
    asked.layout = LayoutHandle{WorkerId{7}, LayoutId{0}};
    asked.duration = duration;
    asked.blocks = block_ids({0});
    const wire::ControlContact contact{WorkerId{8}, {std::byte{1}}};
    return *wire::encode_control({{Epoch{5, 6}, 1}, contact, asked});
  }

  std::function<Result<void>()> in_hook_ = [] { return Result<void>{}; };
  std::promise<std::optional<Error>> ended_;
  std::shared_ptr<const Clock> clock_ = std::make_shared<const SteadyClock>();
  std::shared_ptr<testing::FakeAgent> agent_ = std::make_shared<testing::FakeAgent>();
  std::shared_ptr<Contacts> contacts_ = std::make_shared<Contacts>(agent_, clock_);
  Registry registry_;
  std::unique_ptr<PeerService> service_;
};

TEST_F(PeerServiceTest, HearsOfAHoldAndOfItsDeadline) {
  agent_->deliver("r", hold(50ms));
  EXPECT_TRUE(std::holds_alternative<wire::Held>(agent_->next_sent().message.body));
  EXPECT_EQ(ended_.get_future().get()->code, ErrorCode::kDeadline);
}

TEST_F(PeerServiceTest, HearsOfADeath) {
  agent_->deliver("r", hold(60s));
  static_cast<void>(agent_->next_sent());
  EXPECT_EQ(service_->leases_held(), 1U);
  agent_->kill("r");
  EXPECT_EQ(ended_.get_future().get()->code, ErrorCode::kUnavailable);
}

TEST_F(PeerServiceTest, SurvivesWhatIsNoMessage) {
  agent_->deliver("r", {});
  agent_->deliver("r", std::vector<std::byte>(100));
  auto flipped = hold(60s);
  flipped[50] ^= std::byte{1};
  agent_->deliver("r", flipped);
  agent_->deliver("r", hold(60s));
  EXPECT_TRUE(std::holds_alternative<wire::Held>(agent_->next_sent().message.body));
}

TEST_F(PeerServiceTest, AsksOwnersAndHearsTheirAnswers) {
  const auto owner = contacts_->import("owner", std::vector{std::byte{1}}, TimePoint::max());
  wire::Hold wanted;
  wanted.layout = LayoutHandle{WorkerId{9}, LayoutId{0}};
  wanted.blocks = block_ids({0});
  auto asked = std::async(std::launch::async,
                          [&] { return service_->hold(*owner, wanted, clock_->now() + 30s); });
  const wire::ControlRequest request = agent_->next_sent().message.request;
  EXPECT_EQ(request.epoch, (Epoch{1, 2}));
  agent_->deliver("owner", *wire::encode_control({request, std::nullopt, wire::Held{}}));
  auto held = asked.get();
  ASSERT_THAT(held, IsOk());
  (*held)->end(std::nullopt);
  EXPECT_EQ(std::get<wire::Release>(agent_->next_sent().message.body).error, std::nullopt);
}

TEST_F(PeerServiceTest, AHookCannotWaitForItself) {
  const auto owner = contacts_->import("owner", std::vector{std::byte{1}}, TimePoint::max());
  std::promise<Error> got;
  in_hook_ = [&]() -> Result<void> {
    got.set_value(service_->hold(*owner, {}, TimePoint::max()).error());
    return {};
  };
  agent_->deliver("r", hold(60s));
  EXPECT_EQ(got.get_future().get().code, ErrorCode::kInvalidArgument);
}

TEST_F(PeerServiceTest, EndsThoughSomebodyElseTakesItsWakes) {
  std::atomic<bool> over{false};
  auto thief = std::async(std::launch::async, [&] {
    while (!over) {
      static_cast<void>(agent_->wait(clock_->now() + 1ms));
    }
  });
  service_.reset();
  over = true;
}

TEST_F(PeerServiceTest, EndsLeasesAndTellsTheRestAtItsEnd) {
  agent_->deliver("r", hold(60s));
  static_cast<void>(agent_->next_sent());
  service_.reset();
  EXPECT_EQ(ended_.get_future().get()->code, ErrorCode::kCancelled);
}

}  // namespace
}  // namespace kvferry::manager
