// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <utility>

#include "kvferry/base/try.hpp"
#include "manager/impl.hpp"
#include "manager/peer_message.hpp"

namespace kvferry::manager {
namespace {

std::string worker(WorkerId id) { return "worker " + std::to_string(id.value()); }

}  // namespace

Result<void> TransportManager::Impl::check_sender(const Peer& peer) const {
  if (peer.worker_id == options_.worker_id) {
    return Error{ErrorCode::kInvalidArgument,
                 "worker_address.worker_id: " + std::to_string(peer.worker_id.value()) +
                     " is this worker's own"};
  }
  if (peer.agent_name == options_.agent->name()) {
    return Error{ErrorCode::kInvalidArgument, "worker_address.nixl_agent_name: \"" +
                                                  peer.agent_name + "\" is this worker's own"};
  }
  const PeerPtr known = registry_.find_peer(peer.worker_id);
  if (known != nullptr && known->agent_name != peer.agent_name) {
    return Error{ErrorCode::kRefused, worker(peer.worker_id) + " is known as agent \"" +
                                          known->agent_name + "\", not \"" + peer.agent_name +
                                          "\": forget it first"};
  }
  return {};
}

/// Resolves the regions of every layout; the agent refuses what its blob does not cover.
Result<void> TransportManager::Impl::prepare_sides(Peer& peer) {
  for (const LayoutHandle handle : peer.handles) {
    RemoteLayout& layout = peer.layouts.at(handle);
    auto side = options_.agent->prepare_remote(peer.agent_peer, layout.view.regions());
    if (!side) {
      return std::move(side).error().with_context(to_string(handle));
    }
    layout.side = *std::move(side);
  }
  return {};
}

Result<void> TransportManager::Impl::load(Peer& peer, TimePoint deadline) {
  KVFERRY_ASSIGN_OR_RETURN(peer.agent_peer,
                           options_.agent->load_peer(peer.agent_name, peer.blob, deadline));
  auto prepared = prepare_sides(peer);
  if (!prepared) {
    static_cast<void>(options_.agent->forget_peer(peer.agent_peer));
    return std::move(prepared).error();
  }
  return {};
}

/// Puts `peer` in the place of `old`, or leaves the worker as it was.
Result<void> TransportManager::Impl::replace(const Peer& old, Peer& peer, TimePoint deadline) {
  if (!old.gate->close(*options_.clock, deadline)) {
    return Error{ErrorCode::kDeadline, worker(old.worker_id) + " is still used by transfers"};
  }
  peer.agent_peer = old.agent_peer;
  if (auto updated = options_.agent->update_peer(peer.agent_peer, peer.blob, deadline); !updated) {
    old.gate->open();
    return updated;
  }
  auto ready = prepare_sides(peer);
  if (!ready) {
    go_back_to(old, deadline);
  }
  return ready;
}

/// Undoes an update whose layouts turned out to be wrong. Regions are resolved anew: where the
/// update had dropped their memory, the old sides stay stale. Where the agent cannot go back,
/// because the old memory is gone, the worker is forgotten.
void TransportManager::Impl::go_back_to(const Peer& old, TimePoint deadline) {
  auto peer = std::make_shared<Peer>(old);
  peer->gate = std::make_shared<transfer::Gate>();
  if (options_.agent->update_peer(old.agent_peer, old.blob, deadline) && prepare_sides(*peer)) {
    registry_.put_peer(std::move(peer));
  } else {
    static_cast<void>(options_.agent->forget_peer(old.agent_peer));
    registry_.remove_peer(old.worker_id);
  }
}

Result<std::vector<LayoutHandle>> TransportManager::Impl::import_metadata(
    const wire::SerializedLayout& message, const ImportOptions& options) {
  KVFERRY_RETURN_IF_ERROR(check_process());
  if (options_.agent == nullptr) {
    return Error{ErrorCode::kUnavailable, "import: this manager has no agent"};
  }
  const TimePoint deadline = deadline_after(options_.clock->now(), options.deadline);
  KVFERRY_ASSIGN_OR_RETURN(const std::shared_ptr<Peer> peer,
                           read_peer(message, options.assume, options_.limits));
  const MutexLock lock{peers_mutex_};
  KVFERRY_RETURN_IF_ERROR(check_sender(*peer));
  const PeerPtr known = registry_.find_peer(peer->worker_id);
  if (known == nullptr) {
    KVFERRY_RETURN_IF_ERROR(load(*peer, deadline));
  } else if (known->digest == peer->digest && known->assume == peer->assume) {
    return known->handles;
  } else if (!options.replace) {
    return Error{ErrorCode::kStale, worker(peer->worker_id) +
                                        " is known by another message: say that this one "
                                        "replaces it, or forget the worker"};
  } else {
    KVFERRY_RETURN_IF_ERROR(replace(*known, *peer, deadline));
  }
  std::vector<LayoutHandle> handles = peer->handles;
  registry_.put_peer(peer);
  return handles;
}

Result<void> TransportManager::Impl::forget_peer(WorkerId worker_id, Duration timeout) {
  KVFERRY_RETURN_IF_ERROR(check_process());
  const MutexLock lock{peers_mutex_};
  const PeerPtr peer = registry_.find_peer(worker_id);
  if (peer == nullptr) {
    return Error{ErrorCode::kStale, worker(worker_id) + " is not known"};
  }
  const Clock& clock = *options_.clock;
  if (!peer->gate->close(clock, deadline_after(clock.now(), timeout))) {
    return Error{ErrorCode::kDeadline, worker(worker_id) + " is still used by transfers"};
  }
  registry_.remove_peer(worker_id);
  return options_.agent->forget_peer(peer->agent_peer);
}

}  // namespace kvferry::manager
