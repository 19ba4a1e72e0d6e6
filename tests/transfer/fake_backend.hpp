// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kvferry/base/try.hpp"
#include "kvferry/memory/copy.hpp"
#include "transfer/executor.hpp"
#include "transfer/state.hpp"

namespace kvferry::testing {

/// What moves the bytes in tests, and does what the test says at an exact post.
///
/// Threads: any.
class FakeBackend {
 public:
  enum class Does {
    kCopy,  ///< moves the bytes before post() returns
    kPend,  ///< moves nothing until the test says so
    kFail,  ///< post() fails, nothing moves
    kHang,  ///< post() does not return until let_go(), then moves the bytes
  };

  FakeBackend(const transfer::PhysicalLayoutPtr& source,
              const transfer::PhysicalLayoutPtr& destination)
      : source_{source}, destination_{destination} {}

  /// What each post does, by its number; nothing set: all copy.
  std::function<Does(std::size_t)> script;
  Error failure{ErrorCode::kWrongBytes, "the script says so"};
  std::uint64_t largest_post_bytes{0};
  bool obeys_cancel{true};  ///< a cancelled request is quiet at once

  void owner_dies() {
    locked([&] { owner_alive_ = false; });
  }
  void owner_dies_after_post(std::size_t number) {
    locked([&] { owner_dies_after_ = number; });
  }

  /// Lets hanging posts, and all later ones, go on.
  void let_go() {
    locked([&] { hangs_ = false; });
    changed_.notify_all();
  }
  /// Returns when a post hangs.
  void wait_until_hanging() {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [this] { return hanging_ != 0; });
  }
  /// Returns when `count` posts have been made.
  void wait_for_posts(std::size_t count) {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return posts_.size() >= count; });
  }

  /// Moves the bytes of a pending request and ends it well, as a peer would that did not hear of
  /// a cancel.
  void complete(agent::RequestId id) {
    const std::lock_guard lock{mutex_};
    Request& request = requests_.at(id.value());
    copy(request.runs);
    request.quiet = true;
    request.done = true;
  }
  void complete_all() {
    for (const agent::RequestId id : pending()) {
      complete(id);
    }
  }
  /// Makes poll() of a request fail; it is quiet only if `quiet` says so.
  void fail(agent::RequestId id, Error error, bool quiet) {
    const std::lock_guard lock{mutex_};
    Request& request = requests_.at(id.value());
    request.error = std::move(error);
    request.quiet = quiet;
  }

  [[nodiscard]] std::vector<agent::RequestId> pending() const {
    const std::lock_guard lock{mutex_};
    std::vector<agent::RequestId> ids;
    for (const auto& [id, request] : requests_) {
      if (!request.quiet) {
        ids.emplace_back(id);
      }
    }
    return ids;
  }
  /// Bytes of each post, in their order.
  [[nodiscard]] std::vector<std::uint64_t> posts() const {
    const std::lock_guard lock{mutex_};
    return posts_;
  }
  [[nodiscard]] std::size_t cancels() const {
    const std::lock_guard lock{mutex_};
    return cancels_;
  }
  /// Requests that were posted and not released.
  [[nodiscard]] std::size_t unreleased() const {
    const std::lock_guard lock{mutex_};
    return requests_.size();
  }

 private:
  friend class FakeExecutor;

  struct Request {
    std::vector<Run> runs;
    bool done{false};
    bool quiet{false};
    std::optional<Error> error{};
  };

  template <class Change>
  void locked(const Change& change) {
    const std::lock_guard lock{mutex_};
    change();
  }

  Result<std::optional<agent::RequestId>> post(std::span<const Run> runs) {
    std::unique_lock lock{mutex_};
    const std::size_t number = posts_.size();
    std::uint64_t bytes = 0;
    for (const Run& run : runs) {
      bytes += run.total_bytes();
    }
    posts_.push_back(bytes);
    const Does what = script ? script(number) : Does::kCopy;
    if (number == owner_dies_after_) {
      owner_alive_ = false;
    }
    changed_.notify_all();
    if (what == Does::kFail) {
      return failure;
    }
    if (what == Does::kPend) {
      const std::uint64_t id = next_id_++;
      requests_[id].runs.assign(runs.begin(), runs.end());
      return std::optional{agent::RequestId{id}};
    }
    if (what == Does::kHang) {
      ++hanging_;
      changed_.notify_all();
      changed_.wait(lock, [this] { return !hangs_; });
      --hanging_;
    }
    lock.unlock();  // Copies of several threads go on side by side.
    copy(runs);
    return std::optional<agent::RequestId>{};
  }

  void copy(std::span<const Run> runs) const {
    const auto source = source_.lock();
    const auto destination = destination_.lock();
    ASSERT_TRUE(source != nullptr && destination != nullptr) << "memory that moves has gone";
    memory::copy_runs(runs, source->region_bases(), destination->region_bases());
  }

  Result<agent::RequestState> poll(agent::RequestId id) {
    const std::lock_guard lock{mutex_};
    const Request& request = requests_.at(id.value());
    if (request.error.has_value()) {
      return *request.error;
    }
    return request.done ? agent::RequestState::kDone : agent::RequestState::kPending;
  }

  void cancel(agent::RequestId id) {
    const std::lock_guard lock{mutex_};
    ++cancels_;
    Request& request = requests_.at(id.value());
    request.quiet = request.quiet || obeys_cancel;
  }

  bool quiet(agent::RequestId id) {
    const std::lock_guard lock{mutex_};
    return requests_.at(id.value()).quiet;
  }

  void release(agent::RequestId id) {
    const std::lock_guard lock{mutex_};
    EXPECT_TRUE(requests_.at(id.value()).quiet) << "released a request that still writes";
    requests_.erase(id.value());
  }

  Result<void> check_owner() {
    const std::lock_guard lock{mutex_};
    if (!owner_alive_) {
      return Error{ErrorCode::kUnavailable, "the owner died"};
    }
    return {};
  }

  // The executor keeps them alive, as every executor has to.
  std::weak_ptr<const transfer::PhysicalLayout> source_;
  std::weak_ptr<const transfer::PhysicalLayout> destination_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  std::vector<std::uint64_t> posts_;
  std::map<std::uint64_t, Request> requests_;
  std::uint64_t next_id_{1};
  std::size_t cancels_{0};
  std::size_t hanging_{0};
  bool hangs_{true};
  bool owner_alive_{true};
  std::size_t owner_dies_after_{std::numeric_limits<std::size_t>::max()};
};

/// The executor in front of a FakeBackend, which the test keeps hold of.
class FakeExecutor final : public transfer::Executor {
 public:
  explicit FakeExecutor(std::shared_ptr<FakeBackend> backend)
      : backend_{std::move(backend)},
        source_{backend_->source_.lock()},
        destination_{backend_->destination_.lock()} {}

  [[nodiscard]] const std::string& route() const noexcept override { return route_; }
  [[nodiscard]] std::uint64_t largest_post_bytes() const noexcept override {
    return backend_->largest_post_bytes;
  }
  [[nodiscard]] Result<std::optional<agent::RequestId>> post(
      const transfer::Posting& posting) const override {
    return backend_->post(posting.runs);
  }
  [[nodiscard]] Result<agent::RequestState> poll(agent::RequestId id) const override {
    return backend_->poll(id);
  }
  void cancel(agent::RequestId id) const override { backend_->cancel(id); }
  [[nodiscard]] bool quiet(agent::RequestId id) const override { return backend_->quiet(id); }
  void release(agent::RequestId id) const override { backend_->release(id); }
  [[nodiscard]] Result<void> check_owner() const override { return backend_->check_owner(); }

 private:
  std::string route_{"fake"};
  std::shared_ptr<FakeBackend> backend_;  // shared: with the test that directs it
  transfer::PhysicalLayoutPtr source_;
  transfer::PhysicalLayoutPtr destination_;
};

}  // namespace kvferry::testing
