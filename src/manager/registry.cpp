// SPDX-License-Identifier: Apache-2.0
#include "manager/registry.hpp"

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
  drop_lanes_of(handle.worker_id(), handle);
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
  const WorkerId worker = peer->worker_id;
  drop_lanes_of(worker, std::nullopt);
  peers_[worker] = std::move(peer);
}

void Registry::remove_peer(WorkerId worker) {
  const MutexLock lock{mutex_};
  peers_.erase(worker);
  drop_lanes_of(worker, std::nullopt);
}

std::vector<PeerPtr> Registry::peers() const {
  const MutexLock lock{mutex_};
  return values(peers_);
}

std::optional<LaneEntry> Registry::find_lane(const LaneKey& key) const {
  const MutexLock lock{mutex_};
  const auto found = lanes_.find(key);
  return found == lanes_.end() ? std::nullopt : std::optional<LaneEntry>{found->second};
}

void Registry::add_lane(const LaneKey& key, const LaneEntry& lane) {
  const MutexLock lock{mutex_};
  if (lanes_.size() >= kMaxLanes) {
    lanes_.clear();
  }
  lanes_.emplace(key, lane);
}

void Registry::drop_lanes_of(WorkerId worker, std::optional<LayoutHandle> handle) {
  const auto touches = [&](LayoutHandle end) {
    return handle.has_value() ? end == *handle : end.worker_id() == worker;
  };
  for (auto it = lanes_.begin(); it != lanes_.end();) {
    const bool drop = touches(it->first.source) || touches(it->first.destination);
    it = drop ? lanes_.erase(it) : std::next(it);
  }
}

}  // namespace kvferry::manager
