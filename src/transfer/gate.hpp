// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "base/mutex.hpp"
#include "kvferry/base/clock.hpp"

namespace kvferry::transfer {

/// Lets transfers pass that use a layout or a peer, and can be closed by whoever takes it away.
///
/// Threads: any.
class Gate {
 public:
  /// Whether a transfer may begin; each one that does leaves later.
  [[nodiscard]] bool enter();
  void leave();

  /// Lets nobody in any more and waits until all have left. If some are still inside at
  /// `deadline`, takes that back and says no. Several may close it at once; it is closed as long
  /// as one of them wants it so.
  [[nodiscard]] bool close(const Clock& clock, TimePoint deadline);

  /// Takes back one close() that said yes.
  void open();

 private:
  Mutex mutex_;
  CondVar changed_;
  std::uint64_t inside_ KVFERRY_GUARDED_BY(mutex_){0};
  std::uint64_t closers_ KVFERRY_GUARDED_BY(mutex_){0};
};

// Shared: what is taken away and the transfers inside; a transfer may be the last to let go.
using GatePtr = std::shared_ptr<Gate>;

/// One transfer's stay behind a gate; empty, or entered.
class GatePass {
 public:
  GatePass() noexcept = default;
  /// A pass that is empty when the gate is closed.
  explicit GatePass(GatePtr gate) : gate_{gate->enter() ? std::move(gate) : nullptr} {}
  GatePass(GatePass&& other) noexcept : gate_{std::exchange(other.gate_, nullptr)} {}
  GatePass& operator=(GatePass&& other) noexcept {
    std::swap(gate_, other.gate_);
    return *this;
  }
  GatePass(const GatePass&) = delete;
  GatePass& operator=(const GatePass&) = delete;
  ~GatePass() { leave(); }

  [[nodiscard]] bool entered() const noexcept { return gate_ != nullptr; }
  void leave() {
    if (const GatePtr gate = std::exchange(gate_, nullptr); gate != nullptr) {
      gate->leave();
    }
  }

 private:
  GatePtr gate_;
};

}  // namespace kvferry::transfer
