// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kvferry/base/log.hpp"
#include "manager/digest_desk.hpp"
#include "manager/lease_table.hpp"
#include "manager/outbox.hpp"
#include "manager/registry.hpp"

namespace kvferry::manager {

struct LeaseDeskOptions {
  std::shared_ptr<agent::Agent> agent;  // shared: with the manager
  std::shared_ptr<Contacts> contacts;   // shared: with the manager
  std::shared_ptr<Outbox> outbox;       // shared: with the manager
  std::shared_ptr<const Clock> clock;   // shared: with the manager
  LogHook log{};
  LeaseHooks hooks{};
  LeaseLimits limits{};
};

/// The owner's side of what readers ask: leases, what of them is granted and when they end; and
/// digests, which it hands on.
///
/// Threads:  one at a time; held() any.
/// Lifetime: the registry outlives it.
/// Source:   docs/spec/control.md, section 4.
class LeaseDesk {
 public:
  LeaseDesk(LeaseDeskOptions options, const Registry& registry);

  /// What a peer's agent sent: a hold, a release, or what has to be refused.
  void take(const std::string& sender, const wire::ControlFrame& frame,
            const Result<wire::ControlMessage>& message);

  /// Ends leases whose time is over or whose reader has died.
  void look_around();
  /// When look_around() has something to do at the latest.
  [[nodiscard]] TimePoint next_deadline() const noexcept { return table_.next_deadline(); }
  /// Ends all leases, because the manager ends.
  void close();

  [[nodiscard]] std::size_t held() const noexcept { return held_.load(std::memory_order_acquire); }

 private:
  /// A reader in one of its lives.
  struct Reader {
    ContactPtr contact;
    WorkerId worker{};
    Epoch epoch{};
    PastEpochs past;
    UsedNumbers numbers;
  };

  /// The reader that sent `frame`, whose number is used with that; null when there is nothing to be
  /// answered, or it has been.
  [[nodiscard]] Reader* take_question(const std::string& sender, const wire::ControlFrame& frame);
  void hold(const std::string& sender, const wire::ControlFrame& frame, const wire::Hold& asked);
  void release(const std::string& sender, const wire::ControlRequest& request,
               const wire::Release& told);
  void answer_unknown(const std::string& sender, const wire::ControlFrame& frame, Error why);

  /// The reader that sent `frame`; null when it cannot be answered, or is an earlier life.
  [[nodiscard]] Reader* find(const std::string& sender, const wire::ControlFrame& frame);
  [[nodiscard]] Reader* meet(const std::string& sender, const wire::ControlFrame& frame,
                             PastEpochs past);
  [[nodiscard]] bool make_room_for_a_reader();
  [[nodiscard]] Result<Lease> check(const Reader& reader, const wire::ControlRequest& request,
                                    const wire::Hold& asked) const;
  void answer(const Reader& reader, const wire::ControlRequest& request, wire::ControlBody body);
  void end(Lease lease, const std::optional<Error>& error);
  void end_all(std::vector<Lease> leases, const Error& error);
  void log(LogLevel level, const std::string& message) const;

  LeaseDeskOptions options_;
  const Registry& registry_;
  DigestDesk digests_;
  LeaseTable table_;
  std::map<std::string, Reader> readers_;  ///< by agent name
  TimePoint strangers_after_{};            ///< the last one could not be met: none before
  std::atomic<std::size_t> held_{0};
};

}  // namespace kvferry::manager
