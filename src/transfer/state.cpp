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
      cursor_{parts_.plans.front().plan},
      started_at_{parts_.clock->now()} {
  for (const LayerPlan& one : parts_.plans) {
    total_bytes_ += one.plan.total_bytes();
  }
  next_layer_ = parts_.plans.front().layer;
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
  const Step step = carry_on();
  if (step == Step::kWaiting) {
    parks_ = stage_ == Stage::kVerify ||  // Who tells digests wakes.
             (!posted_.empty() &&
              std::ranges::all_of(posted_, [this](const Posted& one) KVFERRY_REQUIRES(stepping_) {
                return one.ended || executor().wakes(one.id);
              }));
  }
  return step;
}

TransferState::Step TransferState::carry_on() {
  if (done_.load(std::memory_order_acquire)) {
    return drain();
  }
  if (parts_.verification != nullptr) {
    if (!std::exchange(begun_, true)) {
      parts_.verification->begin(parts_.plans, weak_from_this());
    }
    if (auto looked = look_at_digests(); !looked) {
      return finish(std::move(looked).error());
    }
  }
  const Step looked = look_after_posted();
  if (done_.load(std::memory_order_relaxed) || posted_.size() >= executor().most_posts()) {
    return looked;
  }
  const Step posted = post_next();
  return posted == Step::kWaiting ? looked : posted;
}

void TransferState::wake() noexcept {
  woken_.store(true);
  if (on_wake_) {
    on_wake_();
  }
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
  switch (stage_) {
    case Stage::kData: return post_data();
    case Stage::kVerify: return verify();
    default: return post_guards();
  }
}

TransferState::Step TransferState::post_data() {
  const std::uint64_t largest = parts_.lane->executor->largest_post_bytes();
  const std::uint64_t limit = largest == 0 ? kStepBytes : std::min(kStepBytes, largest);
  // Runs of up to half the limit until half of it is reached: no piece is cut just to fill a step.
  const std::uint64_t half = std::max<std::uint64_t>(limit / 2, 1);
  std::array<Run, kStepRuns> runs;
  std::size_t count = cursor_.next(std::span{runs}, half);
  const bool guarded = parts_.source_guards != nullptr;
  while (count == 0 && !(guarded && ends_layer()) && next_plan()) {
    count = cursor_.next(std::span{runs}, half);
  }
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < count; ++i) {
    bytes += runs[i].total_bytes();
  }
  if (count != 0) {
    return post(std::span{runs}.first(count), bytes);
  }
  return posted_.empty() ? end_data() : Step::kWaiting;
}

bool TransferState::next_plan() {
  if (plan_ + 1 == parts_.plans.size()) {
    return false;
  }
  blocks_before_plan_ += parts_.plans[plan_].plan.destination_blocks().size();
  cursor_ = plan::RunCursor{parts_.plans[++plan_].plan};
  return true;
}

bool TransferState::ends_layer() const {
  return plan_ + 1 == parts_.plans.size() ||
         parts_.plans[plan_].layer != parts_.plans[plan_ + 1].layer;
}

TransferState::Step TransferState::post_guards() {
  const std::span<const Run> runs = parts_.source_guards->next_runs();
  if (!runs.empty()) {
    return post(runs, 0);
  }
  return posted_.empty() ? end_guards() : Step::kWaiting;
}

TransferState::Step TransferState::post(std::span<const Run> runs, std::uint64_t bytes) {
  // What is looked at again right away stays in the caches.
  const bool follows_nothing = stage_ == Stage::kData && parts_.verification == nullptr;
  auto posted = executor().post({runs, follows_nothing ? total_bytes() : 0, weak_from_this()});
  if (!posted) {
    return finish(std::move(posted).error());
  }
  ++requests_;
  const bool ended = !posted->has_value();
  posted_.push_back({ended ? agent::RequestId{} : **posted, bytes,
                     blocks_before_plan_ + cursor_.completed_blocks(), ended});
  if (ended) {
    bytes_moved_ += bytes;
    return note_ended();
  }
  return posted_.size() < executor().most_posts() ? Step::kMore : Step::kWaiting;
}

const Executor& TransferState::executor() const {
  const bool guards = stage_ == Stage::kGuardsBefore || stage_ == Stage::kGuardsAfter;
  return guards ? parts_.source_guards->reader() : *parts_.lane->executor;
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
  const std::size_t blocks =
      blocks_before_plan_ + parts_.plans[plan_].plan.destination_blocks().size();
  if (unchanged) {
    sound_blocks_ = blocks;
  }
  if (next_plan()) {
    // What changed in between will have changed at the end, too, and is told there.
    stage_ = Stage::kData;
    auto looked = look_at_digests();
    return looked ? Step::kMore : finish(std::move(looked).error());
  }
  return finish_arrived(std::move(unchanged));
}

/// All bytes have arrived, or with guards those of a layer.
TransferState::Step TransferState::end_data() {
  auto noted =
      note_arrived(blocks_before_plan_ + parts_.plans[plan_].plan.destination_blocks().size());
  if (!noted) {
    return finish(std::move(noted).error());
  }
  if (parts_.verification != nullptr && bytes_moved_ == total_bytes()) {
    stage_ = Stage::kVerify;
    return verify();
  }
  if (parts_.source_guards == nullptr) {
    return finish_arrived({});
  }
  stage_ = Stage::kGuardsAfter;
  return Step::kMore;
}

TransferState::Step TransferState::look_after_posted() {
  bool any{false};
  for (Posted& one : posted_) {
    if (one.ended) {
      continue;
    }
    auto state = executor().poll(one.id);
    if (!state) {
      return finish(std::move(state).error());
    }
    if (*state == agent::RequestState::kDone) {
      executor().release(one.id);
      one.ended = any = true;
      bytes_moved_ += one.bytes;
    }
  }
  if (any) {
    return note_ended();
  }
  if (!posted_.empty()) {
    if (auto stop = reason_to_stop()) {
      return finish(std::move(stop));
    }
  }
  return Step::kWaiting;
}

TransferState::Step TransferState::note_ended() {
  if (auto alive = executor().check_owner(); !alive) {
    return finish(std::move(alive).error());
  }
  const auto pending = std::ranges::find(posted_, false, &Posted::ended);
  if (pending != posted_.begin() && stage_ == Stage::kData) {
    if (auto noted = note_arrived(std::prev(pending)->good_blocks); !noted) {
      return finish(std::move(noted).error());
    }
  }
  posted_.erase(posted_.begin(), pending);
  const bool all = stage_ == Stage::kData && posted_.empty() && bytes_moved_ == total_bytes();
  return all ? end_data() : Step::kMore;
}

void TransferState::cancel_posted() {
  asked_to_stop_ = true;
  for (const Posted& one : posted_) {
    if (!one.ended) {
      executor().cancel(one.id);
    }
  }
}

/// After the end: gives everything back as soon as nothing can touch the destination any more.
TransferState::Step TransferState::drain() {
  if (quiet()) {
    return Step::kFinished;
  }
  if (settle_if_quiet()) {
    note_quiet(true);
    tell_end();
    return Step::kFinished;
  }
  if (!asked_to_stop_) {
    cancel_posted();  // They come from a step that hung.
  }
  return Step::kWaiting;
}

TransferState::Step TransferState::finish(std::optional<Error> error) {
  if (error.has_value()) {
    cancel_posted();
  }
  if (error.has_value() && error->code == ErrorCode::kUnavailable &&
      parts_.verification == nullptr && !executor().keeps_what_moved()) {
    good_blocks_ = 0;  // Nobody can say what the owner did to any of them while it died.
  }
  if (error.has_value() && parts_.verification != nullptr && parts_.verification->difference() &&
      !all_arrived_) {
    error = parts_.verification->difference();  // That bytes are wrong says most.
  }
  const bool still = settle_if_quiet();  // First: whoever sees the end can use the blocks at once.
  const bool told = publish(std::move(error), still);
  if (still) {
    note_quiet(!told);
    tell_end();
  }
  return still ? Step::kFinished : Step::kWaiting;
}

bool TransferState::settle_if_quiet() {
  std::erase_if(posted_, [this](const Posted& one) KVFERRY_REQUIRES(stepping_) {
    const bool quiet = one.ended || executor().quiet(one.id);
    if (quiet && !one.ended) {
      executor().release(one.id);
    }
    return quiet;
  });
  if (!posted_.empty()) {
    return false;
  }
  // Whoever sees quiet() can claim the blocks; whoever waited for the gates sees quiet().
  parts_.claims.reset();
  quiet_.store(true, std::memory_order_release);
  for (GatePass& pass : parts_.passes) {
    pass.leave();
  }
  return true;
}

/// It was told as in quarantine, and is no more.
void TransferState::note_quiet(bool was_told) {
  if (was_told && parts_.meter != nullptr) {
    parts_.meter->note_quiet();
  }
}

void TransferState::tell_end() {
  const auto on_end = std::exchange(parts_.on_end, nullptr);
  if (on_end) {
    on_end(poll()->error);
  }
}

std::vector<BlockId> TransferState::bad_blocks() const {
  std::vector<BlockId> bad{known_bad_};
  std::size_t good = all_arrived_ ? std::numeric_limits<std::size_t>::max() : good_blocks_.load();
  for (const LayerPlan& one : parts_.plans) {
    const std::span<const BlockId> blocks = one.plan.destination_blocks();
    const auto rest = blocks.subspan(std::min(good, blocks.size()));
    bad.insert(bad.end(), rest.begin(), rest.end());
    good -= blocks.size() - rest.size();
  }
  std::sort(bad.begin(), bad.end());
  bad.erase(std::unique(bad.begin(), bad.end()), bad.end());
  return bad;
}

bool TransferState::publish(std::optional<Error> error, bool quiet) {
  if (!put_report(std::move(error), quiet)) {
    return false;
  }
  if (parts_.completion != nullptr) {
    parts_.completion->part_ended();
  }
  return true;
}

bool TransferState::put_report(std::optional<Error> error, bool quiet) {
  const MutexLock lock{mutex_};
  if (done_.load(std::memory_order_relaxed)) {
    return false;
  }
  if (error.has_value()) {
    report_.bad_blocks = bad_blocks();
  }
  report_.error = std::move(error);
  report_.bytes_moved = bytes_moved_;
  report_.route = parts_.lane->executor->route();
  report_.plan_time = started_at_ - parts_.called_at;
  report_.transfer_time = parts_.clock->now() - started_at_;
  report_.verified = parts_.verification == nullptr ? Verified::kNo
                     : parts_.verification->keeps() ? Verified::kKept
                                                    : Verified::kCompared;
  report_.verify_time = Duration{verify_time_.load()};
  report_.quiet = quiet;
  if (parts_.meter != nullptr) {  // Before anybody sees the end.
    parts_.meter->note_end(report_, total_bytes(), requests_);
  }
  done_.store(true, std::memory_order_release);
  ended_.notify_all();
  return true;
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
    static_cast<void>(publish(
        Error{ErrorCode::kDeadline, "the deadline passed and what moves the bytes hangs"}, false));
  }
}

TransferReport TransferState::wait() { return *wait_until(TimePoint::max()); }

template <class Ready>
void TransferState::wait_for(TimePoint moment, const Ready& ready) {
  const auto over = [&] { return done_.load(std::memory_order_acquire) || ready(); };
  // A thread that only waits may as well copy: no other one has to be woken, nor this one.
  Step step = parts_.lane->executor->only_copies() ? Step::kMore : Step::kWaiting;
  while (step == Step::kMore && !over() && parts_.clock->now() < moment) {
    step = step_unless_busy();
  }
  for (int i = 0; i < kSpins && !over(); ++i) {
    pause_briefly();
  }
  while (!over()) {
    const TimePoint now = parts_.clock->now();
    if (now >= parts_.deadline || cancel_requested_.load(std::memory_order_relaxed)) {
      end_overdue();
    }
    if (now >= moment) {
      return;
    }
    TimePoint look_again = std::min(moment, now + CondVar::kLookAgain);
    if (parts_.deadline > now) {
      look_again = std::min(look_again, parts_.deadline);
    }
    const MutexLock lock{mutex_};
    if (!over()) {
      ended_.wait_for(mutex_, look_again - now);
    }
  }
}

std::optional<TransferReport> TransferState::wait_until(TimePoint moment) {
  wait_for(moment, [] { return false; });
  return poll();
}

bool TransferState::wait_for_layer(std::uint64_t layer, TimePoint moment) {
  wait_for(moment, [this, layer] { return has_layer(layer); });
  return has_layer(layer);
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
