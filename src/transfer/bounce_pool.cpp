// SPDX-License-Identifier: Apache-2.0
#include "transfer/bounce_pool.hpp"

#include <algorithm>
#include <utility>

namespace kvferry::transfer {
namespace {

std::uint64_t slot_bytes_of(std::uint64_t bytes) {
  const std::uint64_t half = std::min(bytes / 2, BouncePool::kMostSlotBytes);
  const std::uint64_t pages = half - half % (2 * memory::kAlignmentBytes);
  return pages != 0 ? pages : std::max<std::uint64_t>(half, 1);
}

}  // namespace

BouncePool::BouncePool(memory::MemoryPtr memory)
    : memory_{std::move(memory)},
      slot_bytes_{slot_bytes_of(memory_->bytes().size())},
      slots_{memory_->bytes().size() / slot_bytes_} {
  for (std::size_t slot = slots_; slot > 0; --slot) {
    free_.push_back((slot - 1) * slot_bytes_);
  }
}

std::shared_ptr<Waker> BouncePool::next_in_line() {
  std::shared_ptr<Waker> next;
  while (!free_.empty() && !line_.empty() && next == nullptr) {
    next = line_.begin()->second.lock();
    if (next == nullptr) {
      line_.erase(line_.begin());  // Gone without a word.
    }
  }
  return next;
}

std::optional<std::uint64_t> BouncePool::take(Place& place, const std::weak_ptr<Waker>& waker) {
  std::shared_ptr<Waker> next;  // Woken without the mutex.
  std::uint64_t offset{0};
  {
    const MutexLock lock{mutex_};
    const bool first = line_.empty() || line_.begin()->first == place.number;
    if (free_.empty() || !first) {
      if (place.number == 0) {
        place.number = next_number_++;
        line_.emplace(place.number, waker);
      }
      return std::nullopt;
    }
    line_.erase(place.number);
    place = {};
    offset = free_.back();
    free_.pop_back();
    next = next_in_line();
  }
  if (next != nullptr) {
    next->wake();
  }
  return offset;
}

void BouncePool::give_back(std::uint64_t offset) {
  std::shared_ptr<Waker> next;
  {
    const MutexLock lock{mutex_};
    free_.push_back(offset);
    next = next_in_line();
  }
  if (next != nullptr) {
    next->wake();
  }
}

void BouncePool::leave(Place& place) {
  std::shared_ptr<Waker> next;
  {
    const MutexLock lock{mutex_};
    line_.erase(place.number);
    place = {};
    next = next_in_line();
  }
  if (next != nullptr) {
    next->wake();
  }
}

}  // namespace kvferry::transfer
