// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "base/mutex.hpp"
#include "kvferry/base/log.hpp"
#include "manager/contacts.hpp"
#include "wire/control.hpp"

namespace kvferry::manager {

/// Messages that peers have yet to take. Who puts one in does not wait; a peer that takes none
/// holds up the others for a second at most, and less the next time.
///
/// Threads: any; send() one at a time.
class Outbox {
 public:
  Outbox(std::shared_ptr<agent::Agent> agent, std::shared_ptr<const Clock> clock, LogHook log)
      : agent_{std::move(agent)}, clock_{std::move(clock)}, log_{std::move(log)} {}

  /// Wakes whoever waits for the agent, who then calls send().
  void put(const ContactPtr& peer, const wire::ControlMessage& message);

  /// Sends what is ready, until `until`; returns after the first peer that took nothing in time.
  void send(TimePoint until);
  /// When send() has something to do; the end of time when there is nothing.
  [[nodiscard]] TimePoint next_deadline() const;

 private:
  struct Letter {
    ContactPtr peer;
    std::vector<std::byte> bytes;
    TimePoint not_before;
    TimePoint give_up_at;
    bool tried{false};
  };

  [[nodiscard]] std::optional<Letter> next(TimePoint now);
  void put_back(Letter letter, const Error& error);
  void log(const Contact& peer, const Error& error) const;

  const std::shared_ptr<agent::Agent> agent_;  // shared: with the manager
  const std::shared_ptr<const Clock> clock_;   // shared: likewise
  const LogHook log_;
  mutable Mutex mutex_;
  std::deque<Letter> letters_ KVFERRY_GUARDED_BY(mutex_);
};

}  // namespace kvferry::manager
