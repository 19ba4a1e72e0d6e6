// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "agent/fork_guard.hpp"
#include "base/mutex.hpp"
#include "kvferry/manager/transport_manager.hpp"
#include "manager/registry.hpp"
#include "transfer/engine.hpp"

namespace kvferry::manager {

/// One end of a transfer: a layout of this worker, or one of a peer.
struct TransferEnd {
  LocalLayoutPtr local;
  PeerPtr peer;
  const RemoteLayout* remote{nullptr};  ///< inside `peer`

  [[nodiscard]] bool is_local() const noexcept { return local != nullptr; }
  [[nodiscard]] const layout::LayoutView& view() const noexcept {
    return is_local() ? local->physical->view() : remote->view;
  }
  [[nodiscard]] const transfer::GatePtr& gate() const noexcept {
    return is_local() ? local->gate : peer->gate;
  }
};

class TransportManager::Impl {
 public:
  explicit Impl(ManagerOptions options);
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl();

  /// Makes the fork guard, then the engine.
  [[nodiscard]] Result<void> start();

  /// Errors: kRefused in a process that was forked from the manager's.
  [[nodiscard]] Result<void> check_process() const;
  /// Whether this is the process that made the manager.
  [[nodiscard]] bool in_own_process() const noexcept;
  /// Leaves everything as it is: the threads and peers belong to the parent process.
  void abandon() noexcept;

  [[nodiscard]] Result<LayoutHandle> register_layout(transfer::PhysicalLayoutPtr layout,
                                                     Access access);
  [[nodiscard]] Result<void> unregister_layout(LayoutHandle handle, Duration timeout);
  [[nodiscard]] Result<wire::SerializedLayout> export_metadata(wire::MessageFormat format) const;
  [[nodiscard]] Result<std::vector<LayoutHandle>> import_metadata(
      const wire::SerializedLayout& message, const ImportOptions& options);
  [[nodiscard]] Result<void> forget_peer(WorkerId worker, Duration timeout);
  [[nodiscard]] Result<layout::Compatibility> compatibility(LayoutHandle source,
                                                            LayoutHandle destination) const;
  [[nodiscard]] Result<transfer::Transfer> execute_transfer(
      LayoutHandle source, LayoutHandle destination, const plan::BlockPairs& blocks,
      const transfer::TransferOptions& options);

  [[nodiscard]] const ManagerOptions& options() const noexcept { return options_; }
  [[nodiscard]] const Registry& registry() const noexcept { return registry_; }
  [[nodiscard]] std::size_t in_flight() const { return engine_->in_flight(); }

 private:
  [[nodiscard]] Result<std::vector<agent::RegistrationId>> register_memories(
      const transfer::PhysicalLayout& layout, Access access);
  void deregister_memories(const std::vector<agent::RegistrationId>& registrations);

  [[nodiscard]] Result<void> check_sender(const Peer& peer) const;
  [[nodiscard]] Result<void> load(Peer& peer, TimePoint deadline);
  [[nodiscard]] Result<void> replace(const Peer& old, Peer& peer, TimePoint deadline);
  void go_back_to(const Peer& old, TimePoint deadline);
  [[nodiscard]] Result<void> prepare_sides(Peer& peer);

  [[nodiscard]] Result<TransferEnd> find_end(LayoutHandle handle) const;
  [[nodiscard]] Result<LaneEntry> lane_between(const TransferEnd& source,
                                               const TransferEnd& destination, const LaneKey& key);
  [[nodiscard]] Result<LaneEntry> make_lane(const TransferEnd& source,
                                            const TransferEnd& destination,
                                            const plan::LayerRange& layers);

  ManagerOptions options_;
  const std::int32_t process_;  ///< that made the manager, for messages
  std::unique_ptr<const agent::ForkGuard> guard_;
  Registry registry_;
  std::unique_ptr<transfer::Engine> engine_;

  Mutex ids_mutex_;
  std::uint32_t next_layout_id_ KVFERRY_GUARDED_BY(ids_mutex_){0};

  Mutex peers_mutex_;  ///< held while a peer is imported, replaced or forgotten: one at a time
};

}  // namespace kvferry::manager
