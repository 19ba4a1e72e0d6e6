// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "kvferry/base/clock.hpp"

// Which mutex guards which field, checked by clang's -Wthread-safety.
#if defined(__clang__)
#define KVFERRY_ANNOTATION(x) __attribute__((x))
#else
#define KVFERRY_ANNOTATION(x)
#endif
#define KVFERRY_CAPABILITY(x) KVFERRY_ANNOTATION(capability(x))
#define KVFERRY_SCOPED_CAPABILITY KVFERRY_ANNOTATION(scoped_lockable)
#define KVFERRY_GUARDED_BY(x) KVFERRY_ANNOTATION(guarded_by(x))
#define KVFERRY_REQUIRES(...) KVFERRY_ANNOTATION(requires_capability(__VA_ARGS__))
#define KVFERRY_EXCLUDES(...) KVFERRY_ANNOTATION(locks_excluded(__VA_ARGS__))
#define KVFERRY_ACQUIRE(...) KVFERRY_ANNOTATION(acquire_capability(__VA_ARGS__))
#define KVFERRY_TRY_ACQUIRE(...) KVFERRY_ANNOTATION(try_acquire_capability(__VA_ARGS__))
#define KVFERRY_RELEASE(...) KVFERRY_ANNOTATION(release_capability(__VA_ARGS__))

namespace kvferry {

/// std::mutex, as the thread-safety analysis wants to see it.
class KVFERRY_CAPABILITY("mutex") Mutex {
 public:
  void lock() KVFERRY_ACQUIRE() { mutex_.lock(); }
  void unlock() KVFERRY_RELEASE() { mutex_.unlock(); }
  [[nodiscard]] bool try_lock() KVFERRY_TRY_ACQUIRE(true) { return mutex_.try_lock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class KVFERRY_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) KVFERRY_ACQUIRE(mutex) : mutex_{mutex} { mutex_.lock(); }
  /// Of a mutex that try_lock() has got.
  MutexLock(Mutex& mutex, std::adopt_lock_t) KVFERRY_REQUIRES(mutex) : mutex_{mutex} {}
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;
  ~MutexLock() KVFERRY_RELEASE() { mutex_.unlock(); }

 private:
  Mutex& mutex_;
};

/// A condition variable of Mutex. Waits may end early; the caller looks again.
class CondVar {
 public:
  void wait(Mutex& mutex) KVFERRY_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock{mutex.mutex_, std::adopt_lock};
    condition_.wait(lock);
    lock.release();
  }
  void wait_for(Mutex& mutex, Duration timeout) KVFERRY_REQUIRES(mutex) {
    // Added to the time of day by the library, which does not look whether that fits.
    constexpr Duration kLongest{std::chrono::hours{1}};
    std::unique_lock<std::mutex> lock{mutex.mutex_, std::adopt_lock};
    condition_.wait_for(lock, std::min(timeout, kLongest));
    lock.release();
  }
  /// Waits, but not past `deadline` on the machine's clock. Whether that is still to come.
  [[nodiscard]] bool wait_until(Mutex& mutex, TimePoint deadline) KVFERRY_REQUIRES(mutex) {
    const TimePoint now = std::chrono::steady_clock::now();
    if (now >= deadline) {  // Before they are subtracted: a deadline may be as early as can be.
      return false;
    }
    wait_for(mutex, deadline - now);
    return true;
  }

  /// How long a wait sleeps before it asks a clock again, which need not be the machine's.
  static constexpr Duration kLookAgain{std::chrono::milliseconds{20}};

  /// Waits a while, but not past `deadline` on `clock`. Whether that is still to come.
  [[nodiscard]] bool wait_before(Mutex& mutex, const Clock& clock, TimePoint deadline)
      KVFERRY_REQUIRES(mutex) {
    const TimePoint now = clock.now();
    if (now >= deadline) {
      return false;
    }
    wait_for(mutex, std::min(deadline - now, kLookAgain));
    return true;
  }
  void notify_one() noexcept { condition_.notify_one(); }
  void notify_all() noexcept { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace kvferry
