// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>

namespace kvferry {

/// A moment on a clock that never goes back.
using TimePoint = std::chrono::steady_clock::time_point;
using Duration = std::chrono::nanoseconds;

/// Tells the time; passed in, so that tests decide what time it is.
///
/// Threads: any.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual TimePoint now() const noexcept = 0;
};

/// The machine's steady clock.
class SteadyClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const noexcept override { return std::chrono::steady_clock::now(); }
};

/// A moment by a calendar, comparable between workers as far as their clocks agree; it may jump.
using WallTime = std::chrono::system_clock::time_point;

/// Tells the time of the calendar; passed in, so that tests decide what time it is.
///
/// Threads: any.
class WallClock {
 public:
  virtual ~WallClock() = default;
  [[nodiscard]] virtual WallTime now() const noexcept = 0;
};

/// The machine's wall clock.
class SystemWallClock final : public WallClock {
 public:
  [[nodiscard]] WallTime now() const noexcept override { return std::chrono::system_clock::now(); }
};

/// `now` + `timeout`, held at the end of time instead of overflowing.
[[nodiscard]] TimePoint deadline_after(TimePoint now, Duration timeout) noexcept;

}  // namespace kvferry
