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
#include "kvferry/manager/transport_manager.hpp"
#include "transfer/gate.hpp"
#include "transfer/state.hpp"

namespace kvferry::manager {

/// A layout of this worker.
struct LocalLayout {
  LayoutHandle handle{};
  transfer::PhysicalLayoutPtr physical;
  Access access{Access::kNone};
  std::vector<agent::RegistrationId> registrations;
  transfer::GatePtr gate;
};

/// A layout of another worker.
struct RemoteLayout {
  LayoutHandle handle{};
  layout::LayoutView view;
  agent::PreparedSidePtr side;  ///< empty until the agent has loaded the peer
};

/// Another worker, as its last message described it.
struct Peer {
  WorkerId worker_id{};
  std::string agent_name;
  agent::PeerId agent_peer{};
  std::array<std::uint64_t, 2> digest{};  ///< of the message
  Assumptions assume;
  std::vector<std::byte> blob;        ///< the agent's part of the message
  std::vector<LayoutHandle> handles;  ///< in the message's order
  std::unordered_map<LayoutHandle, RemoteLayout> layouts;
  transfer::GatePtr gate;
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
};

struct LaneKey {
  LayoutHandle source{};
  LayoutHandle destination{};
  plan::LayerRange layers{};

  friend bool operator==(const LaneKey&, const LaneKey&) = default;
};

struct LaneKeyHash {
  std::size_t operator()(const LaneKey& key) const noexcept {
    const std::hash<LayoutHandle> handle;
    return (handle(key.source) * 31) ^ (handle(key.destination) * 17) ^
           ((key.layers.first * 0x9E3779B97F4A7C15U) + key.layers.end);
  }
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
  /// Adds a peer, or puts it in the place of the one with the same worker id.
  void put_peer(PeerPtr peer);
  void remove_peer(WorkerId worker);
  [[nodiscard]] std::vector<PeerPtr> peers() const;

  [[nodiscard]] std::optional<LaneEntry> find_lane(const LaneKey& key) const;
  /// Keeps a lane. The caller is inside the gates of both ends, so that neither can have gone.
  void add_lane(const LaneKey& key, const LaneEntry& lane);

 private:
  void drop_lanes_of(WorkerId worker, std::optional<LayoutHandle> handle) KVFERRY_REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::map<LayoutHandle, LocalLayoutPtr> locals_ KVFERRY_GUARDED_BY(mutex_);
  std::map<WorkerId, PeerPtr> peers_ KVFERRY_GUARDED_BY(mutex_);
  std::unordered_map<LaneKey, LaneEntry, LaneKeyHash> lanes_ KVFERRY_GUARDED_BY(mutex_);
};

}  // namespace kvferry::manager
