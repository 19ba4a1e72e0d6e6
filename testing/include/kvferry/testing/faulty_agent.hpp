// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "kvferry/agent/agent.hpp"
#include "kvferry/testing/fault.hpp"

namespace kvferry::testing {

/// How many of 100 notifications suffer what; the same seed gives the same ones. At most one of
/// them happens to a message.
struct MessageFaults {
  std::uint64_t seed{0};
  unsigned lose{0};       ///< told as sent, never sent
  unsigned duplicate{0};  ///< sent twice
  unsigned corrupt{0};    ///< one bit is flipped
  unsigned reorder{0};    ///< sent after the message that follows it
  unsigned delay{0};      ///< sent when deliver_delayed() is called
};

/// What a FaultyAgent has done so far.
struct FaultReport {
  bool struck{false};
  std::uint64_t fault_at{0};     ///< the piece
  std::uint64_t bytes_moved{0};  ///< by the time it struck, or so far
};

/// Any agent, with one thing that goes wrong at an exact place: requests are counted in the order
/// in which they are posted, in pieces of kFaultPieceBytes, and cut so that exactly so many pieces
/// have moved when the fault strikes. Requests that the wrapped agent does not finish in post()
/// are waited for up to there.
///
/// Threads: any; one request at a time until the fault has struck.
class FaultyAgent final : public agent::Agent {
 public:
  // Shared: whoever made the agent inside may use it beside this one.
  explicit FaultyAgent(std::shared_ptr<agent::Agent> inner, std::optional<Fault> fault = {},
                       const MessageFaults& message_faults = {});
  /// A delayed piece that has not moved yet never will.
  ~FaultyAgent() override;

  [[nodiscard]] FaultReport report() const;

  /// Sends the notifications that were delayed.
  [[nodiscard]] Result<void> deliver_delayed(TimePoint deadline);

  [[nodiscard]] const std::string& name() const noexcept override { return inner_->name(); }
  [[nodiscard]] const agent::AgentFacts& facts() const noexcept override { return inner_->facts(); }
  Result<agent::RegistrationId> register_memory(memory::MemoryPtr memory, Access access) override;
  Result<void> deregister_memory(agent::RegistrationId id) override;
  Result<std::vector<std::byte>> local_metadata() const override;
  Result<std::vector<std::byte>> contact_metadata() const override {
    return inner_->contact_metadata();
  }
  Result<agent::PeerId> load_peer(std::string_view name, std::span<const std::byte> blob,
                                  TimePoint deadline) override;
  Result<void> update_peer(agent::PeerId peer, std::span<const std::byte> blob,
                           TimePoint deadline) override;
  Result<void> forget_peer(agent::PeerId peer) override;
  [[nodiscard]] agent::Liveness liveness(agent::PeerId peer) const override;
  [[nodiscard]] std::optional<std::int32_t> process_of(agent::PeerId peer) const override;
  Result<agent::PreparedSidePtr> prepare_local(std::span<const Region> regions) override;
  Result<agent::PreparedSidePtr> prepare_remote(agent::PeerId peer,
                                                std::span<const Region> regions) override;
  Result<std::optional<agent::RequestId>> post(const agent::Request& request) override;
  Result<agent::RequestState> poll(agent::RequestId id) override;
  void cancel(agent::RequestId id) override;
  bool quiet(agent::RequestId id) override;
  void release(agent::RequestId id) override;
  Result<void> notify(agent::PeerId peer, std::span<const std::byte> message,
                      TimePoint deadline) override;
  std::vector<agent::Notification> take_notifications() override {
    return inner_->take_notifications();
  }
  Result<void> wait(TimePoint deadline) override { return inner_->wait(deadline); }
  void wake() override { inner_->wake(); }

 private:
  class Side;
  struct Posted;
  struct Held {
    agent::PeerId peer;
    std::vector<std::byte> message;
  };
  /// A request whose end this agent decides, not the one inside.
  struct Pending {
    bool cancelled{false};
    bool moves_later{false};
    bool done{false};
    std::optional<Error> error{};
  };

  [[nodiscard]] Result<void> move(const Posted& posted, std::span<const Run> runs);
  [[nodiscard]] Result<std::optional<agent::RequestId>> strike(const Posted& posted,
                                                               std::span<const Run> runs);
  [[nodiscard]] Result<std::optional<agent::RequestId>> lose_piece(const Posted& posted,
                                                                   std::span<const Run> runs);
  [[nodiscard]] Result<void> corrupt_piece(const Posted& posted, std::span<const Run> runs);
  [[nodiscard]] Result<void> signal_owner(const Posted& posted);
  void move_later(const Posted& posted, std::vector<Run> piece, agent::RequestId id);

  std::shared_ptr<agent::Agent> inner_;
  const std::optional<Fault> fault_;
  const MessageFaults message_faults_;

  std::mutex post_mutex_;  // One request at a time, so that the count is exact.
  std::atomic<bool> struck_{false};
  std::atomic<std::uint64_t> bytes_moved_{0};

  mutable std::mutex mutex_;
  std::condition_variable ends_;
  // Guarded by mutex_.
  bool ending_{false};
  std::map<std::uint64_t, Pending> pending_;
  std::thread delayed_;

  std::mutex message_mutex_;
  // Guarded by message_mutex_.
  std::mt19937_64 random_;
  std::vector<Held> reordered_;
  std::vector<Held> delayed_messages_;
};

}  // namespace kvferry::testing
