// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "base/mutex.hpp"
#include "base/unique_fd.hpp"
#include "kvferry/base/clock.hpp"
#include "kvferry/base/result.hpp"
#include "kvferry/transfer/transfer.hpp"

namespace kvferry::transfer {

class Completion;

/// A thread of an engine that moves no bytes, so that nothing below it can hang: it calls back
/// whoever wants to be, and ends transfers whose deadline has passed though nobody waits for them.
/// It begins with the first who wants that.
///
/// Threads: any.
class Notifier : public std::enable_shared_from_this<Notifier> {
 public:
  Notifier() = default;
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;
  ~Notifier() = default;

  /// Sees to it that the transfer of `completion` ends, if need be by itself.
  ///
  /// Errors: kUnavailable when the system has no thread.
  [[nodiscard]] Result<void> watch(const std::shared_ptr<Completion>& completion);
  /// Has the thread call back for a transfer that has ended; here where there is no thread any
  /// more.
  void tell(const std::shared_ptr<Completion>& completion);
  /// Calls back whom it has still to, and ends the thread. What ends later is told by whoever ends
  /// it.
  void close();

 private:
  void run();

  Mutex mutex_;
  CondVar changed_;
  std::deque<std::shared_ptr<Completion>> told_ KVFERRY_GUARDED_BY(mutex_);
  std::vector<std::weak_ptr<Completion>> watched_ KVFERRY_GUARDED_BY(mutex_);
  bool closed_ KVFERRY_GUARDED_BY(mutex_){false};
  std::thread thread_ KVFERRY_GUARDED_BY(mutex_);
};

/// The end of a transfer, for those who do not wait for it.
///
/// Threads: any.
class Completion : public std::enable_shared_from_this<Completion> {
 public:
  using Callback = std::function<void(const TransferReport&)>;

  /// `parts` is how often part_ended() is called. `notifier` may be null: then callers are told by
  /// whoever ends the transfer.
  Completion(std::size_t parts, std::shared_ptr<Notifier> notifier) noexcept
      : notifier_{std::move(notifier)}, left_{parts} {}

  /// A part has its report.
  void part_ended();
  [[nodiscard]] bool ended() const noexcept { return left_.load(std::memory_order_acquire) == 0; }

  /// As Transfer::on_complete() and event_fd(); `group` is the transfer's.
  [[nodiscard]] Result<void> on_complete(Callback callback,
                                         const std::shared_ptr<const TransferGroup>& group);
  [[nodiscard]] Result<int> event_fd(const std::shared_ptr<const TransferGroup>& group);

  /// Calls back whoever has not been.
  void call_back();
  /// Ends the transfer if its deadline has passed.
  void look();

 private:
  [[nodiscard]] Result<void> watch(const std::shared_ptr<const TransferGroup>& group)
      KVFERRY_EXCLUDES(mutex_);

  const std::shared_ptr<Notifier> notifier_;  // shared: with the engine, which may go first
  std::atomic<std::size_t> left_;
  Mutex mutex_;
  std::vector<Callback> callbacks_ KVFERRY_GUARDED_BY(mutex_);
  // Shared: with the caller, who may let go of it. Until the end it keeps itself by this.
  std::shared_ptr<const TransferGroup> group_ KVFERRY_GUARDED_BY(mutex_);
  UniqueFd event_ KVFERRY_GUARDED_BY(mutex_);
};

}  // namespace kvferry::transfer
