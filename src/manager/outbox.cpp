// SPDX-License-Identifier: Apache-2.0
#include "manager/outbox.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace kvferry::manager {
namespace {

using namespace std::chrono_literals;

/// How long a peer may take to take a message: a healthy one needs microseconds.
constexpr Duration kTimeout = 1s;
/// The same for one that did not the last time.
constexpr Duration kLaterTimeout = 100ms;
/// When one that took nothing is tried again, and one that had no room.
constexpr Duration kAfterSilence = 1s;
constexpr Duration kAfterBusy = 10ms;
/// When a message is given up: what it was about has a deadline of its own.
constexpr Duration kGiveUp = 10s;

}  // namespace

void Outbox::put(const ContactPtr& peer, const wire::ControlMessage& message) {
  auto bytes = wire::encode_control(message);
  if (!bytes) {
    log(*peer, bytes.error());
    return;
  }
  {
    const TimePoint now = clock_->now();
    const MutexLock lock{mutex_};
    letters_.push_back({peer, *std::move(bytes), now, deadline_after(now, kGiveUp)});
  }
  agent_->wake();
}

std::optional<Outbox::Letter> Outbox::next(TimePoint now) {
  const MutexLock lock{mutex_};
  const auto found = std::find_if(letters_.begin(), letters_.end(), [&](const Letter& one) {
    // Who was silent and has died since is not waited for.
    return one.not_before <= now ||
           (one.tried && agent_->liveness(one.peer->id()) == agent::Liveness::kDead);
  });
  if (found == letters_.end()) {
    return std::nullopt;
  }
  Letter letter = std::move(*found);
  letters_.erase(found);
  return letter;
}

void Outbox::send(TimePoint until) {
  while (auto letter = next(clock_->now())) {
    const TimePoint end = deadline_after(clock_->now(), letter->tried ? kLaterTimeout : kTimeout);
    const auto sent = agent_->notify(letter->peer->id(), letter->bytes, std::min(until, end));
    if (!sent) {
      put_back(*std::move(letter), sent.error());
      if (sent.error().code == ErrorCode::kDeadline) {
        return;
      }
    }
  }
}

/// Tries it again later, where that may help.
void Outbox::put_back(Letter letter, const Error& error) {
  const TimePoint now = clock_->now();
  const bool silent = error.code == ErrorCode::kDeadline;
  const bool may_help = silent || error.code == ErrorCode::kBusy;
  if (!may_help || now >= letter.give_up_at) {
    log(*letter.peer, error);
    return;
  }
  letter.not_before = now + (silent ? kAfterSilence : kAfterBusy);
  letter.tried = letter.tried || silent;
  const MutexLock lock{mutex_};
  for (Letter& other : letters_) {
    if (silent && other.peer == letter.peer) {
      other.not_before = letter.not_before;  // One second for a peer, not for each message.
      other.tried = true;
    }
  }
  letters_.push_back(std::move(letter));
}

TimePoint Outbox::next_deadline() const {
  const MutexLock lock{mutex_};
  TimePoint next = TimePoint::max();
  for (const Letter& letter : letters_) {
    next = std::min(next, letter.not_before);
  }
  return next;
}

void Outbox::log(const Contact& peer, const Error& error) const {
  if (log_) {
    log_(LogLevel::kWarn, "cannot tell \"" + peer.name() + "\": " + error.message);
  }
}

}  // namespace kvferry::manager
