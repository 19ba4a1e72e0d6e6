// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "kvferry/base/clock.hpp"
#include "kvferry/base/result.hpp"

namespace kvferry::tool {

/// This program once more, with other arguments; ends with this object, and with its parent.
class Child {
 public:
  /// Errors: kUnavailable when the system has no process for it.
  [[nodiscard]] static Result<Child> start(const std::vector<std::string>& arguments);
  Child(Child&& other) noexcept
      : process_{std::exchange(other.process_, -1)}, output_{std::exchange(other.output_, -1)} {}
  Child& operator=(Child&&) = delete;
  ~Child();

  [[nodiscard]] pid_t process() const noexcept { return process_; }

  /// Waits until it prints `line`.
  ///
  /// Errors: kUnavailable when it ends or prints something else; kDeadline.
  [[nodiscard]] Result<void> wait_for_line(const std::string& line, TimePoint deadline) const;

 private:
  Child(pid_t process, int output) noexcept : process_{process}, output_{output} {}

  pid_t process_;
  int output_;  ///< its standard output
};

}  // namespace kvferry::tool
