// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "base/mutex.hpp"
#include "disk/backend.hpp"
#include "disk/cached.hpp"
#include "kvferry/base/try.hpp"

namespace kvferry::disk {
namespace {

std::int64_t carry_out(const Operation& operation) {
  const auto offset = static_cast<off_t>(operation.offset);
  const ssize_t moved =
      operation.direction == Direction::kRead
          ? ::pread(operation.descriptor, operation.memory.data(), operation.memory.size(), offset)
          : ::pwrite(operation.descriptor, operation.memory.data(), operation.memory.size(),
                     offset);
  return moved < 0 ? -errno : moved;
}

class ThreadBackend final : public Backend {
 public:
  ThreadBackend() = default;
  ~ThreadBackend() override {
    {
      const MutexLock lock{mutex_};
      stopping_ = true;
      work_.notify_all();
    }
    for (std::thread& thread : threads_) {
      thread.join();
    }
  }

  [[nodiscard]] Result<void> start(std::size_t count) {
    try {
      for (std::size_t i = 0; i < count; ++i) {
        threads_.emplace_back([this] { run(); });
      }
    } catch (const std::system_error& failure) {
      return Error{ErrorCode::kUnavailable,
                   std::string{"cannot start a thread: "} + failure.what()};
    }
    return {};
  }

  [[nodiscard]] std::string_view name() const noexcept override { return "threads"; }

  [[nodiscard]] std::uint64_t read_cached(const Operation& operation) override {
    return disk::read_cached(operation);
  }

  void submit(std::span<const Operation> operations) override {
    const MutexLock lock{mutex_};
    queue_.insert(queue_.end(), operations.begin(), operations.end());
    for (std::size_t i = 0; i < std::min(operations.size(), threads_.size()); ++i) {
      work_.notify_one();
    }
  }

  [[nodiscard]] std::size_t wait(std::span<Ended> ended) override {
    const MutexLock lock{mutex_};
    while (ended_.empty() && !woken_) {
      told_.wait(mutex_);
    }
    woken_ = false;
    const std::size_t count = std::min(ended.size(), ended_.size());
    std::copy_n(ended_.begin(), count, ended.begin());
    ended_.erase(ended_.begin(), ended_.begin() + static_cast<std::ptrdiff_t>(count));
    return count;
  }

  void wake() override {
    const MutexLock lock{mutex_};
    woken_ = true;
    told_.notify_all();
  }

 private:
  void run() {
    while (const std::optional<Operation> operation = take()) {
      const Ended ended{operation->tag, carry_out(*operation)};
      const MutexLock lock{mutex_};
      ended_.push_back(ended);
      told_.notify_all();
    }
  }

  [[nodiscard]] std::optional<Operation> take() {
    const MutexLock lock{mutex_};
    while (queue_.empty() && !stopping_) {
      work_.wait(mutex_);
    }
    if (queue_.empty()) {
      return std::nullopt;
    }
    const Operation first = queue_.front();
    queue_.pop_front();
    return first;
  }

  Mutex mutex_;
  CondVar work_;
  CondVar told_;
  std::deque<Operation> queue_ KVFERRY_GUARDED_BY(mutex_);
  std::vector<Ended> ended_ KVFERRY_GUARDED_BY(mutex_);
  bool woken_ KVFERRY_GUARDED_BY(mutex_){false};
  bool stopping_ KVFERRY_GUARDED_BY(mutex_){false};
  std::vector<std::thread> threads_;
};

}  // namespace

Result<std::unique_ptr<Backend>> make_thread_backend(std::size_t depth) {
  auto backend = std::make_unique<ThreadBackend>();
  KVFERRY_RETURN_IF_ERROR(backend->start(depth));
  return std::unique_ptr<Backend>{std::move(backend)};
}

}  // namespace kvferry::disk
