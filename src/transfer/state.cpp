// SPDX-License-Identifier: Apache-2.0
#include "transfer/state.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "base/pause.hpp"
#include "kvferry/base/try.hpp"

namespace kvferry::transfer {
namespace {

/// Runs handed to an executor at a time: enough that small pieces fill kStepBytes.
constexpr std::size_t kStepRuns = 64;

/// How long past its deadline a transfer waits for a step that does not come back.
constexpr Duration kStuckGrace{std::chrono::seconds{1}};

/// How often a wait looks before it sleeps: about 5 us, less than a sleep and its wake-up.
constexpr int kSpins = 100;

}  // namespace

TransferState::TransferState(TransferParts parts)
    : parts_{std::move(parts)},
      stage_{parts_.source_guards != nullptr ? Stage::kGuardsBefore : Stage::kData},
      cursor_{parts_.plans.front()},
      started_at_{parts_.clock->now()} {
  for (const plan::CopyPlan& plan : parts_.plans) {
    total_bytes_ += plan.total_bytes();
  }
}

TransferState::Step TransferState::step() {
  const MutexLock lock{stepping_};
  return step_locked();
}

TransferState::Step TransferState::step_unless_busy() {
  if (!stepping_.try_lock()) {
    return Step::kWaiting;
  }
  const MutexLock lock{stepping_, std::adopt_lock};
  return step_locked();
}

TransferState::Step TransferState::step_locked() {
  if (done_.load(std::memory_order_acquire)) {
    return drain();
  }
  if (request_.has_value()) {
    return look_after_request();
  }
  return post_next();
}

std::optional<Error> TransferState::reason_to_stop() const {
  if (cancel_requested_.load(std::memory_order_relaxed)) {
    return Error{ErrorCode::kCancelled, "cancelled after " + std::to_string(bytes_moved_.load()) +
                                            " of " + std::to_string(total_bytes()) + " bytes"};
  }
  if (parts_.clock->now() >= parts_.deadline) {
    return Error{ErrorCode::kDeadline, "the deadline passed after " +
                                           std::to_string(bytes_moved_.load()) + " of " +
                                           std::to_string(total_bytes()) + " bytes"};
  }
  return std::nullopt;
}

TransferState::Step TransferState::post_next() {
  if (auto stop = reason_to_stop()) {
    return finish(std::move(stop));
  }
  return stage_ == Stage::kData ? post_data() : post_guards();
}

TransferState::Step TransferState::post_data() {
  const std::uint64_t largest = parts_.lane->executor->largest_post_bytes();
  const std::uint64_t limit = largest == 0 ? kStepBytes : std::min(kStepBytes, largest);
  // Runs of up to half the limit until half of it is reached: no piece is cut just to fill a step.
  const std::uint64_t half = std::max<std::uint64_t>(limit / 2, 1);
  std::array<Run, kStepRuns> runs;
  std::size_t count = cursor_.next(std::span{runs}, half);
  while (count == 0 && next_plan()) {
    count = cursor_.next(std::span{runs}, half);
  }
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < count; ++i) {
    bytes += runs[i].total_bytes();
  }
  return count == 0 ? end_data() : post(std::span{runs}.first(count), bytes);
}

bool TransferState::next_plan() {
  if (plan_ + 1 == parts_.plans.size()) {
    return false;
  }
  blocks_before_plan_ += parts_.plans[plan_].destination_blocks().size();
  cursor_ = plan::RunCursor{parts_.plans[++plan_]};
  return true;
}

TransferState::Step TransferState::post_guards() {
  const std::span<const Run> runs = parts_.source_guards->next_runs();
  return runs.empty() ? end_guards() : post(runs, 0);
}

TransferState::Step TransferState::post(std::span<const Run> runs, std::uint64_t bytes) {
  auto posted = executor().post({runs, stage_ == Stage::kData ? total_bytes() : 0});
  if (!posted) {
    return finish(std::move(posted).error());
  }
  if (posted->has_value()) {
    request_ = **posted;
    request_bytes_ = bytes;
    return Step::kWaiting;
  }
  return note_moved(bytes);
}

const Executor& TransferState::executor() const {
  return stage_ == Stage::kData ? *parts_.lane->executor : parts_.source_guards->reader();
}

/// All numbers of a round have been read.
TransferState::Step TransferState::end_guards() {
  if (stage_ == Stage::kGuardsBefore) {
    if (auto expected = parts_.source_guards->end_before(); !expected) {
      return finish(std::move(expected).error());
    }
    stage_ = Stage::kData;
    return Step::kMore;
  }
  auto unchanged = parts_.source_guards->end_after();
  if (!unchanged) {
    only_changed_bad_ = true;
    return finish(std::move(unchanged).error());
  }
  return finish(std::nullopt);
}

/// All bytes have arrived.
TransferState::Step TransferState::end_data() {
  if (parts_.source_guards == nullptr) {
    return finish(std::nullopt);
  }
  stage_ = Stage::kGuardsAfter;
  return Step::kMore;
}

TransferState::Step TransferState::look_after_request() {
  auto state = executor().poll(*request_);
  if (!state) {
    return finish(std::move(state).error());
  }
  if (*state == agent::RequestState::kPending) {
    if (auto stop = reason_to_stop()) {
      executor().cancel(*request_);
      return finish(std::move(stop));
    }
    return Step::kWaiting;
  }
  executor().release(*request_);
  request_.reset();
  return note_moved(request_bytes_);
}

/// Everything that was posted so far has arrived, `bytes` of it now.
TransferState::Step TransferState::note_moved(std::uint64_t bytes) {
  bytes_moved_ += bytes;
  if (auto alive = executor().check_owner(); !alive) {
    return finish(std::move(alive).error());
  }
  if (stage_ != Stage::kData) {
    return Step::kMore;
  }
  if (parts_.source_guards == nullptr) {
    good_blocks_ = blocks_before_plan_ + cursor_.completed_blocks();
  }
  return bytes_moved_ == total_bytes() ? end_data() : Step::kMore;
}

/// After the end: gives everything back as soon as nothing can touch the destination any more.
TransferState::Step TransferState::drain() {
  if (quiet()) {
    return Step::kFinished;
  }
  if (settle_if_quiet()) {
    tell_end();
    return Step::kFinished;
  }
  if (!std::exchange(asked_to_stop_, true)) {
    executor().cancel(*request_);  // It failed, or came from a step that hung.
  }
  return Step::kWaiting;
}

TransferState::Step TransferState::finish(std::optional<Error> error) {
  if (error.has_value() && error->code == ErrorCode::kUnavailable) {
    good_blocks_ = 0;  // Nobody can say what the owner did to any of them while it died.
  }
  const bool still = settle_if_quiet();  // First: whoever sees the end can use the blocks at once.
  publish(std::move(error), still);
  if (still) {
    tell_end();
  }
  return still ? Step::kFinished : Step::kWaiting;
}

bool TransferState::settle_if_quiet() {
  if (request_.has_value()) {
    if (!executor().quiet(*request_)) {
      return false;
    }
    executor().release(*request_);
    request_.reset();
  }
  // Whoever sees quiet() can claim the blocks; whoever waited for the gates sees quiet().
  parts_.claims.reset();
  quiet_.store(true, std::memory_order_release);
  for (GatePass& pass : parts_.passes) {
    pass.leave();
  }
  return true;
}

void TransferState::tell_end() {
  const auto on_end = std::exchange(parts_.on_end, nullptr);
  if (on_end) {
    on_end(poll()->error);
  }
}

std::vector<BlockId> TransferState::bad_blocks() const {
  if (only_changed_bad_.load(std::memory_order_acquire)) {
    return parts_.source_guards->changed();
  }
  std::vector<BlockId> bad;
  std::size_t good = good_blocks_;
  for (const plan::CopyPlan& plan : parts_.plans) {
    const std::span<const BlockId> blocks = plan.destination_blocks();
    const auto rest = blocks.subspan(std::min(good, blocks.size()));
    bad.insert(bad.end(), rest.begin(), rest.end());
    good -= blocks.size() - rest.size();
  }
  std::sort(bad.begin(), bad.end());
  bad.erase(std::unique(bad.begin(), bad.end()), bad.end());
  return bad;
}

void TransferState::publish(std::optional<Error> error, bool quiet) {
  const MutexLock lock{mutex_};
  if (done_.load(std::memory_order_relaxed)) {
    return;
  }
  if (error.has_value()) {
    report_.bad_blocks = bad_blocks();
  }
  report_.error = std::move(error);
  report_.bytes_moved = bytes_moved_;
  report_.route = parts_.lane->executor->route();
  report_.plan_time = started_at_ - parts_.called_at;
  report_.transfer_time = parts_.clock->now() - started_at_;
  report_.quiet = quiet;
  done_.store(true, std::memory_order_release);
  ended_.notify_all();
}

/// Ends a transfer that is cancelled or whose deadline has passed, for the sake of whoever waits:
/// at once when nobody carries it on at this moment, else, after the deadline and a grace, without
/// knowing what that one still does.
void TransferState::end_overdue() {
  if (stepping_.try_lock()) {
    const MutexLock lock{stepping_, std::adopt_lock};
    step_locked();
    return;
  }
  if (parts_.clock->now() >= deadline_after(parts_.deadline, kStuckGrace)) {
    publish(Error{ErrorCode::kDeadline, "the deadline passed and what moves the bytes hangs"},
            false);
  }
}

TransferReport TransferState::wait() { return *wait_until(TimePoint::max()); }

/// A thread that only waits may as well copy: no other one has to be woken, nor this one.
void TransferState::help_until(TimePoint moment) {
  if (!parts_.lane->executor->only_copies()) {
    return;
  }
  Step step{Step::kMore};
  while (step == Step::kMore && !done_.load(std::memory_order_acquire) &&
         parts_.clock->now() < moment) {
    step = step_unless_busy();
  }
}

std::optional<TransferReport> TransferState::wait_until(TimePoint moment) {
  help_until(moment);
  for (int i = 0; i < kSpins && !done_.load(std::memory_order_acquire); ++i) {
    pause_briefly();
  }
  while (!done_.load(std::memory_order_acquire)) {
    const TimePoint now = parts_.clock->now();
    if (now >= parts_.deadline || cancel_requested_.load(std::memory_order_relaxed)) {
      end_overdue();
    }
    if (now >= moment) {
      return poll();
    }
    TimePoint look_again = std::min(moment, now + CondVar::kLookAgain);
    if (parts_.deadline > now) {
      look_again = std::min(look_again, parts_.deadline);
    }
    const MutexLock lock{mutex_};
    if (!done_.load(std::memory_order_relaxed)) {
      ended_.wait_for(mutex_, look_again - now);
    }
  }
  return poll();
}

std::optional<TransferReport> TransferState::look() {
  if (!done_.load(std::memory_order_acquire) && parts_.clock->now() >= parts_.deadline) {
    end_overdue();
  }
  return poll();
}

std::optional<TransferReport> TransferState::poll() const {
  if (!done_.load(std::memory_order_acquire)) {
    return std::nullopt;
  }
  const MutexLock lock{mutex_};
  return report_;
}

}  // namespace kvferry::transfer
