// SPDX-License-Identifier: Apache-2.0
#include "kvferry/manager/transport_manager.hpp"

#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "kvferry/base/try.hpp"
#include "manager/impl.hpp"
#include "manager/peer_message.hpp"

namespace kvferry::manager {

Error not_known(LayoutHandle handle) {
  return Error{ErrorCode::kStale, to_string(handle) + " is not registered or imported (any more)"};
}

TransportManager::Impl::Impl(ManagerOptions options)
    : options_{std::move(options)}, process_{::getpid()} {
  if (options_.clock == nullptr) {
    options_.clock = std::make_shared<const SteadyClock>();
  }
  if (options_.wall_clock == nullptr) {
    options_.wall_clock = std::make_shared<const SystemWallClock>();
  }
}

TransportManager::Impl::~Impl() {
  // First: what it carries out uses everything else. It stays, because a lease hook may start more.
  if (engine_ != nullptr) {
    engine_->shut_down();
  }
  service_.reset();  // Next: it tells owners how that ended.
  engine_.reset();
  for (const LocalLayoutPtr& layout : registry_.locals()) {
    deregister_memories(layout->registrations);
  }
}

Result<void> TransportManager::Impl::start() {
  KVFERRY_ASSIGN_OR_RETURN(guard_, agent::ForkGuard::create());
  if (options_.epoch.has_value()) {
    epoch_ = *options_.epoch;
  } else {
    KVFERRY_ASSIGN_OR_RETURN(epoch_, draw_epoch());
  }
  KVFERRY_ASSIGN_OR_RETURN(engine_,
                           transfer::Engine::create({.copy_threads = options_.copy_threads,
                                                     .shutdown_timeout = options_.shutdown_timeout,
                                                     .log = options_.log}));
  return options_.agent == nullptr ? Result<void>{} : start_service();
}

Result<void> TransportManager::Impl::start_service() {
  contacts_ = std::make_shared<Contacts>(options_.agent, options_.clock);
  PeerService::Options serving;
  serving.worker = options_.worker_id;
  serving.epoch = epoch_;
  serving.desk = {options_.agent,
                  contacts_,
                  std::make_shared<Outbox>(options_.agent, options_.clock, options_.log),
                  options_.clock,
                  options_.log,
                  options_.leases,
                  options_.lease_limits};
  KVFERRY_ASSIGN_OR_RETURN(service_, PeerService::start(std::move(serving), registry_));
  return {};
}

bool TransportManager::Impl::in_own_process() const noexcept { return !guard_->is_child(); }

Result<void> TransportManager::Impl::check_process() const {
  if (!in_own_process()) {
    return Error{ErrorCode::kRefused, "this process was forked from " + std::to_string(process_) +
                                          ", which made the manager: make one of its own"};
  }
  return {};
}

void TransportManager::Impl::abandon() noexcept { static_cast<void>(engine_.release()); }

Result<TransferEnd> TransportManager::Impl::find_end(LayoutHandle handle) const {
  TransferEnd end;
  if (handle.worker_id() == options_.worker_id) {
    end.local = registry_.find_local(handle);
    return end.is_local() ? Result<TransferEnd>{std::move(end)} : not_known(handle);
  }
  end.remote = registry_.find_remote(handle);
  if (end.remote.layout == nullptr) {
    return not_known(handle);
  }
  if (const auto& expires = end.remote.peer->expires;
      expires.has_value() && options_.clock->now() >= *expires) {
    return Error{ErrorCode::kStale, to_string(handle) +
                                        ": the lease of what its worker told is over: import a "
                                        "newer message"};
  }
  return end;
}

std::string assumed_of(std::span<const TransferEnd> sources, const TransferEnd& destination) {
  std::vector<std::string> all;
  std::ranges::transform(sources, std::back_inserter(all), &TransferEnd::assumed);
  all.push_back(destination.assumed());
  std::string text;
  for (auto one = all.begin(); one != all.end(); ++one) {
    if (!one->empty() && std::find(all.begin(), one, *one) == one) {
      text.append(text.empty() ? "" : "; ").append(*one);
    }
  }
  return text;
}

Result<layout::Compatibility> TransportManager::Impl::compatibility(
    LayoutHandle source, LayoutHandle destination) const {
  KVFERRY_RETURN_IF_ERROR(check_process());
  KVFERRY_ASSIGN_OR_RETURN(const TransferEnd from, find_end(source));
  KVFERRY_ASSIGN_OR_RETURN(const TransferEnd to, find_end(destination));
  layout::Compatibility verdict = layout::compatible(from.compared(), to.compared());
  verdict.assumed = assumed_of({&from, 1}, to);
  return verdict;
}

Result<Meaning> TransportManager::Impl::meaning(LayoutHandle handle) const {
  KVFERRY_RETURN_IF_ERROR(check_process());
  KVFERRY_ASSIGN_OR_RETURN(const TransferEnd end, find_end(handle));
  return end.meaning();
}

TransportManager::TransportManager(std::unique_ptr<Impl> impl) noexcept : impl_{std::move(impl)} {}

TransportManager::~TransportManager() {
  if (!impl_->in_own_process()) {
    impl_->abandon();
    static_cast<void>(impl_.release());
  }
}

Result<std::unique_ptr<TransportManager>> TransportManager::create(ManagerOptions options) {
  auto impl = std::make_unique<Impl>(std::move(options));
  KVFERRY_RETURN_IF_ERROR(impl->start());
  // make_unique cannot reach the private constructor.
  return std::unique_ptr<TransportManager>{new TransportManager{std::move(impl)}};
}

WorkerId TransportManager::worker_id() const noexcept { return impl_->options().worker_id; }

Result<LayoutHandle> TransportManager::register_layout(transfer::PhysicalLayoutPtr layout,
                                                       const RegisterOptions& options) {
  return impl_->register_layout(std::move(layout), options);
}

Result<void> TransportManager::unregister_layout(LayoutHandle handle, Duration timeout) {
  return impl_->unregister_layout(handle, timeout);
}

Epoch TransportManager::epoch() const noexcept { return impl_->epoch(); }

std::uint64_t TransportManager::generation() const {
  return impl_->in_own_process() ? impl_->generation() : 0;
}

Result<LayoutHandle> TransportManager::change_layout(LayoutHandle handle,
                                                     transfer::PhysicalLayoutPtr layout,
                                                     Duration timeout,
                                                     const RegisterOptions& options) {
  return impl_->change_layout(handle, std::move(layout), options, timeout);
}

Result<std::vector<std::byte>> TransportManager::export_envelope(
    const EnvelopeOptions& options) const {
  return impl_->export_envelope(options);
}

Result<wire::SerializedLayout> TransportManager::export_metadata(wire::MessageFormat format) const {
  return impl_->export_metadata(format);
}

Result<std::vector<LayoutHandle>> TransportManager::import_metadata(
    std::span<const std::byte> message, const ImportOptions& options) {
  return impl_->import_metadata(message, options);
}

Result<void> TransportManager::forget_peer(WorkerId worker, Duration timeout) {
  return impl_->forget_peer(worker, timeout);
}

std::vector<LayoutHandle> TransportManager::local_handles() const {
  std::vector<LayoutHandle> handles;
  if (!impl_->in_own_process()) {
    return handles;  // The mutex may have been held when the child was forked.
  }
  for (const LocalLayoutPtr& layout : impl_->registry().locals()) {
    handles.push_back(layout->handle);
  }
  return handles;
}

std::vector<PeerInfo> TransportManager::peers() const {
  std::vector<PeerInfo> all;
  if (!impl_->in_own_process()) {
    return all;
  }
  for (const PeerPtr& peer : impl_->registry().peers()) {
    PeerInfo info{peer->identity.worker_id, peer->identity.agent_name, {}, {}, {}};
    for (const RemoteLayoutPtr& layout : peer->layouts) {
      info.layouts.push_back(layout->handle);
    }
    if (const auto& life = peer->identity.life; life.has_value()) {
      info.epoch = life->epoch;
      info.generation = life->generation;
    }
    all.push_back(std::move(info));
  }
  return all;
}

Result<Meaning> TransportManager::meaning(LayoutHandle handle) const {
  return impl_->meaning(handle);
}

Result<layout::Compatibility> TransportManager::compatibility(LayoutHandle source,
                                                              LayoutHandle destination) const {
  return impl_->compatibility(source, destination);
}

Result<transfer::Transfer> TransportManager::execute_transfer(
    std::span<const LayoutHandle> sources, std::span<const BlockId> source_blocks,
    LayoutHandle destination, std::span<const BlockId> destination_blocks,
    const transfer::TransferOptions& options) {
  return impl_->execute_transfer(sources, destination, {source_blocks, destination_blocks},
                                 options);
}

transfer::Statistics TransportManager::statistics() const {
  return impl_->in_own_process() ? impl_->statistics() : transfer::Statistics{};
}

std::size_t TransportManager::transfers_in_flight() const {
  return impl_->in_own_process() ? impl_->in_flight() : 0;
}

std::size_t TransportManager::leases_held() const {
  return impl_->in_own_process() ? impl_->leases_held() : 0;
}

}  // namespace kvferry::manager
