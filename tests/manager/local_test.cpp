// SPDX-License-Identifier: Apache-2.0
// Goal: what a worker has changes as a whole, is counted when peers can see it, and is told by
//       every message as it is.
// Method: one worker with an agent of shared memory, whose envelopes are read back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "kvferry/wire/envelope.hpp"
#include "workers.hpp"

namespace kvferry::manager {
namespace {

using namespace std::chrono_literals;
using layout::Arrangement;
using ::testing::ElementsAre;
using testing::FailsWith;
using testing::IsOk;
using testing::shared_layout;
using testing::standard_config;
using testing::Worker;

class LocalLayouts : public ::testing::Test {
 protected:
  static transfer::PhysicalLayoutPtr make() {
    return shared_layout(standard_config(4), Arrangement::kFullyContiguous, 1);
  }
  [[nodiscard]] wire::Envelope told(const EnvelopeOptions& options = {}) const {
    const auto read = wire::decode_envelope(*owner_.manager->export_envelope(options));
    EXPECT_THAT(read, IsOk());
    return *read;
  }

  testing::TemporaryDirectory directory_;
  Worker owner_{directory_, 7, "prefill-7"};
  transfer::PhysicalLayoutPtr layout_ = make();
  LayoutHandle first_ = *owner_.manager->register_layout(layout_);
};

TEST_F(LocalLayouts, GenerationCountsWhatPeersCanSee) {
  const std::uint64_t before = owner_.manager->generation();
  EXPECT_EQ(before, 2U) << "one layout was registered";
  const auto secret = owner_.manager->register_layout(make(), {.access = Access::kNone});
  ASSERT_THAT(secret, IsOk());
  EXPECT_EQ(told().generation, before);
  const LayoutHandle added = *owner_.manager->register_layout(make());
  EXPECT_EQ(told().generation, before + 1);
  ASSERT_THAT(owner_.manager->change_layout(added, make(), 1s), IsOk());
  EXPECT_EQ(told().generation, before + 2);
  ASSERT_THAT(owner_.manager->unregister_layout(first_, 1s), IsOk());
  EXPECT_EQ(told().generation, before + 3);
  ASSERT_THAT(owner_.manager->unregister_layout(*secret, 1s), IsOk());
  EXPECT_EQ(owner_.manager->generation(), before + 3);
}

TEST_F(LocalLayouts, EnvelopeTellsWhatThereIs) {
  const auto guarded =
      transfer::PhysicalLayoutBuilder{standard_config(4), Arrangement::kLayerSeparateBlockSecond}
          .allocate_system()
          .guarded()
          .build();
  ASSERT_THAT(guarded, IsOk());
  ASSERT_THAT(owner_.manager->register_layout(*guarded, {.access = Access::kReadWrite}), IsOk());
  const WallTime before = SystemWallClock{}.now();
  const wire::Envelope envelope = told({.lease = 5s, .audience = "decode-8"});
  EXPECT_EQ(envelope.worker_address, (wire::WorkerAddress{WorkerId{7}, "prefill-7"}));
  EXPECT_EQ(envelope.epoch, owner_.manager->epoch());
  EXPECT_GE(envelope.issued, before - 1ms);
  EXPECT_LE(envelope.issued, SystemWallClock{}.now());
  EXPECT_EQ(envelope.lease, 5s);
  EXPECT_EQ(envelope.audience, "decode-8");
  ASSERT_EQ(envelope.agents.size(), 1U);
  EXPECT_EQ(envelope.agents[0].kind, "shm");
  EXPECT_EQ(envelope.agents[0].blob, *owner_.agent->local_metadata());
  ASSERT_EQ(envelope.layouts.size(), 2U);
  EXPECT_EQ(envelope.layouts[0].id, LayoutId{0});
  EXPECT_EQ(envelope.layouts[0].access, Access::kRead);
  EXPECT_EQ(std::get<layout::PackedLayout>(envelope.layouts[0].description),
            layout::packed_layout(standard_config(4), Arrangement::kFullyContiguous));
  EXPECT_FALSE(envelope.layouts[0].guards.has_value());
  EXPECT_EQ(envelope.layouts[1].access, Access::kReadWrite);
  EXPECT_EQ(std::get<layout::PackedLayout>(envelope.layouts[1].description).arrangement,
            Arrangement::kLayerSeparateBlockSecond);
  EXPECT_EQ(envelope.layouts[1].tier, wire::LogicalType::kG2);
  EXPECT_EQ(envelope.layouts[1].regions.size(), 2U);
  EXPECT_EQ(envelope.layouts[1].guards, (*guarded)->guards()->region());
}

TEST_F(LocalLayouts, EnvelopeRefusesALeaseBelowZero) {
  EXPECT_THAT(owner_.manager->export_envelope({.lease = -1ms}),
              FailsWith(ErrorCode::kInvalidArgument, "lease"));
}

TEST_F(LocalLayouts, ChangeTakesThePlaceOfTheOldOne) {
  const LayoutHandle second = *owner_.manager->register_layout(make());
  const auto changed = owner_.manager->change_layout(first_, make(), 1s);
  ASSERT_THAT(changed, IsOk());
  EXPECT_THAT(owner_.manager->local_handles(), ElementsAre(second, *changed));
  EXPECT_THAT(owner_.manager->change_layout(first_, make(), 1s),
              FailsWith(ErrorCode::kStale, "layout=0"));
}

TEST_F(LocalLayouts, ChangeThatFailsLeavesTheLayoutRegistered) {
  EXPECT_THAT(owner_.manager->change_layout(first_, nullptr, 1s),
              FailsWith(ErrorCode::kInvalidArgument, "layout: null"));
  // Memory that is mapped for reading can never be written by peers.
  EXPECT_THAT(owner_.manager->change_layout(first_, layout_, 1s, {Access::kReadWrite}),
              FailsWith(ErrorCode::kRefused, ""));
  EXPECT_THAT(owner_.manager->local_handles(), ElementsAre(first_));
  const auto still_moves =
      owner_.manager->execute_transfer(first_, block_ids({0}), first_, block_ids({1}));
  ASSERT_THAT(still_moves, IsOk());
  EXPECT_TRUE(still_moves->wait().ok());
}

}  // namespace
}  // namespace kvferry::manager
