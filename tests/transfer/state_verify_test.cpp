// SPDX-License-Identifier: Apache-2.0
// Goal: a transfer that is verified calls good what was compared and nothing else, says whether
//       bytes are wrong or of another time, and ends though nobody tells digests.
// Method: transfers carried on step by step; the backend's script changes bytes and guards at an
//         exact post; a teller that answers when the test says so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "kvferry/testing/manual_clock.hpp"
#include "kvferry/testing/matchers.hpp"
#include "rig.hpp"

namespace kvferry::transfer {
namespace {

using namespace std::chrono_literals;
using testing::FakeBackend;
using testing::ids_from;
using testing::IsOk;
using testing::ManualClock;
using testing::Rig;
using testing::standard_config;
using Does = FakeBackend::Does;
using Step = TransferState::Step;

/// Every other block, so that a layer takes several posts.
constexpr std::uint64_t kBlocks = 100;

/// Tells the digests of a cache, but only what `told` lets through.
class LateTeller final : public DigestTeller {
 public:
  LateTeller(std::span<std::byte* const> bases, const bool& tells) : bases_{bases}, tells_{tells} {}

  [[nodiscard]] std::size_t most_boxes() const noexcept override { return 32; }
  [[nodiscard]] bool may_ask() const override { return true; }
  Result<void> ask(const std::string& /*plane*/, const layout::LayoutView& part,
                   std::vector<DigestBox> boxes, const std::weak_ptr<Waker>& waker) override {
    for (const DigestBox& box : boxes) {
      known_.push_back(digester_.of(part, bases_, box));
    }
    waker_ = waker;
    return {};
  }
  Result<void> take(std::vector<Digest>& to) override {
    if (tells_) {
      to.insert(to.end(), known_.begin(), known_.end());
      known_.clear();
    }
    return {};
  }

 private:
  std::span<std::byte* const> bases_;
  const bool& tells_;
  Digester digester_;
  std::vector<Digest> known_;
  std::weak_ptr<Waker> waker_;
};

class VerifiedState : public ::testing::Test {
 protected:
  void start(bool late = false) {
    DigestSide source;
    DigestSide destination;
    destination.bases = rig_.destination.physical()->region_bases();
    if (late) {
      source.teller = std::make_unique<LateTeller>(rig_.source.physical()->region_bases(), tells_);
    } else {
      source.bases = rig_.source.physical()->region_bases();
    }
    rig_.verification = std::make_unique<Verification>(std::move(source), std::move(destination));
    const auto started = rig_.start(from_, to_, 10s);
    ASSERT_THAT(started, IsOk());
    state_ = *started;
  }
  TransferReport finish() {
    while (state_->step() == Step::kMore) {
    }
    return *state_->poll();
  }
  /// Flips a bit of a block of the destination that has arrived, before it is looked at: the post
  /// after it is the first that can.
  void flip(std::uint64_t block, std::uint64_t layer) {
    layout::Place at;
    at[layout::Axis::kBlock] = block;
    at[layout::Axis::kLayer] = layer;
    const layout::Location found = rig_.source.view().locate(at);
    rig_.source.physical()->region_bases()[found.region][found.offset_bytes] ^= std::byte{1};
  }
  void change(std::uint64_t block) {
    EXPECT_THAT(rig_.source_guards->begin_write(BlockId{block}), IsOk());
    EXPECT_THAT(rig_.source_guards->end_write(BlockId{block}), IsOk());
  }

  bool tells_{false};
  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>();
  Rig rig_{standard_config(2 * kBlocks), clock_, {{0, 1}, {1, 2}}};
  std::vector<BlockId> from_ = ids_from(0, kBlocks, 2);
  std::vector<BlockId> to_ = ids_from(1, kBlocks, 2);
  std::shared_ptr<TransferState> state_;
};

TEST_F(VerifiedState, IsGoodWhenAllWasCompared) {
  start();
  const TransferReport report = finish();
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(report.verified, Verified::kCompared);
  EXPECT_GT(report.verify_time, Duration::zero());
  EXPECT_TRUE(rig_.all_given_back());
}

TEST_F(VerifiedState, WaitsForWhoTellsAndIsWoken) {
  start(true);
  Step step{Step::kMore};
  while (step == Step::kMore) {
    step = state_->step();
  }
  EXPECT_EQ(step, Step::kWaiting);
  EXPECT_TRUE(state_->parks()) << "nobody has to look";
  EXPECT_FALSE(state_->poll().has_value()) << "all bytes are there, but none is known to be right";
  tells_ = true;
  EXPECT_EQ(state_->step(), Step::kFinished);
  EXPECT_TRUE(state_->wait().ok());
}

TEST_F(VerifiedState, OfAnOwnerThatDigestedOtherBytesIsWrongInThatBlockOnly) {
  start(true);
  EXPECT_EQ(state_->step(), Step::kMore);  // The first post; all digests have been computed.
  flip(150, 1);                            // What is copied later differs from them.
  tells_ = true;
  const TransferReport report = finish();
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error->code, ErrorCode::kWrongBytes);
  EXPECT_NE(report.error->message.find("block 151, layer 1"), std::string::npos)
      << report.error->message;
  EXPECT_EQ(report.bad_blocks, block_ids({151}));
  EXPECT_EQ(report.bytes_moved, state_->total_bytes());
  EXPECT_TRUE(rig_.all_given_back());
}

TEST_F(VerifiedState, TellsWrongBytesFromBytesOfAnotherTime) {
  for (const bool other_is_wrong : {false, true}) {
    rig_.source_guards = *BlockGuards::allocate(2 * kBlocks);
    tells_ = false;
    start(true);
    while (!tells_) {
      EXPECT_EQ(state_->step(), Step::kMore);
      tells_ = rig_.backend->posts().size() % 2 == 1;
    }
    change(150);
    flip(150, 1);
    change(152);  // Its bytes stay as they were.
    if (other_is_wrong) {
      flip(160, 1);
    }
    const TransferReport report = finish();
    ASSERT_FALSE(report.ok());
    EXPECT_EQ(report.error->code, other_is_wrong ? ErrorCode::kWrongBytes : ErrorCode::kStale)
        << report.error->message;
    EXPECT_EQ(report.bad_blocks,
              other_is_wrong ? block_ids({151, 153, 161}) : block_ids({151, 153}));
    EXPECT_TRUE(rig_.all_given_back());
  }
}

TEST_F(VerifiedState, EndsThoughNobodyTells) {
  for (const bool cancel : {false, true}) {
    start(true);
    while (state_->step() == Step::kMore) {
    }
    if (cancel) {
      state_->request_cancel();
    } else {
      clock_->advance(11s);
    }
    const TransferReport report = state_->wait();
    EXPECT_EQ(report.error->code, cancel ? ErrorCode::kCancelled : ErrorCode::kDeadline);
    EXPECT_EQ(report.bytes_moved, state_->total_bytes());
    EXPECT_EQ(report.bad_blocks, to_) << "nothing is known of any of them";
    EXPECT_TRUE(report.quiet);
    EXPECT_TRUE(rig_.all_given_back());
  }
}

TEST_F(VerifiedState, ThatFailsLaterStillSaysThatBytesWereWrong) {
  start(true);
  EXPECT_EQ(state_->step(), Step::kMore);
  flip(20, 1);  // Of the third post.
  tells_ = true;
  rig_.backend->script = [](std::size_t number) { return number < 3 ? Does::kCopy : Does::kFail; };
  rig_.backend->failure = Error{ErrorCode::kUnavailable, "gone"};
  const TransferReport report = finish();
  ASSERT_FALSE(report.ok());
  EXPECT_GT(report.bytes_moved, 0U);
  EXPECT_LT(report.bytes_moved, state_->total_bytes());
  EXPECT_EQ(report.error->code, ErrorCode::kWrongBytes) << report.error->message;
  std::vector<BlockId> bad = ids_from(129, 36, 2);  // Whose second layer has not arrived.
  bad.insert(bad.begin(), BlockId{21});
  EXPECT_EQ(report.bad_blocks, bad);
}

}  // namespace
}  // namespace kvferry::transfer
