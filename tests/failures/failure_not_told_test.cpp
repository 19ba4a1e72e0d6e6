// SPDX-License-Identifier: Apache-2.0
// Goal: when one side of a transfer fails, the other one is told at once, and nobody keeps
// blocks or waits for bytes that will not come.
// Method: first both sides of the public report (TensorRT-LLM #12660), in small: a sender that
// evicts a block and only logs it, whose receiver waits; a receiver that fails and tells nobody,
// whose sender keeps the blocks. "For ever" is a hundred times what the same two need when all
// goes well. Then the same two failures here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <string>
#include <utility>

#include "manager/lease_workers.hpp"

namespace kvferry {
namespace {

using namespace std::chrono_literals;
using testing::FailsWith;
using testing::IsOk;
using testing::Worker;

TimePoint now() { return std::chrono::steady_clock::now(); }

/// One side of the report: says a word to the other, and waits for one without a deadline of its
/// own; the test has one.
class NaiveSide {
 public:
  NaiveSide(const testing::TemporaryDirectory& directory, const std::string& name)
      : agent_{Worker::make_agent(directory, name, std::nullopt)} {}

  void meet(const NaiveSide& other) {
    peer_ = *agent_->load_peer(other.agent_->name(), *other.agent_->local_metadata(), now() + 10s);
  }
  void say(std::string_view word) {
    ASSERT_THAT(agent_->notify(peer_, std::as_bytes(std::span{word}), now() + 10s), IsOk());
  }
  /// Whether a word came until then.
  bool hears(TimePoint until) {
    return agent_->wait(until).has_value() && !agent_->take_notifications().empty();
  }

 private:
  std::shared_ptr<agent::Agent> agent_;
  agent::PeerId peer_{};
};

class NaivePair : public ::testing::Test {
 protected:
  NaivePair() {
    sender_.meet(receiver_);
    receiver_.meet(sender_);
  }
  /// "want", bytes, "done": how long it takes when all goes well.
  Duration good_time() {
    const TimePoint begin = now();
    receiver_.say("want");
    EXPECT_TRUE(sender_.hears(now() + 10s));
    sender_.say("done");
    EXPECT_TRUE(receiver_.hears(now() + 10s));
    return now() - begin;
  }
  static TimePoint for_ever(Duration good) { return now() + std::max<Duration>(100 * good, 200ms); }

  testing::TemporaryDirectory directory_;
  NaiveSide sender_{directory_, "prefill"};
  NaiveSide receiver_{directory_, "decode"};
};

TEST_F(NaivePair, OfTheReportWaitsForASenderThatFailed) {
  const Duration good = good_time();
  receiver_.say("want");
  ASSERT_TRUE(sender_.hears(now() + 10s));
  // Here the sender finds the block evicted, logs that, and goes on with other requests.
  EXPECT_FALSE(receiver_.hears(for_ever(good))) << "nobody was to tell it";
}

TEST_F(NaivePair, OfTheReportKeepsBlocksForAReceiverThatFailed) {
  const Duration good = good_time();
  bool kept = true;  // Until the receiver says that it has them.
  sender_.say("bytes");
  ASSERT_TRUE(receiver_.hears(now() + 10s));
  // Here the receiver's transfer fails, and its request is over.
  kept = !sender_.hears(for_ever(good));
  EXPECT_TRUE(kept) << "nobody was to tell it";
}

class FailureTold : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kBlocks = 128;

  void start_receiver(const std::optional<testing::Fault>& fault) {
    receiver_ = std::make_unique<Worker>(directory_, 8, "decode", fault);
    mine_ = *receiver_->manager->register_layout(destination_);
    const auto handles = receiver_->manager->import_metadata(*sender_->export_envelope());
    ASSERT_THAT(handles, IsOk());
    theirs_ = handles->front();
  }
  Result<transfer::Transfer> pull() {
    transfer::TransferOptions options;
    options.hold_source = true;
    options.deadline = 1h;  // It is told, it does not run out of time.
    return receiver_->manager->execute_transfer(theirs_, testing::ids_from(0, kBlocks), mine_,
                                                testing::ids_from(0, kBlocks), options);
  }

  testing::TemporaryDirectory directory_;
  testing::LendingEngine engine_;
  manager::LeaseLimits limits_{1'024, 8'192, 2h};
  std::unique_ptr<manager::TransportManager> sender_ =
      testing::make_manager({.worker_id = WorkerId{7},
                             .agent = Worker::make_agent(directory_, "prefill", std::nullopt),
                             .leases = engine_.hooks(),
                             .lease_limits = limits_});
  transfer::PhysicalLayoutPtr source_ = testing::shared_layout(
      testing::standard_config(kBlocks), layout::Arrangement::kFullyContiguous, 11);
  LayoutHandle lent_ = *sender_->register_layout(source_);
  transfer::PhysicalLayoutPtr destination_ = testing::shared_layout(
      testing::standard_config(kBlocks), layout::Arrangement::kFullyContiguous, 77);
  std::unique_ptr<Worker> receiver_;
  LayoutHandle mine_;
  LayoutHandle theirs_;
};

TEST_F(FailureTold, ByASenderWhoseBlockIsEvicted) {
  start_receiver(std::nullopt);
  engine_.set_answer([](const manager::LeaseRequest&) -> Result<void> {
    return Error{ErrorCode::kStale, "block 5 is evicted"};
  });
  const TimePoint begin = now();
  EXPECT_THAT(pull(), FailsWith(ErrorCode::kStale, "block 5 is evicted"));
  EXPECT_LT(now() - begin, 5s) << "of an hour";
  engine_.set_answer({});
  const auto again = pull();
  ASSERT_THAT(again, IsOk()) << "one failure is the end of one request";
  EXPECT_TRUE(again->wait().ok());
}

TEST_F(FailureTold, ByAReceiverWhoseTransferFails) {
  start_receiver(testing::Fault{testing::FaultKind::kFail, 10});
  const TimePoint begin = now();
  const auto transfer = pull();
  ASSERT_THAT(transfer, IsOk());
  const auto report = transfer->wait();
  ASSERT_TRUE(report.error.has_value());
  EXPECT_GT(report.bytes_moved, 0U);
  EXPECT_LT(report.bytes_moved, kBlocks * 16'384);
  const auto ended = engine_.next_ended();
  ASSERT_TRUE(ended.has_value());
  EXPECT_EQ(ended->error, report.error) << "both sides say the same";
  EXPECT_LT(now() - begin, 5s) << "of an hour";
  EXPECT_TRUE(testing::has_no_leases(*sender_));
  EXPECT_THAT(sender_->unregister_layout(lent_, 10s), IsOk());
}

}  // namespace
}  // namespace kvferry
