// SPDX-License-Identifier: Apache-2.0
// Goal: the engine carries every transfer to its end, small ones are not held up by large ones, and
//       its destructor is bounded whatever hangs under it.
// Method: backends that stop at a point of the test's choosing; no order comes from sleeping.
#include "transfer/engine.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "kvferry/testing/matchers.hpp"
#include "rig.hpp"

namespace kvferry::transfer {
namespace {

using namespace std::chrono_literals;
using testing::FailsWith;
using testing::FakeBackend;
using testing::ids_from;
using testing::IsOk;
using testing::Rig;
using testing::standard_config;
using testing::tiny_config;
using Does = FakeBackend::Does;

/// 64 blocks of 16 KiB: more than is done by the caller.
constexpr std::uint64_t kLarge = 64;

std::unique_ptr<Engine> engine_with(std::size_t threads, Duration shutdown = 30s,
                                    LogHook log = {}) {
  auto engine = Engine::create({threads, shutdown, std::move(log)});
  EXPECT_THAT(engine, IsOk());
  return *std::move(engine);
}

/// Looks until `condition` holds; the test's own time limit ends it if it never does.
template <class Condition>
void until(const Condition& condition) {
  while (!condition()) {
    std::this_thread::yield();
  }
}

TEST(Engine, NeedsAThread) {
  EXPECT_THAT(Engine::create({0, 1s, {}}), FailsWith(ErrorCode::kInvalidArgument, "copy_threads"));
}

TEST(Engine, CarriesOutSmallTransfersBeforeStartReturns) {
  Rig rig{standard_config(32)};
  const auto after = rig.destination.expected_after(rig.source, {ids_from(0, 16), ids_from(8, 16)});
  const auto engine = engine_with(1);
  const auto state = *rig.start(ids_from(0, 16), ids_from(8, 16), 10s);
  ASSERT_EQ(state->total_bytes(), Engine::kInlineBytes);
  engine->start(state);
  ASSERT_TRUE(state->poll().has_value());
  EXPECT_TRUE(state->poll()->ok());
  EXPECT_EQ(engine->in_flight(), 0U);
  EXPECT_TRUE(rig.destination.holds(after));
}

TEST(Engine, CarriesOutLargeTransfersOnItsThreads) {
  Rig rig{standard_config(kLarge)};
  const auto after =
      rig.destination.expected_after(rig.source, {ids_from(0, kLarge), ids_from(0, kLarge)});
  rig.backend->script = [](std::size_t post) { return post == 0 ? Does::kHang : Does::kCopy; };
  const auto engine = engine_with(2);
  const auto state = *rig.start(ids_from(0, kLarge), ids_from(0, kLarge), 30s);
  engine->start(state);  // Comes back although the first post hangs.
  rig.backend->wait_until_hanging();
  EXPECT_EQ(engine->in_flight(), 1U);
  EXPECT_FALSE(state->poll().has_value());
  rig.backend->let_go();
  EXPECT_TRUE(state->wait().ok());
  EXPECT_TRUE(rig.destination.holds(after));
  until([&] { return engine->in_flight() == 0; });
  EXPECT_TRUE(rig.all_given_back());
}

class EngineInFlight : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(EngineInFlight, LosesNoTransfer) {
  const std::uint64_t count = GetParam();
  Rig rig{tiny_config(count)};
  const auto after =
      rig.destination.expected_after(rig.source, {ids_from(0, count), ids_from(0, count)});
  std::atomic<bool> pend{true};
  rig.backend->script = [&](std::size_t) { return pend ? Does::kPend : Does::kCopy; };
  const auto engine = engine_with(2);
  std::vector<std::shared_ptr<TransferState>> states;
  for (std::uint64_t i = 0; i < count; ++i) {
    auto state = rig.start(ids_from(i, 1), ids_from(i, 1), 100s);
    ASSERT_THAT(state, IsOk());
    engine->start(*state);
    states.push_back(*std::move(state));
  }
  EXPECT_EQ(engine->in_flight(), count) << "all at once";
  EXPECT_EQ(rig.backend->pending().size(), count);
  pend = false;
  rig.backend->complete_all();
  for (const auto& state : states) {
    const TransferReport report = state->wait();
    ASSERT_TRUE(report.ok());
    ASSERT_EQ(report.bytes_moved, 16U);
  }
  until([&] { return engine->in_flight() == 0; });
  EXPECT_TRUE(rig.destination.holds(after));
  EXPECT_EQ(rig.backend->unreleased(), 0U);
  EXPECT_TRUE(rig.all_given_back());
}

INSTANTIATE_TEST_SUITE_P(Counts, EngineInFlight, ::testing::Values(1, 64, 65, 1000, 10'000));

TEST(Engine, DoesNotLetALargeTransferHoldUpASmallerOne) {
  // The one thread has the huge transfer first, and moves nothing before both are there; far on it
  // stops until the other has ended.
  std::promise<void> both_started;
  Rig huge{standard_config(2048)};
  huge.backend->script = [wait = both_started.get_future().share()](std::size_t post) {
    wait.wait();
    return post == 40 ? Does::kHang : Does::kCopy;
  };
  Rig small{standard_config(kLarge)};
  const auto engine = engine_with(1);
  const auto first = *huge.start(ids_from(0, 2048), ids_from(0, 2048), 100s);
  const auto second = *small.start(ids_from(0, kLarge), ids_from(0, kLarge), 20s);
  engine->start(first);
  engine->start(second);
  both_started.set_value();
  EXPECT_TRUE(second->wait().ok());
  EXPECT_FALSE(first->poll().has_value());
  huge.backend->wait_until_hanging();
  huge.backend->let_go();
  EXPECT_TRUE(first->wait().ok());
}

TEST(Engine, EndsTransfersAtTheirDeadlineThoughAllThreadsHang) {
  Rig rig{standard_config(4 * kLarge)};
  rig.backend->script = [](std::size_t) { return Does::kHang; };
  const auto engine = engine_with(1);
  const auto hangs = *rig.start(ids_from(0, kLarge), ids_from(0, kLarge), 200ms);
  const auto queued = *rig.start(ids_from(kLarge, kLarge), ids_from(kLarge, kLarge), 200ms);
  const TimePoint start = std::chrono::steady_clock::now();
  engine->start(hangs);
  rig.backend->wait_until_hanging();
  engine->start(queued);

  const TransferReport after_queue = queued->wait();
  EXPECT_EQ(after_queue.error->code, ErrorCode::kDeadline);
  EXPECT_TRUE(after_queue.quiet);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 200ms + 500ms);

  const TransferReport after_hang = hangs->wait();
  EXPECT_EQ(after_hang.error->code, ErrorCode::kDeadline);
  EXPECT_FALSE(after_hang.quiet);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 1200ms + 500ms);
  rig.backend->let_go();
  until([&] { return engine->in_flight() == 0; });
  EXPECT_TRUE(rig.all_given_back());
}

TEST(Engine, EndsPendingRequestsAtTheirDeadlineWithoutAWaiter) {
  Rig rig{tiny_config(4)};
  rig.backend->script = [](std::size_t) { return Does::kPend; };
  const auto engine = engine_with(1);
  const auto state = *rig.start(ids_from(0, 4), ids_from(0, 4), 50ms);
  engine->start(state);
  until([&] { return engine->in_flight() == 0; });
  EXPECT_EQ(state->poll()->error->code, ErrorCode::kDeadline);
  EXPECT_EQ(rig.backend->cancels(), 1U);
  EXPECT_TRUE(rig.all_given_back());
}

TEST(Engine, KeepsATransferThatItsCallerDropped) {
  Rig rig{standard_config(kLarge)};
  const auto after =
      rig.destination.expected_after(rig.source, {ids_from(0, kLarge), ids_from(0, kLarge)});
  rig.backend->script = [](std::size_t post) { return post == 0 ? Does::kHang : Does::kCopy; };
  const auto engine = engine_with(1);
  auto state = *rig.start(ids_from(0, kLarge), ids_from(0, kLarge), 30s);
  engine->start(state);
  rig.backend->wait_until_hanging();
  state.reset();
  rig.backend->let_go();
  until([&] { return engine->in_flight() == 0; });
  EXPECT_TRUE(rig.destination.holds(after));
  EXPECT_TRUE(rig.all_given_back());
}

TEST(Engine, DestructorCancelsAndLeavesMemoryQuiet) {
  Rig rig{tiny_config(200)};
  rig.backend->script = [](std::size_t) { return Does::kPend; };
  auto engine = engine_with(2);
  std::vector<std::shared_ptr<TransferState>> states;
  for (std::uint64_t i = 0; i < 200; ++i) {
    states.push_back(*rig.start(ids_from(i, 1), ids_from(i, 1), 1h));
    engine->start(states.back());
  }
  engine.reset();
  for (const auto& state : states) {
    ASSERT_TRUE(state->poll().has_value());
    EXPECT_EQ(state->poll()->error->code, ErrorCode::kCancelled);
    EXPECT_TRUE(state->quiet());
  }
  EXPECT_EQ(rig.backend->unreleased(), 0U);
  EXPECT_TRUE(rig.all_given_back());
}

/// What is kept, and said, when an engine ends while something under it does not stop.
class EngineThatCannotEnd : public ::testing::Test {
 protected:
  void end(Does last, std::size_t posts) {
    auto rig = std::make_unique<Rig>(standard_config(kLarge));
    backend_ = rig->backend;
    backend_->script = [last](std::size_t post) { return post == 0 ? last : Does::kCopy; };
    backend_->obeys_cancel = false;
    storage_ = rig->destination.storage();
    auto engine = engine_with(1, 100ms, [this](LogLevel level, std::string_view text) {
      EXPECT_EQ(level, LogLevel::kError);
      said_ += text;
    });
    auto state = *rig->start(ids_from(0, kLarge), ids_from(0, kLarge), 1h);
    engine->start(state);
    backend_->wait_for_posts(posts);
    const TimePoint start = std::chrono::steady_clock::now();
    engine.reset();
    EXPECT_LT(std::chrono::steady_clock::now() - start, 100ms + 1s + 1s);
    EXPECT_FALSE(state->quiet());
    state.reset();
    rig.reset();
  }

  std::shared_ptr<FakeBackend> backend_;
  std::weak_ptr<const testing::GuardedCache::Bytes> storage_;
  std::string said_;
};

TEST_F(EngineThatCannotEnd, KeepsTheMemoryOfARequestThatNeverBecomesQuiet) {
  end(Does::kPend, 1);
  EXPECT_THAT(said_, ::testing::HasSubstr("1 transfers were not quiet"));
  EXPECT_FALSE(storage_.expired());
  backend_->complete_all();  // It writes into memory that is still there: ASan looks on.
}

TEST_F(EngineThatCannotEnd, KeepsTheMemoryOfAThreadThatHangs) {
  end(Does::kHang, 1);
  EXPECT_THAT(said_, ::testing::HasSubstr("1 transfers were not quiet"));
  EXPECT_FALSE(storage_.expired());
  backend_->let_go();
}

TEST(Engine, CancelsWhatIsStartedAfterItWasShutDown) {
  Rig rig{standard_config(kLarge)};
  rig.backend->script = [](std::size_t) { return Does::kPend; };
  const auto engine = engine_with(2);
  engine->shut_down();
  for (const std::uint64_t blocks : {std::uint64_t{1}, kLarge}) {
    const auto state = *rig.start(ids_from(0, blocks), ids_from(0, blocks), 30s);
    engine->start(state);
    ASSERT_TRUE(state->poll().has_value()) << blocks;
    EXPECT_EQ(state->poll()->error->code, ErrorCode::kCancelled) << blocks;
    EXPECT_TRUE(rig.all_given_back());
  }
  EXPECT_EQ(engine->in_flight(), 0U);
}

TEST(Engine, DestructorCancelsWhatWaitsBehindAThreadThatHangs) {
  Rig rig{standard_config(2 * kLarge)};
  rig.backend->script = [](std::size_t) { return Does::kHang; };
  auto engine = engine_with(1, 50ms);
  const auto hangs = *rig.start(ids_from(0, kLarge), ids_from(0, kLarge), 1h);
  const auto queued = *rig.start(ids_from(kLarge, kLarge), ids_from(kLarge, kLarge), 1h);
  engine->start(hangs);
  rig.backend->wait_until_hanging();
  engine->start(queued);
  engine.reset();
  const TransferReport report = queued->wait();
  EXPECT_EQ(report.error->code, ErrorCode::kCancelled);
  EXPECT_EQ(report.bytes_moved, 0U);
  EXPECT_TRUE(queued->quiet());
  rig.backend->let_go();
}

}  // namespace
}  // namespace kvferry::transfer
