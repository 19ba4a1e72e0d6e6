// SPDX-License-Identifier: Apache-2.0
#include "manager/lease_table.hpp"

#include <algorithm>

namespace kvferry::manager {

UsedNumbers::Verdict UsedNumbers::use(std::uint64_t number) noexcept {
  if (number > highest_) {
    const std::uint64_t steps = number - highest_;
    if (steps >= kWindow) {
      used_.reset();
    } else {
      for (std::uint64_t skipped = highest_ + 1; skipped < number; ++skipped) {
        used_.reset(skipped % kWindow);
      }
    }
    highest_ = number;
    used_.set(number % kWindow);
    return Verdict::kFirst;
  }
  if (highest_ - number >= kWindow) {
    return Verdict::kTooOld;
  }
  if (used_.test(number % kWindow)) {
    return Verdict::kAgain;
  }
  used_.set(number % kWindow);
  return Verdict::kFirst;
}

Result<void> LeaseTable::check_room(const std::string& reader) const {
  const auto busy = [](std::size_t count, std::size_t limit, const std::string& whose) {
    return Error{ErrorCode::kBusy, "leases: " + std::to_string(count) + " of " +
                                       std::to_string(limit) + " " + whose + " are held"};
  };
  if (const std::size_t count = size_of(reader); count >= limits_.per_reader) {
    return busy(count, limits_.per_reader, "of this reader");
  }
  if (size() >= limits_.in_all) {
    return busy(size(), limits_.in_all, "of all readers");
  }
  return {};
}

void LeaseTable::add(Lease lease) {
  const Key key{lease.request.reader_agent, lease.request.number};
  by_deadline_.emplace(lease.request.deadline, key);
  readers_[key.first].emplace(key.second, std::move(lease));
}

std::optional<Lease> LeaseTable::take(const std::string& reader, std::uint64_t number) {
  const auto found = readers_.find(reader);
  if (found == readers_.end()) {
    return std::nullopt;
  }
  auto taken = found->second.extract(number);
  if (taken.empty()) {
    return std::nullopt;
  }
  if (found->second.empty()) {
    readers_.erase(found);
  }
  by_deadline_.erase({taken.mapped().request.deadline, Key{reader, number}});
  return std::move(taken.mapped());
}

std::vector<Lease> LeaseTable::take_expired(TimePoint now) {
  std::vector<Lease> taken;
  while (!by_deadline_.empty() && by_deadline_.begin()->first <= now) {
    const Key key = by_deadline_.begin()->second;
    taken.push_back(*take(key.first, key.second));
  }
  return taken;
}

std::vector<Lease> LeaseTable::take_all_of(const std::string& reader) {
  std::vector<Lease> taken;
  while (size_of(reader) != 0) {
    taken.push_back(*take(reader, readers_.at(reader).begin()->first));
  }
  return taken;
}

std::vector<Lease> LeaseTable::take_all() { return take_expired(TimePoint::max()); }

std::size_t LeaseTable::size_of(const std::string& reader) const {
  const auto found = readers_.find(reader);
  return found == readers_.end() ? 0 : found->second.size();
}

TimePoint LeaseTable::next_deadline() const noexcept {
  return by_deadline_.empty() ? TimePoint::max() : by_deadline_.begin()->first;
}

}  // namespace kvferry::manager
