// SPDX-License-Identifier: Apache-2.0
// Goal: bytes take the second hop when they have come through the first, both hops are busy at the
//       same time, and whatever fails or is cancelled in the middle gives its slot back when the
//       bounce is quiet, not before.
// Method: hops whose requests end when the test says so; real bytes are the conformance suite's.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kvferry/testing/matchers.hpp"
#include "transfer/executor.hpp"

namespace kvferry::transfer {
namespace {

using agent::RequestId;
using agent::RequestState;
using testing::FailsWith;
using testing::IsOk;

/// What a hop was asked for, and how it goes.
struct Script {
  struct Asked {
    std::vector<kvferry::Run> runs;
    bool done{false};
    bool quiet{false};
    bool cancelled{false};
    std::optional<Error> error{};
  };
  std::vector<Asked> asked;
  std::optional<Error> refuses{};
};

class ScriptedHop final : public Executor {
 public:
  ScriptedHop(std::string route, std::shared_ptr<Script> script)
      : route_{std::move(route)}, script_{std::move(script)} {}

  [[nodiscard]] const std::string& route() const noexcept override { return route_; }
  [[nodiscard]] std::uint64_t largest_post_bytes() const noexcept override { return 0; }
  [[nodiscard]] Result<std::optional<RequestId>> post(const Posting& posting) const override {
    if (script_->refuses) {
      return *script_->refuses;
    }
    script_->asked.push_back({{posting.runs.begin(), posting.runs.end()}});
    return std::optional{RequestId{script_->asked.size() - 1}};
  }
  [[nodiscard]] Result<RequestState> poll(RequestId id) const override {
    const Script::Asked& asked = of(id);
    if (asked.error) {
      return *asked.error;
    }
    return asked.done ? RequestState::kDone : RequestState::kPending;
  }
  void cancel(RequestId id) const override { of(id).cancelled = true; }
  [[nodiscard]] bool quiet(RequestId id) const override { return of(id).done || of(id).quiet; }
  void release(RequestId /*id*/) const override {}
  [[nodiscard]] Result<void> check_owner() const override { return {}; }

 private:
  [[nodiscard]] Script::Asked& of(RequestId id) const { return script_->asked.at(id.value()); }

  std::string route_;
  std::shared_ptr<Script> script_;
};

class StagedExecutorTest : public ::testing::Test {
 protected:
  RequestId post(std::uint64_t at) {
    const kvferry::Run run{{2, at, 100}, {3, at, 200}, 50, 4};
    const auto posted = executor_->post({{&run, 1}});
    EXPECT_THAT(posted, IsOk());
    return **posted;
  }
  [[nodiscard]] RequestState poll(RequestId id) const { return *executor_->poll(id); }

  std::shared_ptr<Script> in_ = std::make_shared<Script>();
  std::shared_ptr<Script> out_ = std::make_shared<Script>();
  std::shared_ptr<BouncePool> pool_ =
      std::make_shared<BouncePool>(*memory::allocate_system(16'384));
  std::unique_ptr<const Executor> executor_ = make_staged_executor(
      std::make_unique<ScriptedHop>("in", in_), std::make_unique<ScriptedHop>("out", out_), pool_);
};

TEST_F(StagedExecutorTest, SaysWhatItIsMadeOf) {
  EXPECT_EQ(executor_->route(), "in + out");
  EXPECT_EQ(executor_->largest_post_bytes(), 8192U) << "a slot";
  EXPECT_EQ(executor_->most_posts(), 2U) << "slots";
}

TEST_F(StagedExecutorTest, PacksRunsIntoItsSlotAndTakesThemOutOfIt) {
  const RequestId id = post(7);
  ASSERT_EQ(in_->asked.size(), 1U);
  EXPECT_TRUE(out_->asked.empty()) << "nothing has come through the first hop";
  const std::uint64_t slot = in_->asked[0].runs[0].destination.offset_bytes;
  EXPECT_EQ(in_->asked[0].runs[0], (kvferry::Run{{2, 7, 100}, {0, slot, 50}, 50, 4}));
  EXPECT_EQ(poll(id), RequestState::kPending);
  in_->asked[0].done = true;
  EXPECT_EQ(poll(id), RequestState::kPending);
  ASSERT_EQ(out_->asked.size(), 1U);
  EXPECT_EQ(out_->asked[0].runs[0], (kvferry::Run{{0, slot, 50}, {3, 7, 200}, 50, 4}));
  out_->asked[0].done = true;
  EXPECT_EQ(poll(id), RequestState::kDone);
  EXPECT_TRUE(executor_->quiet(id));
}

TEST_F(StagedExecutorTest, KeepsBothHopsBusyAndALineForSlots) {
  const RequestId first = post(0);
  const RequestId second = post(1);
  const RequestId third = post(2);
  EXPECT_EQ(in_->asked.size(), 2U) << "there are two slots";
  EXPECT_NE(in_->asked[0].runs[0].destination.offset_bytes,
            in_->asked[1].runs[0].destination.offset_bytes);
  in_->asked[0].done = true;
  EXPECT_EQ(poll(first), RequestState::kPending);
  EXPECT_EQ(out_->asked.size(), 1U) << "out of one slot while the other is being filled";
  out_->asked[0].done = true;
  EXPECT_EQ(poll(first), RequestState::kDone);
  EXPECT_EQ(poll(third), RequestState::kPending);
  EXPECT_EQ(in_->asked.size(), 2U) << "a slot is free once its request is released";
  executor_->release(first);
  EXPECT_EQ(poll(third), RequestState::kPending);
  EXPECT_EQ(in_->asked.size(), 3U);
  EXPECT_EQ(poll(second), RequestState::kPending);
}

TEST_F(StagedExecutorTest, CancelledInTheMiddleTakesNoSecondHopAndKeepsItsSlotUntilQuiet) {
  const RequestId id = post(0);
  post(1);
  const RequestId waiting = post(2);
  executor_->cancel(id);
  EXPECT_TRUE(in_->asked[0].cancelled);
  EXPECT_FALSE(executor_->quiet(id)) << "the hop still writes into the bounce";
  executor_->release(id);
  EXPECT_EQ(poll(waiting), RequestState::kPending);
  EXPECT_EQ(in_->asked.size(), 2U) << "so its slot is nobody else's";
  in_->asked[0].quiet = true;
  EXPECT_TRUE(executor_->quiet(id));
  executor_->release(id);
  EXPECT_EQ(poll(waiting), RequestState::kPending);
  EXPECT_EQ(in_->asked.size(), 3U);
  EXPECT_TRUE(out_->asked.empty());
}

TEST_F(StagedExecutorTest, CancelledInTheLineIsQuietAtOnce) {
  post(0);
  post(1);
  const RequestId waiting = post(2);
  EXPECT_FALSE(executor_->quiet(waiting));
  executor_->cancel(waiting);
  EXPECT_TRUE(executor_->quiet(waiting));
  executor_->release(waiting);
}

TEST_F(StagedExecutorTest, TellsTheErrorOfEitherHop) {
  const RequestId first = post(0);
  in_->asked[0].error = Error{ErrorCode::kUnavailable, "read failed"};
  in_->asked[0].quiet = true;
  EXPECT_THAT(executor_->poll(first), FailsWith(ErrorCode::kUnavailable, "read failed"));
  executor_->cancel(first);
  executor_->release(first);
  const RequestId second = post(1);
  in_->asked[1].done = true;
  out_->refuses = Error{ErrorCode::kBusy, "no room"};
  EXPECT_THAT(executor_->poll(second), FailsWith(ErrorCode::kBusy, "no room"));
  executor_->cancel(second);
  EXPECT_TRUE(executor_->quiet(second));
  executor_->release(second);
  in_->refuses = Error{ErrorCode::kStale, "gone"};
  const kvferry::Run run{{0, 0, 0}, {0, 0, 0}, 1, 1};
  EXPECT_THAT(executor_->post({{&run, 1}}), FailsWith(ErrorCode::kStale, "gone"));
  in_->refuses.reset();
  post(2);
  post(3);
  EXPECT_EQ(in_->asked.size(), 4U) << "every slot came back";
}

}  // namespace
}  // namespace kvferry::transfer
