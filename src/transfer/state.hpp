// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/mutex.hpp"
#include "kvferry/transfer/transfer.hpp"
#include "transfer/claims.hpp"
#include "transfer/completion.hpp"
#include "transfer/executor.hpp"
#include "transfer/gate.hpp"
#include "transfer/guard_check.hpp"
#include "transfer/meter.hpp"
#include "transfer/verification.hpp"

namespace kvferry::transfer {

/// How blocks of one layout get to another, for one range of layers: made once, used by many
/// transfers.
struct Lane {
  struct Shape {
    std::shared_ptr<const plan::PlanTemplate> shape;  // shared: with plans in flight
    std::uint64_t layer{0};                           ///< as LayerPlan::layer
    std::string plane{};                              ///< likewise
  };
  /// Of the data and of each plane; none where several sources share the work.
  std::vector<Shape> shapes;
  std::unique_ptr<const Executor> executor;
};

/// What a transfer is made of when every check has passed.
struct TransferParts {
  std::shared_ptr<const Lane> lane;  // shared: with the manager's cache, which may drop it
  /// At least one, carried out one after the other, in ascending order of their layers. Blocks of
  /// an earlier one are as bad as all of a later one until that is through, so among those of one
  /// layer the largest comes last.
  std::vector<LayerPlan> plans;
  /// Of the destination blocks; given up when nothing of this transfer can touch them any more.
  std::shared_ptr<const Claims> claims;       // shared: with transfers that feed the same blocks
  std::unique_ptr<GuardCheck> source_guards;  ///< may be null
  /// May be null. Each plan is of one layer then.
  std::unique_ptr<Verification> verification;
  std::array<GatePass, 2> passes;      ///< source and destination, entered
  std::shared_ptr<const Clock> clock;  // shared: with the manager, which may go first
  TimePoint called_at;
  TimePoint deadline;
  /// Called once, when the transfer has ended and nothing can touch the destination any more; may
  /// be empty. Must not wait.
  std::function<void(const std::optional<Error>& error)> on_end{};
  std::shared_ptr<Completion>
      completion{};                // shared: with the transfer it is a part of; may be null
  std::shared_ptr<Meter> meter{};  // shared: with the manager; may be null
};

/// One transfer from its claims to its end. It is carried out by whoever calls step(): the caller
/// of execute_transfer for a small one, else the engine's threads and, where it cannot hang,
/// whoever waits for the end; one at a time.
///
/// Threads: any.
class TransferState final : public Waker, public std::enable_shared_from_this<TransferState> {
 public:
  /// Bytes after which cancel and deadline are looked at again.
  static constexpr std::uint64_t kStepBytes = std::uint64_t{1} << 20U;

  static constexpr std::uint64_t kNoLayer = std::numeric_limits<std::uint64_t>::max();

  enum class Step {
    kMore,      ///< bytes moved; call again
    kWaiting,   ///< nothing moved: a request is pending; call again after a while
    kFinished,  ///< the end, and nothing can touch the destination any more
  };

  explicit TransferState(TransferParts parts);

  /// Moves at most kStepBytes, or looks after what is pending.
  Step step();
  /// Likewise; kWaiting where somebody else is at it.
  Step step_unless_busy();

  /// Whether somebody calls wake() when there is something to do again: nobody has to look.
  [[nodiscard]] bool parks() const noexcept { return parks_.load(std::memory_order_relaxed); }
  /// What wake() calls; set before the first step.
  void set_on_wake(std::function<void()> on_wake) { on_wake_ = std::move(on_wake); }
  void wake() noexcept override;
  /// Whether it was woken since the last call.
  [[nodiscard]] bool take_wake() noexcept { return woken_.exchange(false); }
  [[nodiscard]] TimePoint deadline() const noexcept { return parts_.deadline; }
  [[nodiscard]] const std::shared_ptr<Completion>& completion() const noexcept {
    return parts_.completion;
  }

  void request_cancel() noexcept { cancel_requested_.store(true, std::memory_order_relaxed); }

  [[nodiscard]] TransferReport wait();
  [[nodiscard]] std::optional<TransferReport> wait_until(TimePoint moment);
  /// The report if the transfer is at its end, or its deadline has passed and it can be ended.
  [[nodiscard]] std::optional<TransferReport> look();
  [[nodiscard]] std::optional<TransferReport> poll() const;
  /// Whether all bytes of `layer`, and of all plans before those of it, have arrived. Told after
  /// guards and owner were asked.
  [[nodiscard]] bool has_layer(std::uint64_t layer) const noexcept {
    return next_layer_.load(std::memory_order_acquire) > layer;
  }
  /// Waits until it has, until the end, or until `moment`; says whether it has.
  [[nodiscard]] bool wait_for_layer(std::uint64_t layer, TimePoint moment);
  [[nodiscard]] bool quiet() const noexcept { return quiet_.load(std::memory_order_acquire); }
  [[nodiscard]] const Clock& clock() const noexcept { return *parts_.clock; }
  /// Of all plans.
  [[nodiscard]] std::uint64_t total_bytes() const noexcept { return total_bytes_; }

 private:
  /// A request that was posted.
  struct Posted {
    agent::RequestId id{};
    std::uint64_t bytes{0};
    std::size_t good_blocks{0};  ///< once it and all before it have ended
    bool ended{false};
  };

  /// What is asked for: the source's guards only where there are any.
  enum class Stage { kGuardsBefore, kData, kVerify, kGuardsAfter };

  Step step_locked() KVFERRY_REQUIRES(stepping_);
  Step carry_on() KVFERRY_REQUIRES(stepping_);
  Step post_next() KVFERRY_REQUIRES(stepping_);
  Step post_data() KVFERRY_REQUIRES(stepping_);
  /// Goes on to the next plan; says whether there was one.
  bool next_plan() KVFERRY_REQUIRES(stepping_);
  Step post_guards() KVFERRY_REQUIRES(stepping_);
  Step end_guards() KVFERRY_REQUIRES(stepping_);
  Step end_data() KVFERRY_REQUIRES(stepping_);
  /// Whether the plan in hand is the last one of its layer.
  [[nodiscard]] bool ends_layer() const KVFERRY_REQUIRES(stepping_);
  /// How many of the plans' destination blocks, one plan after the other, have arrived.
  [[nodiscard]] Result<void> note_arrived(std::size_t blocks) KVFERRY_REQUIRES(stepping_);
  /// Compares what digests there are, and takes note of what is good by now.
  [[nodiscard]] Result<void> look_at_digests() KVFERRY_REQUIRES(stepping_);
  Step verify() KVFERRY_REQUIRES(stepping_);
  void note_good(std::size_t blocks) KVFERRY_REQUIRES(stepping_);
  /// Ends a transfer of which all bytes have arrived.
  Step finish_arrived(Result<void> unchanged) KVFERRY_REQUIRES(stepping_);
  /// Starts a request for `runs` of `bytes` in all.
  Step post(std::span<const Run> runs, std::uint64_t bytes) KVFERRY_REQUIRES(stepping_);
  [[nodiscard]] const Executor& executor() const KVFERRY_REQUIRES(stepping_);
  Step look_after_posted() KVFERRY_REQUIRES(stepping_);
  /// Takes note of requests that have ended, in the order of their posting.
  Step note_ended() KVFERRY_REQUIRES(stepping_);
  void cancel_posted() KVFERRY_REQUIRES(stepping_);
  Step drain() KVFERRY_REQUIRES(stepping_);
  [[nodiscard]] std::optional<Error> reason_to_stop() const;
  /// Waits until `ready()`, the end, or `moment`.
  template <class Ready>
  void wait_for(TimePoint moment, const Ready& ready);
  Step finish(std::optional<Error> error) KVFERRY_REQUIRES(stepping_);
  /// Gives claims and gates back unless a request may still move bytes; says whether it did.
  bool settle_if_quiet() KVFERRY_REQUIRES(stepping_);
  /// False: it has a report already.
  bool publish(std::optional<Error> error, bool quiet) KVFERRY_EXCLUDES(mutex_);
  bool put_report(std::optional<Error> error, bool quiet) KVFERRY_EXCLUDES(mutex_);
  void note_quiet(bool was_told);
  void tell_end() KVFERRY_REQUIRES(stepping_) KVFERRY_EXCLUDES(mutex_);
  [[nodiscard]] std::vector<BlockId> bad_blocks() const KVFERRY_REQUIRES(mutex_);
  void end_overdue();

  TransferParts parts_;
  std::uint64_t total_bytes_{0};
  std::atomic<bool> cancel_requested_{false};
  std::atomic<bool> done_{false};   ///< report_ is there and does not change any more
  std::atomic<bool> quiet_{false};  ///< nothing can touch the destination any more
  std::atomic<std::uint64_t> bytes_moved_{0};
  std::atomic<std::uint64_t> requests_{0};
  /// How many of the plans' destination blocks, listed one plan after the other, have arrived.
  std::atomic<std::size_t> good_blocks_{0};
  std::atomic<bool> all_arrived_{false};       ///< only known_bad_ are bad
  std::atomic<Duration::rep> verify_time_{0};  ///< spent on digests
  /// The layer of the first plan whose blocks are not all good; kNoLayer when all are.
  std::atomic<std::uint64_t> next_layer_{0};

  Mutex stepping_;  ///< held by the one who carries the transfer on
  Stage stage_ KVFERRY_GUARDED_BY(stepping_){Stage::kData};
  std::size_t plan_ KVFERRY_GUARDED_BY(stepping_){0};                ///< the one in hand
  std::size_t blocks_before_plan_ KVFERRY_GUARDED_BY(stepping_){0};  ///< of the plans before it
  std::size_t sound_blocks_ KVFERRY_GUARDED_BY(stepping_){0};  ///< arrived, and did not change
  std::size_t good_plans_ KVFERRY_GUARDED_BY(stepping_){0};
  std::size_t blocks_of_good_plans_ KVFERRY_GUARDED_BY(stepping_){0};
  plan::RunCursor cursor_ KVFERRY_GUARDED_BY(stepping_);
  std::vector<Posted> posted_ KVFERRY_GUARDED_BY(stepping_);  ///< of one stage
  bool asked_to_stop_ KVFERRY_GUARDED_BY(stepping_){false};   ///< all of posted_
  bool begun_ KVFERRY_GUARDED_BY(stepping_){false};
  std::atomic<bool> parks_{false};
  std::atomic<bool> woken_{false};
  std::function<void()> on_wake_;
  TimePoint started_at_;

  mutable Mutex mutex_;
  CondVar ended_;
  TransferReport report_ KVFERRY_GUARDED_BY(mutex_);
  std::vector<BlockId> known_bad_ KVFERRY_GUARDED_BY(mutex_);  ///< although they have arrived
};

}  // namespace kvferry::transfer
