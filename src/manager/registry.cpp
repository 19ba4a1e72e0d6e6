// SPDX-License-Identifier: Apache-2.0
#include "manager/registry.hpp"

#include <unordered_set>
#include <utility>

namespace kvferry::manager {
namespace {

template <class Map, class Key>
typename Map::mapped_type find_or_null(const Map& map, const Key& key) {
  const auto found = map.find(key);
  return found == map.end() ? nullptr : found->second;
}

template <class Map>
std::vector<typename Map::mapped_type> values(const Map& map) {
  std::vector<typename Map::mapped_type> all;
  all.reserve(map.size());
  for (const auto& entry : map) {
    all.push_back(entry.second);
  }
  return all;
}

}  // namespace

LocalLayoutPtr Registry::find_local(LayoutHandle handle) const {
  const MutexLock lock{mutex_};
  return find_or_null(locals_, handle);
}

void Registry::add_local(LocalLayoutPtr layout) {
  const MutexLock lock{mutex_};
  const LayoutHandle handle = layout->handle;
  locals_.emplace(handle, std::move(layout));
}

bool Registry::remove_local(LayoutHandle handle) {
  const MutexLock lock{mutex_};
  drop_lanes_of(handle);
  return locals_.erase(handle) != 0;
}

std::vector<LocalLayoutPtr> Registry::locals() const {
  const MutexLock lock{mutex_};
  return values(locals_);
}

PeerPtr Registry::find_peer(WorkerId worker) const {
  const MutexLock lock{mutex_};
  return find_or_null(peers_, worker);
}

void Registry::put_peer(PeerPtr peer) {
  const MutexLock lock{mutex_};
  PeerPtr& place = peers_[peer->identity.worker_id];
  if (place != nullptr) {
    take_away(*place, peer.get());
  }
  for (const RemoteLayoutPtr& layout : peer->layouts) {
    remotes_[layout->handle] = layout;
  }
  place = std::move(peer);
}

void Registry::remove_peer(WorkerId worker) {
  const MutexLock lock{mutex_};
  if (const PeerPtr peer = find_or_null(peers_, worker); peer != nullptr) {
    take_away(*peer, nullptr);
    peers_.erase(worker);
  }
}

/// Forgets the layouts of `peer` that `successor`, if any, has not got, and how they were reached.
void Registry::take_away(const Peer& peer, const Peer* successor) {
  std::unordered_set<RemoteLayoutPtr> kept;
  if (successor != nullptr) {
    kept.insert(successor->layouts.begin(), successor->layouts.end());
  }
  for (const RemoteLayoutPtr& layout : peer.layouts) {
    if (kept.count(layout) == 0) {
      remotes_.erase(layout->handle);
      drop_lanes_of(layout->handle);
    }
  }
}

std::vector<PeerPtr> Registry::peers() const {
  const MutexLock lock{mutex_};
  return values(peers_);
}

LayoutHandle Registry::fresh_handle(LayoutHandle told) {
  const MutexLock lock{mutex_};
  const LayoutHandle name{told.worker_id(), told.layout_id()};
  return name.with_life(given_[name]++);
}

FoundRemote Registry::find_remote(LayoutHandle handle) const {
  const MutexLock lock{mutex_};
  FoundRemote found{nullptr, find_or_null(remotes_, handle)};
  if (found.layout != nullptr) {
    found.peer = find_or_null(peers_, handle.worker_id());
  }
  return found;
}

std::optional<LaneEntry> Registry::find_lane(const LaneKey& key) const {
  const MutexLock lock{mutex_};
  const auto found = lanes_.find(key);
  return found == lanes_.end() ? std::nullopt : std::optional<LaneEntry>{found->second};
}

void Registry::add_lane(const LaneKey& key, const LaneEntry& lane) {
  const MutexLock lock{mutex_};
  // The handle alone does not tell: a layout that is reached anew keeps it.
  const auto is_there = [this, &lane](LayoutHandle handle) KVFERRY_REQUIRES(mutex_) {
    const auto remote = remotes_.find(handle);
    return remote == remotes_.end() ? locals_.count(handle) != 0 : remote->second == lane.remote;
  };
  if (!is_there(key.source) || !is_there(key.destination)) {
    return;
  }
  if (lanes_.size() >= kMaxLanes) {
    lanes_.clear();
  }
  lanes_.emplace(key, lane);
}

void Registry::drop_lanes_of(LayoutHandle handle) {
  for (auto it = lanes_.begin(); it != lanes_.end();) {
    const bool drop = it->first.source == handle || it->first.destination == handle;
    it = drop ? lanes_.erase(it) : std::next(it);
  }
}

}  // namespace kvferry::manager
