// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "kvferry/base/result.hpp"

namespace kvferry::bench {

/// What `answer` ("ns 8213411") says, in seconds.
///
/// Errors: kCorrupt naming the answer, for any other text.
[[nodiscard]] Result<double> seconds_told(std::string_view answer);

/// The original's side of suite `wire`: a process that does the same work on request and tells how
/// long it took. One command a line, one line in answer; bench/rust/src/main.rs has the list. Ends
/// with this object, and with its parent.
class RustProgram {
 public:
  /// Starts the program in the file `path`, which may take `patience` for each answer.
  ///
  /// Errors: kUnavailable when there is no such program, or no process for it.
  [[nodiscard]] static Result<RustProgram> start(const std::string& path,
                                                 std::chrono::milliseconds patience);
  RustProgram(RustProgram&& other) noexcept
      : process_{std::exchange(other.process_, -1)},
        socket_{std::exchange(other.socket_, -1)},
        patience_{other.patience_} {}
  RustProgram& operator=(RustProgram&&) = delete;
  ~RustProgram();

  /// Gives it the message that it works on from now on. It answers only when packing what it reads
  /// there gives the same bytes.
  ///
  /// Errors: kUnavailable when it ends; kDeadline; kCorrupt when it answers anything but "ok".
  [[nodiscard]] Result<void> load(std::span<const std::byte> message);

  /// The seconds that `operations` times `operation`, "pack" or "unpack", take together.
  ///
  /// Errors: as load(), and those of seconds_told().
  [[nodiscard]] Result<double> seconds_of(std::string_view operation, int operations);

 private:
  RustProgram(pid_t process, int socket, std::chrono::milliseconds patience) noexcept
      : process_{process}, socket_{socket}, patience_{patience} {}

  /// The line that it answers `command` with.
  [[nodiscard]] Result<std::string> ask(std::string command);

  pid_t process_;
  int socket_;  ///< its standard input and output
  std::chrono::milliseconds patience_;
};

}  // namespace kvferry::bench
