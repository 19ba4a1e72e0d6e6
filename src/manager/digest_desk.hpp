// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.hpp"
#include "manager/outbox.hpp"
#include "manager/registry.hpp"

namespace kvferry::manager {

/// The owner's side of digests: computes them from its own memory, one question after the other,
/// on a thread of its own that starts with the first.
///
/// Threads:  any.
/// Lifetime: the registry outlives it.
/// Source:   docs/spec/control.md, section 5.
class DigestDesk {
 public:
  DigestDesk(std::shared_ptr<Outbox> outbox, std::shared_ptr<const Clock> clock,
             const Registry& registry) noexcept
      : outbox_{std::move(outbox)}, clock_{std::move(clock)}, registry_{registry} {}
  DigestDesk(const DigestDesk&) = delete;
  DigestDesk& operator=(const DigestDesk&) = delete;
  ~DigestDesk();

  /// Takes a question of `reader`, or refuses it; the answer goes into the outbox.
  void take(const ContactPtr& reader, const wire::ControlRequest& request,
            const wire::AskDigests& asked);
  /// An answer is not wanted any more.
  void drop(const std::string& reader, const wire::ControlRequest& request);
  /// Drops all questions, and ends the thread.
  void close();

 private:
  struct Job {
    ContactPtr reader;
    wire::ControlRequest request;
    TimePoint deadline;
    LocalLayoutPtr layout;
    transfer::GatePass pass;  ///< the layout is not taken away meanwhile
    layout::LayoutView part;
    std::vector<DigestBox> boxes;
  };

  [[nodiscard]] Result<Job> make_job(const ContactPtr& reader, const wire::ControlRequest& request,
                                     const wire::AskDigests& asked) const;
  [[nodiscard]] Result<void> add(Job job);
  void refuse(const ContactPtr& reader, const wire::ControlRequest& request, Error why);
  void run();
  void carry_out(const Job& job);
  /// Whether the answer to the job in hand is still wanted.
  [[nodiscard]] bool is_wanted(const Job& job) const;

  const std::shared_ptr<Outbox> outbox_;      // shared: with the service
  const std::shared_ptr<const Clock> clock_;  // shared: with the manager
  const Registry& registry_;
  mutable Mutex mutex_;
  CondVar changed_;
  std::deque<Job> jobs_ KVFERRY_GUARDED_BY(mutex_);
  std::atomic<bool> dropped_{false};               ///< the job in hand
  std::string reader_ KVFERRY_GUARDED_BY(mutex_);  ///< of the job in hand; empty: none
  wire::ControlRequest request_ KVFERRY_GUARDED_BY(mutex_);
  bool closed_ KVFERRY_GUARDED_BY(mutex_){false};
  std::thread thread_ KVFERRY_GUARDED_BY(mutex_);
};

}  // namespace kvferry::manager
