// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/mutex.hpp"
#include "kvferry/base/epoch.hpp"
#include "kvferry/manager/transport_manager.hpp"
#include "manager/contacts.hpp"
#include "manager/past_epochs.hpp"
#include "transfer/gate.hpp"
#include "transfer/state.hpp"

namespace kvferry::manager {

/// A layout of this worker.
struct LocalLayout {
  LayoutHandle handle{};
  transfer::PhysicalLayoutPtr physical;
  Access access{Access::kNone};
  Meaning meaning{};
  std::vector<agent::RegistrationId> registrations;
  transfer::GatePtr gate;
};

/// What a message says of one layout, with what was assumed.
struct ToldLayout {
  LayoutHandle handle{};  ///< as the owner names it
  layout::LayoutView view;
  std::vector<layout::Plane> planes{};  ///< over regions()
  std::optional<Region> guards;         ///< where the sequence numbers of its blocks lie
  std::optional<Access> access{};       ///< of peers; formats A and B do not say
  Meaning meaning{};                    ///< empty where none is told

  /// Lifetime: as long as this.
  [[nodiscard]] layout::Compared compared() const noexcept {
    return {view, planes, meaning.model, meaning.group};
  }
  /// Of the data, then of each plane.
  [[nodiscard]] std::vector<Region> regions() const { return layout::all_regions(view, planes); }

  /// Whether it is the same layout, as whichever format tells it.
  friend bool operator==(const ToldLayout& a, const ToldLayout& b) {
    return a.handle == b.handle && a.view == b.view && a.planes == b.planes && a.guards == b.guards;
  }
};

/// A layout of another worker.
struct RemoteLayout {
  LayoutHandle handle{};  ///< as it is named here: given once, never again
  ToldLayout told;
  agent::PreparedSidePtr side;
  agent::PreparedSidePtr guard_side;  ///< null without guards
  transfer::GatePtr gate;
  std::shared_ptr<transfer::ClaimTable> claims{};  ///< of what this worker pushes there
};
// Shared: generations of its peer that have it, and transfers in flight.
using RemoteLayoutPtr = std::shared_ptr<const RemoteLayout>;

/// What only an envelope tells of a worker.
struct PeerLife {
  Epoch epoch{};
  std::uint64_t generation{0};

  friend bool operator==(const PeerLife&, const PeerLife&) = default;
};

/// Who a message is from, and what tells it from another one.
struct PeerIdentity {
  WorkerId worker_id{};
  std::string agent_name;
  std::optional<PeerLife> life;           ///< nothing in formats A and B
  std::array<std::uint64_t, 2> digest{};  ///< of all that the message says but issue and lease
  layout::Assumptions assume;
  std::vector<std::byte> blob;  ///< the agent's part of the message
};

/// Another worker, as its last message described it.
struct Peer {
  PeerIdentity identity;
  ContactPtr contact;
  std::optional<TimePoint> expires;  ///< end of its lease
  WallTime issued{};                 ///< the message that said so; formats A and B do not say
  PastEpochs past;
  std::vector<RemoteLayoutPtr> layouts;  ///< in the message's order
};

// Shared: the registry and whoever looked an entry up; it may be taken away meanwhile.
using LocalLayoutPtr = std::shared_ptr<const LocalLayout>;
using PeerPtr = std::shared_ptr<const Peer>;

/// Whether two local layouts share bytes.
enum class Sharing : std::uint8_t { kNone, kSameLayout, kOverlapping };

/// A lane and what has to be known of its two ends.
struct LaneEntry {
  std::shared_ptr<const transfer::Lane> lane;  // shared: with transfers in flight
  Sharing sharing{Sharing::kNone};
  RemoteLayoutPtr remote{};  ///< the peer's layout at one end; null between two local ones
};

struct LaneKey {
  LayoutHandle source{};
  LayoutHandle destination{};
  plan::LayerRange layers{};
  bool cut{false};    ///< a shape for each layer
  bool shaped{true};  ///< false: its parts are planned anew for each gather

  friend bool operator==(const LaneKey&, const LaneKey&) = default;
};

struct LaneKeyHash {
  std::size_t operator()(const LaneKey& key) const noexcept {
    const std::hash<LayoutHandle> handle;
    return (handle(key.source) * 31) ^ (handle(key.destination) * 17) ^
           ((key.layers.first * 0x9E3779B97F4A7C15U) + key.layers.end) ^ (key.shaped ? 0 : 1) ^
           (key.cut ? 2 : 0);
  }
};

/// A peer's layout and its peer; null when it is not known (any more).
struct FoundRemote {
  PeerPtr peer;
  RemoteLayoutPtr layout;
};

/// What a manager knows of layouts: its own, those of its peers, and how blocks get from one to
/// another. It decides nothing.
///
/// Threads: any.
class Registry {
 public:
  /// Lanes kept; as many as one decode worker needs for all layers of a large model, one by one,
  /// from a few peers. All are dropped when there are more: they are cheap to make again.
  static constexpr std::size_t kMaxLanes = 1024;

  [[nodiscard]] LocalLayoutPtr find_local(LayoutHandle handle) const;
  void add_local(LocalLayoutPtr layout);
  /// Whether it was there.
  bool remove_local(LayoutHandle handle);
  /// In ascending order of their ids.
  [[nodiscard]] std::vector<LocalLayoutPtr> locals() const;

  [[nodiscard]] PeerPtr find_peer(WorkerId worker) const;
  /// Adds a peer, or puts it in the place of the one with the same worker id. Lanes of layouts that
  /// it has not got any more are dropped.
  void put_peer(PeerPtr peer);
  void remove_peer(WorkerId worker);
  [[nodiscard]] std::vector<PeerPtr> peers() const;

  /// A handle for a peer's layout that was never given before: as the owner names it if possible.
  [[nodiscard]] LayoutHandle fresh_handle(LayoutHandle told);
  [[nodiscard]] FoundRemote find_remote(LayoutHandle handle) const;

  [[nodiscard]] std::optional<LaneEntry> find_lane(const LaneKey& key) const;
  /// Keeps a lane. The caller is inside the gates of both ends, so that neither can have gone.
  void add_lane(const LaneKey& key, const LaneEntry& lane);

 private:
  void drop_lanes_of(LayoutHandle handle) KVFERRY_REQUIRES(mutex_);
  void take_away(const Peer& peer, const Peer* successor) KVFERRY_REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::map<LayoutHandle, LocalLayoutPtr> locals_ KVFERRY_GUARDED_BY(mutex_);
  std::map<WorkerId, PeerPtr> peers_ KVFERRY_GUARDED_BY(mutex_);
  std::unordered_map<LayoutHandle, RemoteLayoutPtr> remotes_ KVFERRY_GUARDED_BY(mutex_);
  /// How often each name of a peer's layout was given; for ever, because handles outlive peers.
  std::unordered_map<LayoutHandle, std::uint64_t> given_ KVFERRY_GUARDED_BY(mutex_);
  std::unordered_map<LaneKey, LaneEntry, LaneKeyHash> lanes_ KVFERRY_GUARDED_BY(mutex_);
};

}  // namespace kvferry::manager
