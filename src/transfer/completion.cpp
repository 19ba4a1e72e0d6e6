// SPDX-License-Identifier: Apache-2.0
#include "transfer/completion.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "base/files.hpp"
#include "kvferry/base/try.hpp"
#include "transfer/group.hpp"

namespace kvferry::transfer {
namespace {

void make_readable(const UniqueFd& event) {
  const std::uint64_t one = 1;
  // It cannot fail: the counter is 0 before.
  static_cast<void>(::write(event.get(), &one, sizeof one) == sizeof one);
}

}  // namespace

Result<void> Notifier::watch(const std::shared_ptr<Completion>& completion) {
  const MutexLock lock{mutex_};
  if (closed_) {
    return {};  // All transfers have been ended.
  }
  if (!thread_.joinable()) {
    try {
      thread_ = std::thread{[self = shared_from_this()] { self->run(); }};
    } catch (const std::system_error& failure) {
      return Error{ErrorCode::kUnavailable,
                   std::string{"cannot start a thread: "} + failure.what()};
    }
  }
  watched_.push_back(completion);
  changed_.notify_all();
  return {};
}

void Notifier::tell(const std::shared_ptr<Completion>& completion) {
  {
    const MutexLock lock{mutex_};
    if (!closed_ && thread_.joinable()) {
      told_.push_back(completion);
      changed_.notify_all();
      return;
    }
  }
  completion->call_back();
}

void Notifier::close() {
  std::thread thread;
  {
    const MutexLock lock{mutex_};
    closed_ = true;
    thread.swap(thread_);
    changed_.notify_all();
  }
  if (thread.get_id() == std::this_thread::get_id()) {
    thread.detach();  // Whoever was called back ends the engine.
  } else if (thread.joinable()) {
    thread.join();
  }
}

void Notifier::run() {
  std::deque<std::shared_ptr<Completion>> told;
  std::vector<std::shared_ptr<Completion>> watched;
  while (true) {
    for (const auto& one : told) {
      one->call_back();
    }
    for (const auto& one : watched) {
      one->look();
    }
    told.clear();
    watched.clear();
    const MutexLock lock{mutex_};
    if (told_.empty() && closed_) {
      return;
    }
    if (told_.empty()) {
      // Deadlines are of the transfers' clocks, which need not be the machine's.
      watched_.empty() ? changed_.wait(mutex_) : changed_.wait_for(mutex_, CondVar::kLookAgain);
    }
    told.swap(told_);
    std::erase_if(watched_, [&watched](const std::weak_ptr<Completion>& weak) {
      auto one = weak.lock();
      if (one == nullptr || one->ended()) {
        return true;
      }
      watched.push_back(std::move(one));
      return false;
    });
  }
}

void Completion::part_ended() {
  if (left_.fetch_sub(1, std::memory_order_acq_rel) != 1) {
    return;
  }
  bool wanted = false;
  std::shared_ptr<const TransferGroup> group;  // Ends after the mutex.
  {
    const MutexLock lock{mutex_};
    wanted = !callbacks_.empty();
    if (event_) {
      make_readable(event_);
    }
    if (!wanted) {
      group.swap(group_);
    }
  }
  if (wanted) {
    notifier_ == nullptr ? call_back() : notifier_->tell(shared_from_this());
  }
}

Result<void> Completion::watch(const std::shared_ptr<const TransferGroup>& group) {
  if (notifier_ != nullptr) {
    KVFERRY_RETURN_IF_ERROR(notifier_->watch(shared_from_this()));
  }
  const MutexLock lock{mutex_};
  if (!ended()) {
    group_ = group;
  }
  return {};
}

Result<void> Completion::on_complete(Callback callback,
                                     const std::shared_ptr<const TransferGroup>& group) {
  KVFERRY_RETURN_IF_ERROR(watch(group));
  {
    const MutexLock lock{mutex_};
    if (!ended()) {
      callbacks_.push_back(std::move(callback));
      return {};
    }
  }
  callback(report_of(*group));
  return {};
}

Result<int> Completion::event_fd(const std::shared_ptr<const TransferGroup>& group) {
  KVFERRY_RETURN_IF_ERROR(watch(group));
  const MutexLock lock{mutex_};
  if (!event_) {
    event_ = UniqueFd{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (!event_) {
      return system_error("event descriptor", errno);
    }
    if (ended()) {
      make_readable(event_);
    }
  }
  return event_.get();
}

void Completion::call_back() {
  std::vector<Callback> callbacks;
  std::shared_ptr<const TransferGroup> group;  // Ends after the mutex, and after its report.
  {
    const MutexLock lock{mutex_};
    callbacks.swap(callbacks_);
    group.swap(group_);
  }
  if (callbacks.empty() || group == nullptr) {
    return;
  }
  const TransferReport report = report_of(*group);
  for (const Callback& callback : callbacks) {
    callback(report);
  }
}

void Completion::look() {
  std::shared_ptr<const TransferGroup> group;
  {
    const MutexLock lock{mutex_};
    group = group_;
  }
  if (group != nullptr) {
    for (const TransferMember& member : group->members) {
      static_cast<void>(member.state->look());
    }
  }
}

}  // namespace kvferry::transfer
