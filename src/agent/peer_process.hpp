// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <span>

#include "base/unique_fd.hpp"
#include "kvferry/base/result.hpp"
#include "kvferry/base/run.hpp"

namespace kvferry::agent {

/// A process on this machine, held by a pidfd: its number may be given to another one, this object
/// still means the one it was made for.
///
/// Threads: any.
class PeerProcess {
 public:
  /// Errors: kUnavailable when it is gone; kRefused when it cannot be seen from here.
  [[nodiscard]] static Result<std::shared_ptr<PeerProcess>> open(pid_t id);

  [[nodiscard]] pid_t id() const noexcept { return id_; }
  [[nodiscard]] int descriptor() const noexcept { return descriptor_.get(); }

  /// Asks the kernel whether it still runs; remembers when not. A stopped one runs.
  [[nodiscard]] bool is_alive() noexcept;

  /// Whether it is known to be dead: no system call.
  [[nodiscard]] bool is_known_dead() const noexcept {
    return dead_.load(std::memory_order_relaxed);
  }
  void set_dead() noexcept { dead_.store(true, std::memory_order_relaxed); }

  /// Copies runs out of its memory, given by its own addresses.
  ///
  /// Shape:  `sources` holds an address of the process for each region, `destinations` ours.
  /// Errors: kRefused when the kernel does not let us; kUnavailable when it or its memory is gone,
  ///         also when some bytes have moved.
  [[nodiscard]] Result<void> read(std::span<const Run> runs, std::span<std::byte* const> sources,
                                  std::span<std::byte* const> destinations);

 private:
  PeerProcess(pid_t id, UniqueFd descriptor) : id_{id}, descriptor_{std::move(descriptor)} {}

  pid_t id_;
  UniqueFd descriptor_;
  std::atomic<bool> dead_{false};
};

}  // namespace kvferry::agent
