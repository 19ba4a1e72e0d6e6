// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kvferry/manager/leases.hpp"
#include "transfer/gate.hpp"

namespace kvferry::manager {

/// Which numbers of one epoch were used: all but those of the last 1,024 that are not marked.
class UsedNumbers {
 public:
  enum class Verdict { kFirst, kAgain, kTooOld };

  /// Uses a number.
  Verdict use(std::uint64_t number) noexcept;

 private:
  static constexpr std::size_t kWindow = 1'024;

  std::uint64_t highest_{0};
  std::bitset<kWindow> used_;  ///< of number n, above highest_ - kWindow, at n % kWindow
};

/// Blocks of ours that a peer copies.
struct Lease {
  LeaseRequest request;
  transfer::GatePass pass;  ///< of the layout, which cannot be unregistered meanwhile
};

/// The leases that peers have, by reader and number and by deadline.
///
/// Threads: one at a time.
class LeaseTable {
 public:
  explicit LeaseTable(const LeaseLimits& limits) noexcept : limits_{limits} {}

  /// Errors: kBusy when `reader` or all readers have as many as they may.
  [[nodiscard]] Result<void> check_room(const std::string& reader) const;
  /// Its reader has no lease of this number.
  void add(Lease lease);

  [[nodiscard]] std::optional<Lease> take(const std::string& reader, std::uint64_t number);
  /// In the order of their deadlines.
  [[nodiscard]] std::vector<Lease> take_expired(TimePoint now);
  [[nodiscard]] std::vector<Lease> take_all_of(const std::string& reader);
  [[nodiscard]] std::vector<Lease> take_all();

  [[nodiscard]] std::size_t size() const noexcept { return by_deadline_.size(); }
  [[nodiscard]] std::size_t size_of(const std::string& reader) const;
  /// The end of time when there is none.
  [[nodiscard]] TimePoint next_deadline() const noexcept;

 private:
  using Key = std::pair<std::string, std::uint64_t>;

  LeaseLimits limits_;
  std::map<std::string, std::map<std::uint64_t, Lease>> readers_;
  std::set<std::pair<TimePoint, Key>> by_deadline_;
};

}  // namespace kvferry::manager
