// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>

#include "kvferry/base/clock.hpp"

namespace kvferry::testing {

/// A clock that moves only when told to.
///
/// Threads: any.
class ManualClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const noexcept override {
    return TimePoint{Duration{since_start_.load()}};
  }
  void advance(Duration by) noexcept { since_start_ += by.count(); }

 private:
  std::atomic<Duration::rep> since_start_{0};
};

}  // namespace kvferry::testing
