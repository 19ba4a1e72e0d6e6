// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "workers.hpp"

namespace kvferry::testing {

/// An engine that lends blocks: keeps what it is asked and told.
class LendingEngine {
 public:
  struct Ended {
    manager::LeaseRequest request;
    std::optional<Error> error;
  };

  /// What it answers from now on; nothing: yes.
  void set_answer(std::function<Result<void>(const manager::LeaseRequest&)> answer) {
    const std::lock_guard lock{mutex_};
    answer_ = std::move(answer);
  }

  [[nodiscard]] manager::LeaseHooks hooks() {
    return {[this](const manager::LeaseRequest& request) { return ask(request); },
            [this](const manager::LeaseRequest& request, const std::optional<Error>& error) {
              const std::lock_guard lock{mutex_};
              ended_.push_back({request, error});
              changed_.notify_all();
            }};
  }

  /// Waits for as many questions as `count` in all.
  [[nodiscard]] bool was_asked(std::size_t count) {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, kPatience, [&] { return asked_.size() >= count; });
  }
  /// Waits for the next end that was not taken yet.
  [[nodiscard]] std::optional<Ended> next_ended() {
    std::unique_lock lock{mutex_};
    if (!changed_.wait_for(lock, kPatience, [this] { return !ended_.empty(); })) {
      return std::nullopt;
    }
    Ended first = std::move(ended_.front());
    ended_.pop_front();
    return first;
  }
  [[nodiscard]] std::vector<manager::LeaseRequest> asked() {
    const std::lock_guard lock{mutex_};
    return asked_;
  }
  [[nodiscard]] std::size_t ended_waiting() {
    const std::lock_guard lock{mutex_};
    return ended_.size();
  }

 private:
  // Messages take microseconds; a machine under load gets a million times that.
  static constexpr std::chrono::seconds kPatience{30};

  Result<void> ask(const manager::LeaseRequest& request) {
    std::function<Result<void>(const manager::LeaseRequest&)> answer;
    {
      const std::lock_guard lock{mutex_};
      asked_.push_back(request);
      changed_.notify_all();
      answer = answer_;
    }
    return answer ? answer(request) : Result<void>{};
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  std::function<Result<void>(const manager::LeaseRequest&)> answer_;
  std::vector<manager::LeaseRequest> asked_;
  std::deque<Ended> ended_;
};

/// Waits until peers have `count` leases of `manager`: the count follows what the engine is told.
inline bool has_leases(const manager::TransportManager& manager, std::size_t count) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{30};
  while (manager.leases_held() != count && std::chrono::steady_clock::now() < end) {
    std::this_thread::yield();
  }
  return manager.leases_held() == count;
}
inline bool has_no_leases(const manager::TransportManager& manager) {
  return has_leases(manager, 0);
}

}  // namespace kvferry::testing
