// SPDX-License-Identifier: Apache-2.0
#include "transfer/engine.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <set>
#include <string>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "base/mutex.hpp"
#include "base/pause.hpp"

namespace kvferry::transfer {
namespace {

using Step = TransferState::Step;

/// Steps that a transfer gets before the next one's turn.
constexpr int kStepsPerTurn = 8;

/// Between two looks at pending requests: at first as short as a sleep can be, then longer and
/// longer, so that what takes long costs nothing.
constexpr Duration kShortestNap{std::chrono::microseconds{1}};
constexpr Duration kLongestNap{std::chrono::milliseconds{1}};

/// How often a thread that has just worked looks for more before it sleeps: about 10 us, so that
/// transfers that follow each other do not pay for waking it.
constexpr int kSpins = 200;

/// How long the destructor waits for idle threads: they only have to wake up.
constexpr Duration kThreadsEnd{std::chrono::seconds{1}};

/// Holds what a backend may still write to after everybody has let go of it. Freeing it would let
/// bytes arrive in memory that belongs to somebody else by then.
void keep_for_ever(std::shared_ptr<const void> memory) {
  static Mutex mutex;
  static auto* const kept = new std::vector<std::shared_ptr<const void>>;
  const MutexLock lock{mutex};
  kept->push_back(std::move(memory));
}

}  // namespace

class Engine::Core {
 public:
  /// False when it is too late: nobody would carry it out.
  [[nodiscard]] bool add(const std::shared_ptr<TransferState>& state, Step step) {
    const MutexLock lock{mutex_};
    if (stopping_) {
      return false;
    }
    ++in_flight_;
    put(state, step);
    return true;
  }

  /// A parked transfer has something to do again.
  void unpark(TransferState* state) {
    const MutexLock lock{mutex_};
    const auto found = parked_.find(state);
    if (found != parked_.end()) {
      unpark_locked(found);
    }
  }

  [[nodiscard]] std::size_t in_flight() const {
    const MutexLock lock{mutex_};
    return in_flight_;
  }

  /// A copy thread: takes the transfers in turn until it is told to stop.
  void run() {
    while (std::shared_ptr<TransferState> state = take()) {
      Step step = Step::kMore;
      for (int i = 0; i < kStepsPerTurn && step == Step::kMore; ++i) {
        step = state->step_unless_busy();
      }
      put_back(std::move(state), step);
    }
    const MutexLock lock{mutex_};
    --running_;
    idle_.notify_all();
  }

  void add_thread() {
    const MutexLock lock{mutex_};
    ++running_;
  }

  /// Asks all to end, and waits until they have; what has not by then stays.
  void shut_down(Duration timeout) {
    const TimePoint end = deadline_after(std::chrono::steady_clock::now(), timeout);
    const MutexLock lock{mutex_};
    if (stopping_) {
      return;
    }
    cancelling_ = true;
    for (const auto& state : queue_) {
      state->request_cancel();  // Where every thread hangs, nobody takes it any more.
    }
    while (!parked_.empty()) {
      parked_.begin()->second->request_cancel();
      unpark_locked(parked_.begin());
    }
    work_.notify_all();
    while (in_flight_ != 0 && idle_.wait_until(mutex_, end)) {
    }
    stopping_ = true;
    work_.notify_all();
  }

  /// Whether every thread ends in time.
  [[nodiscard]] bool threads_end(Duration timeout) {
    const TimePoint end = deadline_after(std::chrono::steady_clock::now(), timeout);
    const MutexLock lock{mutex_};
    while (running_ != 0) {
      if (!idle_.wait_until(mutex_, end)) {
        return false;
      }
    }
    return true;
  }

 private:
  using Parked = std::unordered_map<TransferState*, std::shared_ptr<TransferState>>;

  /// The next transfer whose turn it is, or null at the end. Naps when all of them only wait.
  std::shared_ptr<TransferState> take() {
    for (int i = 0; i < kSpins && queued_.load(std::memory_order_relaxed) == 0; ++i) {
      pause_briefly();
    }
    const MutexLock lock{mutex_};
    while (!stopping_) {
      unpark_overdue();
      if (queue_.empty()) {
        // Parked ones are looked at when their deadline has passed on their clock.
        parked_.empty() ? work_.wait(mutex_) : work_.wait_for(mutex_, CondVar::kLookAgain);
        continue;
      }
      if (waiting_in_a_row_ >= queue_.size()) {
        waiting_in_a_row_ = 0;
        nap_ = std::min(nap_ * 2, kLongestNap);
        work_.wait_for(mutex_, nap_);
        continue;
      }
      std::shared_ptr<TransferState> state = std::move(queue_.front());
      queue_.pop_front();
      queued_.store(queue_.size(), std::memory_order_relaxed);
      if (cancelling_) {
        state->request_cancel();
      }
      return state;
    }
    return nullptr;
  }

  void put_back(std::shared_ptr<TransferState> state, Step step) {
    const MutexLock lock{mutex_};
    if (step == Step::kWaiting) {
      ++waiting_in_a_row_;
    } else {
      waiting_in_a_row_ = 0;
      nap_ = kShortestNap;
    }
    if (step == Step::kFinished) {
      --in_flight_;
      idle_.notify_all();
    } else {
      put(std::move(state), step);
    }
  }

  /// Parks a transfer that somebody wakes, or gives it its turn.
  void put(std::shared_ptr<TransferState> state, Step step) KVFERRY_REQUIRES(mutex_) {
    if (step == Step::kWaiting && state->parks() && !cancelling_ && !state->take_wake()) {
      if (state->clock().now() < state->deadline()) {  // Else it has ended, and only gets quiet.
        deadlines_.emplace(state->deadline(), state.get());
      }
      parked_.emplace(state.get(), std::move(state));
      return;
    }
    queue_.push_back(std::move(state));
    queued_.store(queue_.size(), std::memory_order_relaxed);
    work_.notify_one();
  }

  void unpark_locked(Parked::iterator parked) KVFERRY_REQUIRES(mutex_) {
    std::shared_ptr<TransferState> state = std::move(parked->second);
    parked_.erase(parked);
    deadlines_.erase({state->deadline(), state.get()});
    static_cast<void>(state->take_wake());
    put(std::move(state), Step::kMore);
  }

  void unpark_overdue() KVFERRY_REQUIRES(mutex_) {
    while (!deadlines_.empty()) {
      TransferState* const first = deadlines_.begin()->second;
      if (first->clock().now() < deadlines_.begin()->first) {
        return;
      }
      unpark_locked(parked_.find(first));
    }
  }

  mutable Mutex mutex_;
  CondVar work_;
  CondVar idle_;
  std::deque<std::shared_ptr<TransferState>> queue_ KVFERRY_GUARDED_BY(mutex_);
  Parked parked_ KVFERRY_GUARDED_BY(mutex_);
  std::set<std::pair<TimePoint, TransferState*>> deadlines_ KVFERRY_GUARDED_BY(mutex_);
  std::atomic<std::size_t> queued_{0};  ///< size of queue_, for those who only look
  std::size_t in_flight_ KVFERRY_GUARDED_BY(mutex_){0};
  std::size_t running_ KVFERRY_GUARDED_BY(mutex_){0};
  std::size_t waiting_in_a_row_ KVFERRY_GUARDED_BY(mutex_){0};
  Duration nap_ KVFERRY_GUARDED_BY(mutex_){kShortestNap};
  bool cancelling_ KVFERRY_GUARDED_BY(mutex_){false};
  bool stopping_ KVFERRY_GUARDED_BY(mutex_){false};
};

Engine::Engine(std::shared_ptr<Core> core, EngineOptions options)
    : core_{std::move(core)}, options_{std::move(options)} {}

Result<std::unique_ptr<Engine>> Engine::create(EngineOptions options) {
  const std::size_t copy_threads = options.copy_threads;
  if (copy_threads == 0) {
    return Error{ErrorCode::kInvalidArgument, "copy_threads: 0 is not at least 1"};
  }
  // make_unique cannot reach the private constructor.
  std::unique_ptr<Engine> engine{new Engine{std::make_shared<Core>(), std::move(options)}};
  try {
    for (std::size_t i = 0; i < copy_threads; ++i) {
      engine->threads_.emplace_back([core = engine->core_] { core->run(); });
      engine->core_->add_thread();
    }
  } catch (const std::system_error& failure) {
    return Error{ErrorCode::kUnavailable, std::string{"cannot start a thread: "} + failure.what()};
  }
  return engine;
}

void Engine::shut_down() {
  core_->shut_down(options_.shutdown_timeout);
  notifier_->close();  // After all ends that it has to tell.
}

Engine::~Engine() {
  shut_down();
  // A thread that hangs in a copy is left behind with the core, which it keeps alive.
  const bool ended = core_->threads_end(kThreadsEnd);
  for (std::thread& thread : threads_) {
    ended ? thread.join() : thread.detach();
  }
  if (const std::size_t left = in_flight(); left != 0) {
    keep_for_ever(core_);
    if (options_.log) {
      options_.log(LogLevel::kError, std::to_string(left) +
                                         " transfers were not quiet at shut-down: their memory "
                                         "is kept until the process ends");
    }
  }
}

void Engine::start(const std::shared_ptr<TransferState>& state) {
  const auto carry_on = [&state] {
    Step step = Step::kMore;
    while (step == Step::kMore) {
      step = state->step();
    }
    return step;
  };
  state->set_on_wake([core = std::weak_ptr{core_}, parked = state.get()] {
    if (const auto alive = core.lock()) {
      alive->unpark(parked);
    }
  });
  const bool is_small = state->total_bytes() <= kInlineBytes;
  const Step step = is_small ? carry_on() : Step::kMore;
  if (step == Step::kFinished || core_->add(state, step)) {
    return;
  }
  const TimePoint end = deadline_after(std::chrono::steady_clock::now(), options_.shutdown_timeout);
  state->request_cancel();
  while (carry_on() == Step::kWaiting) {
    if (std::chrono::steady_clock::now() >= end) {
      keep_for_ever(state);
      return;
    }
    std::this_thread::sleep_for(kShortestNap);
  }
}

std::size_t Engine::in_flight() const { return core_->in_flight(); }

}  // namespace kvferry::transfer
