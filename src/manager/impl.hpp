// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agent/fork_guard.hpp"
#include "base/mutex.hpp"
#include "kvferry/manager/transport_manager.hpp"
#include "manager/peer_message.hpp"
#include "manager/peer_service.hpp"
#include "manager/registry.hpp"
#include "transfer/engine.hpp"
#include "transfer/guard_check.hpp"

namespace kvferry::manager {

/// One end of a transfer: a layout of this worker, or one of a peer.
struct TransferEnd {
  LocalLayoutPtr local;
  FoundRemote remote;

  [[nodiscard]] bool is_local() const noexcept { return local != nullptr; }
  /// Of this process.
  [[nodiscard]] bool is_in_memory() const noexcept {
    return is_local() && !local->physical->is_on_disk();
  }
  [[nodiscard]] const layout::LayoutView& view() const noexcept {
    return is_local() ? local->physical->view() : remote.layout->told.view;
  }
  [[nodiscard]] std::span<const layout::Plane> planes() const noexcept {
    return is_local() ? local->physical->planes() : remote.layout->told.planes;
  }
  /// Of the data, which has no name, or of a plane; null where there is none of that name.
  [[nodiscard]] const layout::LayoutView* find_view(std::string_view plane) const noexcept {
    const layout::Plane* const found = layout::find_plane(planes(), plane);
    return plane.empty() ? &view() : found != nullptr ? &found->view : nullptr;
  }
  [[nodiscard]] const transfer::GatePtr& gate() const noexcept {
    return is_local() ? local->gate : remote.layout->gate;
  }
  [[nodiscard]] const Meaning& meaning() const noexcept {
    return is_local() ? local->meaning : remote.layout->told.meaning;
  }
  /// Lifetime: as long as this.
  [[nodiscard]] layout::Compared compared() const noexcept {
    return {view(), planes(), meaning().model, meaning().group};
  }
  /// Empty where all was told.
  [[nodiscard]] std::string assumed() const {
    return is_local() ? "" : to_string(remote.peer->identity.assume);
  }
};

/// What was assumed of any of the ends, each thing once.
[[nodiscard]] std::string assumed_of(std::span<const TransferEnd> sources,
                                     const TransferEnd& destination);

/// Errors of whoever names a layout that is not there.
[[nodiscard]] Error not_known(LayoutHandle handle);

/// Layouts of a peer by the names that the peer has for them.
using ByTold = std::unordered_map<LayoutHandle, RemoteLayoutPtr>;

/// What a message of a known worker is.
enum class News : std::uint8_t { kNone, kUpdate, kOtherLife };

class TransportManager::Impl {
 public:
  explicit Impl(ManagerOptions options);
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl();

  /// Makes the fork guard, then the engine, then what talks to peers.
  [[nodiscard]] Result<void> start();

  /// Errors: kRefused in a process that was forked from the manager's.
  [[nodiscard]] Result<void> check_process() const;
  /// Whether this is the process that made the manager.
  [[nodiscard]] bool in_own_process() const noexcept;
  /// Leaves everything as it is: the threads and peers belong to the parent process.
  void abandon() noexcept;

  [[nodiscard]] Result<LayoutHandle> register_layout(transfer::PhysicalLayoutPtr layout,
                                                     const RegisterOptions& options);
  [[nodiscard]] Result<void> unregister_layout(LayoutHandle handle, Duration timeout);
  [[nodiscard]] Result<LayoutHandle> change_layout(LayoutHandle handle,
                                                   transfer::PhysicalLayoutPtr layout,
                                                   const RegisterOptions& options,
                                                   Duration timeout);
  [[nodiscard]] Result<wire::SerializedLayout> export_metadata(wire::MessageFormat format) const;
  [[nodiscard]] Result<std::vector<std::byte>> export_envelope(
      const EnvelopeOptions& options) const;
  [[nodiscard]] Result<std::vector<LayoutHandle>> import_metadata(
      std::span<const std::byte> message, const ImportOptions& options);
  [[nodiscard]] Result<void> forget_peer(WorkerId worker, Duration timeout);
  [[nodiscard]] Result<Meaning> meaning(LayoutHandle handle) const;
  [[nodiscard]] Result<layout::Compatibility> compatibility(LayoutHandle source,
                                                            LayoutHandle destination) const;
  [[nodiscard]] Result<transfer::Transfer> execute_transfer(
      std::span<const LayoutHandle> sources, LayoutHandle destination,
      const plan::BlockPairs& blocks, const transfer::TransferOptions& options);

  [[nodiscard]] const ManagerOptions& options() const noexcept { return options_; }
  [[nodiscard]] Epoch epoch() const noexcept { return epoch_; }
  [[nodiscard]] std::uint64_t generation() const;
  [[nodiscard]] const Registry& registry() const noexcept { return registry_; }
  [[nodiscard]] std::size_t in_flight() const { return engine_->in_flight(); }
  [[nodiscard]] transfer::Statistics statistics() const { return meter_->statistics(); }
  [[nodiscard]] std::size_t leases_held() const {
    return service_ == nullptr ? 0 : service_->leases_held();
  }

 private:
  /// The layouts of one transfer.
  struct Ends {
    std::vector<TransferEnd> sources;
    std::span<const LayoutHandle> source_handles;
    TransferEnd destination;
    LayoutHandle destination_handle{};
    std::vector<transfer::GatePass> passes;  ///< of all of them, while the transfer is prepared
  };
  /// What one source gives.
  struct PlannedPart {
    std::size_t source{0};  ///< index in Ends::sources
    LaneEntry entry;
    std::vector<transfer::LayerPlan> plans;
    plan::BlockPairs blocks;               ///< which it feeds
    std::vector<BlockId> source_blocks{};  ///< in which `blocks` may lie, or in the caller's
    std::vector<BlockId> destination_blocks{};
  };
  /// Memory of this process at one end of a hop.
  struct HostMemory {
    std::span<const Region> regions;
    std::span<std::byte* const> bases;  ///< of `regions`
    std::shared_ptr<const void> keep_alive;
  };
  struct Moments {
    TimePoint called_at;
    TimePoint deadline;
  };

  [[nodiscard]] Result<void> start_service();
  [[nodiscard]] Result<std::vector<agent::RegistrationId>> register_memories(
      const transfer::PhysicalLayout& layout, Access access);
  void deregister_memories(const std::vector<agent::RegistrationId>& registrations);

  [[nodiscard]] Result<LayoutHandle> add_layout(transfer::PhysicalLayoutPtr layout,
                                                const RegisterOptions& options)
      KVFERRY_REQUIRES(layouts_mutex_);
  void remove_layout(const LocalLayout& layout) KVFERRY_REQUIRES(layouts_mutex_);
  /// Closes the gate of a registered layout, so that no transfer uses it.
  [[nodiscard]] Result<LocalLayoutPtr> close_layout(LayoutHandle handle, Duration timeout);

  [[nodiscard]] Result<std::optional<TimePoint>> check_validity(const ToldPeer& told,
                                                                Duration skew) const;
  [[nodiscard]] Result<void> check_sender(const PeerIdentity& sender) const;
  [[nodiscard]] Result<std::shared_ptr<Peer>> load(ToldPeer told, TimePoint deadline)
      KVFERRY_REQUIRES(peers_mutex_);
  [[nodiscard]] Result<std::shared_ptr<Peer>> update(const Peer& known, ToldPeer told, News news,
                                                     TimePoint deadline)
      KVFERRY_REQUIRES(peers_mutex_);
  void go_back_to(const Peer& known, TimePoint deadline) KVFERRY_REQUIRES(peers_mutex_);
  /// The peer that `told` describes, with those layouts of `kept` that are still in its memory.
  [[nodiscard]] Result<std::shared_ptr<Peer>> make_peer(ToldPeer told, ContactPtr contact,
                                                        const ByTold& kept)
      KVFERRY_REQUIRES(peers_mutex_);
  [[nodiscard]] Result<void> prepare_sides(agent::PeerId agent_peer, RemoteLayout& layout);

  [[nodiscard]] Result<TransferEnd> find_end(LayoutHandle handle) const;
  [[nodiscard]] Result<std::unique_ptr<transfer::GuardCheck>> guards_of(
      const TransferEnd& source, const transfer::GuardedBlocks& blocks,
      std::span<const std::uint64_t> expected) const;
  /// Asks the owner of the source to hold its blocks.
  [[nodiscard]] Result<std::shared_ptr<HeldBlocks>> hold(const TransferEnd& source,
                                                         std::span<const BlockId> blocks,
                                                         const transfer::TransferOptions& options,
                                                         TimePoint deadline);
  [[nodiscard]] Result<LaneEntry> lane_between(const TransferEnd& source,
                                               const TransferEnd& destination, const LaneKey& key);
  [[nodiscard]] Result<LaneEntry> make_lane(const TransferEnd& source,
                                            const TransferEnd& destination, const LaneKey& key);
  /// What reads and writes files; opened when it is first needed.
  [[nodiscard]] Result<std::shared_ptr<disk::Queue>> disk_queue();
  /// What goes through memory when neither end is memory; allocated when it is first needed.
  [[nodiscard]] Result<std::shared_ptr<transfer::BouncePool>> bounce_pool();
  [[nodiscard]] Result<std::unique_ptr<const transfer::Executor>> make_hop(
      const TransferEnd& end, bool is_source, const HostMemory& memory);
  [[nodiscard]] Result<std::unique_ptr<const transfer::Executor>> make_executor(
      const TransferEnd& source, const TransferEnd& destination);
  /// Where the digests of one end of a transfer come from.
  [[nodiscard]] Result<transfer::DigestSide> digests_of(const TransferEnd& end, bool is_source,
                                                        std::span<const transfer::LayerPlan> plans,
                                                        TimePoint deadline) const;
  [[nodiscard]] Result<transfer::Transfer> start_transfer(std::span<const LayoutHandle> sources,
                                                          LayoutHandle destination,
                                                          const plan::BlockPairs& blocks,
                                                          const transfer::TransferOptions& options);
  /// Finds the layouts of a transfer, and whether it may be.
  [[nodiscard]] Result<Ends> find_ends(std::span<const LayoutHandle> sources,
                                       LayoutHandle destination) const;
  /// One part for each source, as the sources share the work.
  [[nodiscard]] Result<plan::PlanSummary> plan_parts(const Ends& ends,
                                                     const plan::BlockPairs& blocks,
                                                     const transfer::TransferOptions& options,
                                                     std::vector<PlannedPart>& parts);
  [[nodiscard]] Result<plan::PlanSummary> plan_gather(const Ends& ends,
                                                      const plan::BlockPairs& blocks,
                                                      const transfer::TransferOptions& options,
                                                      std::vector<PlannedPart>& parts);
  [[nodiscard]] Result<PlannedPart> part_of_source(const Ends& ends, std::size_t source,
                                                   const plan::BlockPairs& blocks,
                                                   std::vector<plan::BlockPairs> fed);
  [[nodiscard]] Result<PlannedPart> part_of_nothing(const Ends& ends,
                                                    const plan::BlockPairs& blocks);
  /// Makes every check of one part, and enters the gates of its two ends; claims are not taken yet.
  [[nodiscard]] Result<transfer::TransferParts> prepare(const Ends& ends, PlannedPart part,
                                                        std::span<const BlockId> written,
                                                        const transfer::TransferOptions& options,
                                                        const Moments& moments);

  ManagerOptions options_;
  const std::int32_t process_;  ///< that made the manager, for messages
  std::unique_ptr<const agent::ForkGuard> guard_;
  Registry registry_;
  std::unique_ptr<transfer::Engine> engine_;
  // Shared: with transfers, which may end later.
  const std::shared_ptr<transfer::Meter> meter_ = std::make_shared<transfer::Meter>();
  std::shared_ptr<Contacts> contacts_;    // shared: with each contact; null without an agent
  std::unique_ptr<PeerService> service_;  ///< null without an agent

  Epoch epoch_;

  /// Held while that which a message says of this worker changes, or is put into one.
  mutable Mutex layouts_mutex_;
  std::uint32_t next_layout_id_ KVFERRY_GUARDED_BY(layouts_mutex_){0};
  std::uint64_t generation_ KVFERRY_GUARDED_BY(layouts_mutex_){1};

  Mutex tiers_mutex_;
  // Shared: with executors, which transfers in flight keep.
  std::shared_ptr<disk::Queue> disk_queue_ KVFERRY_GUARDED_BY(tiers_mutex_);
  std::shared_ptr<transfer::BouncePool> bounce_pool_ KVFERRY_GUARDED_BY(tiers_mutex_);

  Mutex peers_mutex_;  ///< held while a peer is imported, replaced or forgotten: one at a time
};

}  // namespace kvferry::manager
