// SPDX-License-Identifier: Apache-2.0
#include "transfer/gate.hpp"

namespace kvferry::transfer {
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
    if (!changed_.wait_before(mutex_, clock, deadline)) {
      --closers_;
      return false;
    }
  }
  return true;
}

void Gate::open() {
  const MutexLock lock{mutex_};
  --closers_;
}

}  // namespace kvferry::transfer
