// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/mutex.hpp"
#include "base/waker.hpp"
#include "kvferry/memory/memory.hpp"

namespace kvferry::transfer {

/// Memory through which bytes go that cannot go straight, in equal slots.
///
/// Threads: any.
class BouncePool {
 public:
  /// Most bytes of a slot: what a transfer moves at a time.
  static constexpr std::uint64_t kMostSlotBytes = std::uint64_t{1} << 20U;

  /// Cuts `memory` into at least two slots, so that one is filled while another is emptied; their
  /// sizes are multiples of a page where that is possible.
  explicit BouncePool(memory::MemoryPtr memory);

  [[nodiscard]] const memory::MemoryPtr& memory() const noexcept { return memory_; }
  [[nodiscard]] std::uint64_t slot_bytes() const noexcept { return slot_bytes_; }
  [[nodiscard]] std::size_t slots() const noexcept { return slots_; }

  /// Somebody's place in the line for a slot: who came first gets one first, so that a transfer
  /// that gives back and takes again does not keep all of them.
  struct Place {
    std::uint64_t number{0};  ///< 0: not in the line
  };

  /// Where in the memory a free slot begins. Nothing: it is not one's turn, and `waker` is told
  /// when it may be.
  [[nodiscard]] std::optional<std::uint64_t> take(Place& place, const std::weak_ptr<Waker>& waker);
  void give_back(std::uint64_t offset);
  /// Leaves the line.
  void leave(Place& place);

 private:
  /// Whoever may take a slot now.
  [[nodiscard]] std::shared_ptr<Waker> next_in_line() KVFERRY_REQUIRES(mutex_);

  memory::MemoryPtr memory_;
  std::uint64_t slot_bytes_;
  std::size_t slots_;
  Mutex mutex_;
  std::vector<std::uint64_t> free_ KVFERRY_GUARDED_BY(mutex_);
  std::uint64_t next_number_ KVFERRY_GUARDED_BY(mutex_){1};
  std::map<std::uint64_t, std::weak_ptr<Waker>> line_ KVFERRY_GUARDED_BY(mutex_);
};

}  // namespace kvferry::transfer
