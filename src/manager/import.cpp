// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>
#include <utility>

#include "kvferry/base/try.hpp"
#include "manager/impl.hpp"
#include "manager/peer_message.hpp"

namespace kvferry::manager {
namespace {

std::string worker(WorkerId id) { return "worker " + std::to_string(id.value()); }

std::string milliseconds(Duration duration) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count()) +
         " ms";
}

Error stale(std::string message) { return Error{ErrorCode::kStale, std::move(message)}; }

/// What an envelope is to a worker that is known by one.
Result<News> news_of_life(const Peer& known, const PeerIdentity& told, bool replace) {
  const PeerLife& before = *known.identity.life;
  const std::string name = worker(told.worker_id);
  if (told.life->epoch != before.epoch) {
    if (known.past.holds(told.life->epoch)) {
      return stale("epoch: " + to_string(told.life->epoch) + " is an earlier life of " + name);
    }
    return News::kOtherLife;
  }
  if (told.life->generation < before.generation) {
    return stale("generation: " + std::to_string(told.life->generation) + " of " + name +
                 " is older than " + std::to_string(before.generation) + ", which is known");
  }
  if (told.life->generation > before.generation) {
    return News::kUpdate;
  }
  if (told.digest != known.identity.digest) {
    return Error{ErrorCode::kCorrupt, "generation: " + std::to_string(told.life->generation) +
                                          " of " + name + " is known with another content"};
  }
  if (told.assume == known.identity.assume) {
    return News::kNone;
  }
  if (replace) {
    return News::kUpdate;
  }
  return stale(name + " is known with other assumptions: say that these replace them");
}

Result<News> news_of(const Peer& known, const PeerIdentity& told, bool replace) {
  if (told.life.has_value()) {
    return known.identity.life.has_value() ? news_of_life(known, told, replace)
                                           : Result<News>{News::kUpdate};
  }
  if (known.identity.digest == told.digest && known.identity.assume == told.assume) {
    return News::kNone;
  }
  if (replace) {
    return News::kUpdate;
  }
  return stale(worker(told.worker_id) +
               (known.identity.life.has_value() ? " is known by an envelope, which says more"
                                                : " is known by another message") +
               ": say that this one replaces it, or forget the worker");
}

/// Whether a later message of the same life and generation has already said until when it holds. A
/// known time of issue that has not come yet does not count: a clock was set back since.
bool was_overtaken(const ToldPeer& told, const Peer& known, WallTime now, Duration skew) {
  const std::optional<PeerLife>& life = told.identity.life;
  return life.has_value() && life == known.identity.life && told.issued < known.issued &&
         known.issued - now <= skew;
}

/// Gates that are closed until the end of an attempt, or for good.
class ClosedGates {
 public:
  ClosedGates() = default;
  ClosedGates(const ClosedGates&) = delete;
  ClosedGates& operator=(const ClosedGates&) = delete;
  ~ClosedGates() {
    for (const transfer::GatePtr& gate : closed_) {
      gate->open();
    }
  }

  /// Whether nobody is inside any more.
  [[nodiscard]] bool close(const transfer::GatePtr& gate, const Clock& clock, TimePoint deadline) {
    if (!gate->close(clock, deadline)) {
      return false;
    }
    closed_.push_back(gate);
    return true;
  }
  void stay_closed() noexcept { closed_.clear(); }

 private:
  std::vector<transfer::GatePtr> closed_;
};

/// The layouts of `known` of which `told` says the same, or more.
ByTold said_alike(const Peer& known, const std::vector<ToldLayout>& told) {
  ByTold known_as;
  for (const RemoteLayoutPtr& layout : known.layouts) {
    known_as.emplace(layout->told.handle, layout);
  }
  ByTold kept;
  for (const ToldLayout& layout : told) {
    const auto found = known_as.find(layout.handle);
    if (found != known_as.end() && found->second->told == layout &&
        !layout::differing_meaning(found->second->told.compared(), layout.compared())) {
      kept.insert(*found);
    }
  }
  return kept;
}

bool is_current(const RemoteLayout& layout) {
  return layout.side->is_current() &&
         (layout.guard_side == nullptr || layout.guard_side->is_current());
}

std::vector<LayoutHandle> handles_of(const Peer& peer) {
  std::vector<LayoutHandle> handles;
  handles.reserve(peer.layouts.size());
  for (const RemoteLayoutPtr& layout : peer.layouts) {
    handles.push_back(layout->handle);
  }
  return handles;
}

Error still_used(WorkerId id) {
  return Error{ErrorCode::kDeadline, worker(id) + " is still used by transfers"};
}

}  // namespace

/// Whether a message may be imported by this worker now; until when what it says holds.
Result<std::optional<TimePoint>> TransportManager::Impl::check_validity(const ToldPeer& told,
                                                                        Duration skew) const {
  if (!told.audience.empty() && told.audience != options_.agent->name()) {
    return Error{ErrorCode::kRefused, "audience: the message is for \"" + told.audience +
                                          "\", and this is \"" + options_.agent->name() + "\""};
  }
  if (!told.ends.has_value()) {
    return std::optional<TimePoint>{};
  }
  const WallTime now = options_.wall_clock->now();
  if (told.issued - now > skew) {
    return Error{ErrorCode::kRefused,
                 "issued: " + milliseconds(told.issued - now) +
                     " after this machine's time: one of the two clocks is wrong"};
  }
  if (now >= *told.ends) {
    return stale("lease: it ended " + milliseconds(now - *told.ends) + " ago: get a newer message");
  }
  // Not longer than the lease, however far the clocks are apart.
  const Duration left = std::min(*told.ends - now, *told.ends - told.issued);
  return std::optional<TimePoint>{deadline_after(options_.clock->now(), left)};
}

Result<void> TransportManager::Impl::check_sender(const PeerIdentity& sender) const {
  if (sender.worker_id == options_.worker_id) {
    return Error{ErrorCode::kInvalidArgument,
                 "worker_address.worker_id: " + std::to_string(sender.worker_id.value()) +
                     " is this worker's own"};
  }
  if (sender.agent_name == options_.agent->name()) {
    return Error{ErrorCode::kInvalidArgument, "worker_address.nixl_agent_name: \"" +
                                                  sender.agent_name + "\" is this worker's own"};
  }
  const PeerPtr known = registry_.find_peer(sender.worker_id);
  if (known != nullptr && known->identity.agent_name != sender.agent_name) {
    return Error{ErrorCode::kRefused, worker(sender.worker_id) + " is known as agent \"" +
                                          known->identity.agent_name + "\", not \"" +
                                          sender.agent_name + "\": forget it first"};
  }
  return {};
}

/// Resolves the regions of a layout; the agent refuses what its blob does not cover.
Result<void> TransportManager::Impl::prepare_sides(agent::PeerId agent_peer, RemoteLayout& layout) {
  auto side = options_.agent->prepare_remote(agent_peer, layout.told.regions());
  if (!side) {
    return std::move(side).error().with_context(to_string(layout.told.handle));
  }
  layout.side = *std::move(side);
  if (layout.told.guards.has_value()) {
    auto guards = options_.agent->prepare_remote(agent_peer, {&*layout.told.guards, 1});
    if (!guards) {
      return std::move(guards).error().with_context(to_string(layout.told.handle) + ": guards");
    }
    layout.guard_side = *std::move(guards);
  }
  return {};
}

Result<std::shared_ptr<Peer>> TransportManager::Impl::make_peer(ToldPeer told, ContactPtr contact,
                                                                const ByTold& kept) {
  std::vector<std::shared_ptr<RemoteLayout>> made;
  auto peer = std::make_shared<Peer>();
  for (ToldLayout& layout : told.layouts) {
    const auto same = kept.find(layout.handle);
    if (same != kept.end() && is_current(*same->second)) {
      RemoteLayoutPtr known = same->second;
      if (known->told.access != layout.access || known->told.meaning != layout.meaning) {
        auto changed = std::make_shared<RemoteLayout>(*known);
        changed->told.access = layout.access;
        changed->told.meaning = layout.meaning;
        known = std::move(changed);
      }
      peer->layouts.push_back(std::move(known));
      continue;
    }
    auto remote =
        std::make_shared<RemoteLayout>(RemoteLayout{{},
                                                    std::move(layout),
                                                    nullptr,
                                                    nullptr,
                                                    std::make_shared<transfer::Gate>(),
                                                    std::make_shared<transfer::ClaimTable>()});
    KVFERRY_RETURN_IF_ERROR(prepare_sides(contact->id(), *remote));
    made.push_back(remote);
    peer->layouts.push_back(std::move(remote));
  }
  // Last: an import that fails uses up no handle.
  for (const std::shared_ptr<RemoteLayout>& remote : made) {
    remote->handle = registry_.fresh_handle(remote->told.handle);
  }
  peer->identity = std::move(told.identity);
  peer->contact = std::move(contact);
  return peer;
}

Result<std::shared_ptr<Peer>> TransportManager::Impl::load(ToldPeer told, TimePoint deadline) {
  KVFERRY_ASSIGN_OR_RETURN(
      const ContactPtr contact,
      contacts_->import(told.identity.agent_name, told.identity.blob, deadline));
  auto peer = make_peer(std::move(told), contact, {});
  if (!peer) {
    contacts_->forget(contact);
  }
  return peer;
}

/// The peer that takes the place of `known`; on an error the worker is as it was.
Result<std::shared_ptr<Peer>> TransportManager::Impl::update(const Peer& known, ToldPeer told,
                                                             News news, TimePoint deadline) {
  const ByTold kept = news == News::kUpdate ? said_alike(known, told.layouts) : ByTold{};
  ClosedGates gates;
  for (const RemoteLayoutPtr& layout : known.layouts) {
    if (kept.count(layout->told.handle) == 0 &&
        !gates.close(layout->gate, *options_.clock, deadline)) {
      return still_used(known.identity.worker_id);
    }
  }
  KVFERRY_RETURN_IF_ERROR(contacts_->update(known.contact, told.identity.blob, deadline));
  auto peer = make_peer(std::move(told), known.contact, kept);
  if (!peer) {
    go_back_to(known, deadline);
    return peer;
  }
  gates.stay_closed();
  (*peer)->past = known.past;
  if (news == News::kOtherLife) {
    (*peer)->past.add(known.identity.life->epoch);
  }
  return peer;
}

/// Undoes an update of the agent whose layouts turned out to be wrong. Where that had dropped
/// memory, regions are resolved anew; where the agent cannot go back, because the old memory is
/// gone, the worker is forgotten.
void TransportManager::Impl::go_back_to(const Peer& known, TimePoint deadline) {
  bool back{contacts_->update(known.contact, known.identity.blob, deadline)};
  auto peer = std::make_shared<Peer>(known);
  for (RemoteLayoutPtr& layout : peer->layouts) {
    if (back && !is_current(*layout)) {
      auto again = std::make_shared<RemoteLayout>(*layout);
      back = prepare_sides(known.contact->id(), *again).has_value();
      layout = std::move(again);
    }
  }
  if (back) {
    registry_.put_peer(std::move(peer));
  } else {
    contacts_->forget(known.contact);
    registry_.remove_peer(known.identity.worker_id);
  }
}

Result<std::vector<LayoutHandle>> TransportManager::Impl::import_metadata(
    std::span<const std::byte> message, const ImportOptions& options) {
  KVFERRY_RETURN_IF_ERROR(check_process());
  if (options_.agent == nullptr) {
    return Error{ErrorCode::kUnavailable, "import: this manager has no agent"};
  }
  const TimePoint deadline = deadline_after(options_.clock->now(), options.deadline);
  KVFERRY_ASSIGN_OR_RETURN(ToldPeer told,
                           read_message(message, {.agent_kind = options_.agent->facts().kind,
                                                  .assume = options.assume,
                                                  .limits = options_.limits}));
  KVFERRY_ASSIGN_OR_RETURN(const std::optional<TimePoint> expires,
                           check_validity(told, options.clock_skew));
  const MutexLock lock{peers_mutex_};
  KVFERRY_RETURN_IF_ERROR(check_sender(told.identity));
  const PeerPtr known = registry_.find_peer(told.identity.worker_id);
  std::shared_ptr<Peer> peer;
  const WallTime issued = told.issued;
  bool overtaken = false;
  if (known == nullptr) {
    KVFERRY_ASSIGN_OR_RETURN(peer, load(std::move(told), deadline));
  } else {
    KVFERRY_ASSIGN_OR_RETURN(const News news, news_of(*known, told.identity, options.replace));
    overtaken = was_overtaken(told, *known, options_.wall_clock->now(), options.clock_skew);
    if (news == News::kNone) {
      peer = std::make_shared<Peer>(*known);
    } else {
      KVFERRY_ASSIGN_OR_RETURN(peer, update(*known, std::move(told), news, deadline));
    }
  }
  peer->expires = overtaken ? known->expires : expires;
  peer->issued = overtaken ? known->issued : issued;
  std::vector<LayoutHandle> handles = handles_of(*peer);
  registry_.put_peer(std::move(peer));
  return handles;
}

Result<void> TransportManager::Impl::forget_peer(WorkerId worker_id, Duration timeout) {
  KVFERRY_RETURN_IF_ERROR(check_process());
  const TimePoint deadline = deadline_after(options_.clock->now(), timeout);
  const MutexLock lock{peers_mutex_};
  const PeerPtr peer = registry_.find_peer(worker_id);
  if (peer == nullptr) {
    return stale(worker(worker_id) + " is not known");
  }
  ClosedGates gates;
  for (const RemoteLayoutPtr& layout : peer->layouts) {
    if (!gates.close(layout->gate, *options_.clock, deadline)) {
      return still_used(worker_id);
    }
  }
  gates.stay_closed();
  registry_.remove_peer(worker_id);
  contacts_->forget(peer->contact);
  return {};
}

}  // namespace kvferry::manager
