// SPDX-License-Identifier: Apache-2.0
#include "transfer/gate.hpp"

#include <algorithm>
#include <chrono>

namespace kvferry::transfer {
namespace {

/// How long a wait sleeps before it asks the clock again, which need not be the machine's.
constexpr Duration kLookAgain{std::chrono::milliseconds{20}};

}  // namespace

bool Gate::enter() {
  const MutexLock lock{mutex_};
  if (closers_ != 0) {
    return false;
  }
  ++inside_;
  return true;
}

void Gate::leave() {
  const MutexLock lock{mutex_};
  --inside_;
  if (closers_ != 0) {
    changed_.notify_all();
  }
}

bool Gate::close(const Clock& clock, TimePoint deadline) {
  const MutexLock lock{mutex_};
  ++closers_;
  while (inside_ != 0) {
    const Duration left = deadline - clock.now();
    if (left <= Duration::zero()) {
      --closers_;
      return false;
    }
    changed_.wait_for(mutex_, std::min(left, kLookAgain));
  }
  return true;
}

void Gate::open() {
  const MutexLock lock{mutex_};
  --closers_;
}

}  // namespace kvferry::transfer
