// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace kvferry {

/// Somebody who waits for something to end.
class Waker {
 public:
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;
  virtual ~Waker() = default;

  /// It may have ended. Must not wait.
  virtual void wake() noexcept = 0;

 protected:
  Waker() = default;
};

}  // namespace kvferry
