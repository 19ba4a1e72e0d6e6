// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <thread>

#include "manager/digest_book.hpp"
#include "manager/hold_book.hpp"
#include "manager/lease_desk.hpp"

namespace kvferry::manager {

/// What a manager says to other managers and hears from them: one thread that sleeps until a
/// message, a death or a deadline comes. It takes all messages of the agent.
///
/// Threads: any.
class PeerService {
 public:
  struct Options {
    WorkerId worker{};
    Epoch epoch{};  ///< of this manager
    LeaseDeskOptions desk;
  };

  /// Starts the thread. `registry` outlives the service.
  ///
  /// Errors: those of Agent::contact_metadata(); kUnavailable when the system has no thread.
  [[nodiscard]] static Result<std::unique_ptr<PeerService>> start(Options options,
                                                                  const Registry& registry);
  PeerService(const PeerService&) = delete;
  PeerService& operator=(const PeerService&) = delete;
  /// Tells owners what they have to be told, at most for a second, and ends all leases.
  ~PeerService();

  /// As HoldBook::ask().
  ///
  /// Errors: kInvalidArgument in a lease hook, which would wait for itself.
  [[nodiscard]] Result<std::unique_ptr<HeldBlocks>> hold(const ContactPtr& owner, wire::Hold hold,
                                                         TimePoint deadline);

  /// What asks owners for digests; transfers keep it.
  [[nodiscard]] const std::shared_ptr<DigestBook>& digests() const noexcept { return digests_; }

  /// Leases that peers have.
  [[nodiscard]] std::size_t leases_held() const noexcept { return desk_.held(); }

 private:
  PeerService(Options options, const Asker& asker, const Registry& registry);

  void run();
  void work();
  void wake_until_ended();
  void take_messages();
  void take(const agent::Notification& got);

  const std::shared_ptr<agent::Agent> agent_;  // shared: with the manager
  const std::shared_ptr<const Clock> clock_;   // shared: with the manager
  const LogHook log_;
  const std::shared_ptr<Outbox> outbox_;       // shared: with transfers, which may end later
  const std::shared_ptr<HoldBook> book_;       // shared: with transfers, which may end later
  const std::shared_ptr<DigestBook> digests_;  // shared: likewise
  LeaseDesk desk_;                             ///< of the thread alone, but for held()
  std::atomic<bool> stopping_{false};
  std::atomic<std::thread::id> runs_on_{};
  Mutex mutex_;
  CondVar end_;
  bool ended_ KVFERRY_GUARDED_BY(mutex_){false};
  std::thread thread_;
};

}  // namespace kvferry::manager
