// SPDX-License-Identifier: Apache-2.0
#include "kvferry/manager/transport_manager.hpp"

#include <unistd.h>

#include <utility>

#include "kvferry/base/try.hpp"
#include "manager/impl.hpp"
#include "manager/peer_message.hpp"

namespace kvferry::manager {
namespace {

constexpr std::uint32_t kMaxLayoutIds = 65'536;

Error unknown(LayoutHandle handle) {
  return Error{ErrorCode::kStale, to_string(handle) + " is not registered or imported (any more)"};
}

}  // namespace

TransportManager::Impl::Impl(ManagerOptions options)
    : options_{std::move(options)}, process_{::getpid()} {
  if (options_.clock == nullptr) {
    options_.clock = std::make_shared<const SteadyClock>();
  }
}

TransportManager::Impl::~Impl() {
  engine_.reset();  // First: what it carries out uses everything else.
  for (const PeerPtr& peer : registry_.peers()) {
    static_cast<void>(options_.agent->forget_peer(peer->agent_peer));
  }
  for (const LocalLayoutPtr& layout : registry_.locals()) {
    deregister_memories(layout->registrations);
  }
}

Result<void> TransportManager::Impl::start() {
  KVFERRY_ASSIGN_OR_RETURN(guard_, agent::ForkGuard::create());
  KVFERRY_ASSIGN_OR_RETURN(engine_,
                           transfer::Engine::create({.copy_threads = options_.copy_threads,
                                                     .shutdown_timeout = options_.shutdown_timeout,
                                                     .log = options_.log}));
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

Result<std::vector<agent::RegistrationId>> TransportManager::Impl::register_memories(
    const transfer::PhysicalLayout& layout, Access access) {
  std::vector<agent::RegistrationId> done;
  if (options_.agent == nullptr || access == Access::kNone) {
    return done;
  }
  for (const memory::MemoryPtr& memory : layout.memories()) {
    auto id = options_.agent->register_memory(memory, access);
    if (!id) {
      deregister_memories(done);
      return std::move(id).error().with_context("register layout with agent " +
                                                options_.agent->name());
    }
    done.push_back(*id);
  }
  return done;
}

void TransportManager::Impl::deregister_memories(
    const std::vector<agent::RegistrationId>& registrations) {
  for (const agent::RegistrationId id : registrations) {
    const auto done = options_.agent->deregister_memory(id);
    if (!done && options_.log) {
      options_.log(LogLevel::kWarn, "deregister memory: " + done.error().message);
    }
  }
}

Result<LayoutHandle> TransportManager::Impl::register_layout(transfer::PhysicalLayoutPtr layout,
                                                             Access access) {
  KVFERRY_RETURN_IF_ERROR(check_process());
  if (layout == nullptr) {
    return Error{ErrorCode::kInvalidArgument, "layout: null"};
  }
  // Held throughout: an id is used up only by a layout that gets registered.
  const MutexLock lock{ids_mutex_};
  if (next_layout_id_ == kMaxLayoutIds) {
    return Error{ErrorCode::kBusy, "all " + std::to_string(kMaxLayoutIds) +
                                       " layout ids of this manager are used up; ids are never "
                                       "used again, so make a new manager"};
  }
  KVFERRY_ASSIGN_OR_RETURN(auto registrations, register_memories(*layout, access));
  auto entry = std::make_shared<LocalLayout>();
  entry->handle =
      LayoutHandle{options_.worker_id, LayoutId{static_cast<std::uint16_t>(next_layout_id_++)}};
  entry->physical = std::move(layout);
  entry->access = access;
  entry->registrations = std::move(registrations);
  entry->gate = std::make_shared<transfer::Gate>();
  registry_.add_local(entry);
  return entry->handle;
}

Result<void> TransportManager::Impl::unregister_layout(LayoutHandle handle, Duration timeout) {
  KVFERRY_RETURN_IF_ERROR(check_process());
  const LocalLayoutPtr layout = registry_.find_local(handle);
  if (layout == nullptr) {
    return unknown(handle);
  }
  const Clock& clock = *options_.clock;
  if (!layout->gate->close(clock, deadline_after(clock.now(), timeout))) {
    return Error{ErrorCode::kDeadline, to_string(handle) + " is still used by transfers"};
  }
  if (!registry_.remove_local(handle)) {
    return unknown(handle);  // Somebody else was quicker.
  }
  deregister_memories(layout->registrations);
  return {};
}

Result<wire::SerializedLayout> TransportManager::Impl::export_metadata(
    wire::MessageFormat format) const {
  KVFERRY_RETURN_IF_ERROR(check_process());
  if (options_.agent == nullptr) {
    return Error{ErrorCode::kUnavailable, "export: this manager has no agent"};
  }
  const std::string& agent_name = options_.agent->name();
  std::vector<wire::LocalLayoutDescriptor> layouts;
  for (const LocalLayoutPtr& layout : registry_.locals()) {
    if (layout->access != Access::kNone) {
      layouts.push_back(describe(*layout, agent_name, format));
    }
  }
  KVFERRY_ASSIGN_OR_RETURN(const std::vector<std::byte> blob, options_.agent->local_metadata());
  return wire::SerializedLayout::pack({options_.worker_id, agent_name}, blob, layouts, format);
}

Result<TransferEnd> TransportManager::Impl::find_end(LayoutHandle handle) const {
  TransferEnd end;
  if (handle.worker_id() == options_.worker_id) {
    end.local = registry_.find_local(handle);
    if (end.local == nullptr) {
      return unknown(handle);
    }
    return end;
  }
  end.peer = registry_.find_peer(handle.worker_id());
  if (end.peer == nullptr) {
    return unknown(handle);
  }
  const auto found = end.peer->layouts.find(handle);
  if (found == end.peer->layouts.end()) {
    return unknown(handle);
  }
  end.remote = &found->second;
  return end;
}

Result<layout::Compatibility> TransportManager::Impl::compatibility(
    LayoutHandle source, LayoutHandle destination) const {
  KVFERRY_RETURN_IF_ERROR(check_process());
  KVFERRY_ASSIGN_OR_RETURN(const TransferEnd from, find_end(source));
  KVFERRY_ASSIGN_OR_RETURN(const TransferEnd to, find_end(destination));
  return compatible(from.view(), to.view());
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
  return impl_->register_layout(std::move(layout), options.access);
}

Result<void> TransportManager::unregister_layout(LayoutHandle handle, Duration timeout) {
  return impl_->unregister_layout(handle, timeout);
}

Result<wire::SerializedLayout> TransportManager::export_metadata(wire::MessageFormat format) const {
  return impl_->export_metadata(format);
}

Result<std::vector<LayoutHandle>> TransportManager::import_metadata(
    const wire::SerializedLayout& message, const ImportOptions& options) {
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
    all.push_back(PeerInfo{peer->worker_id, peer->agent_name, peer->handles});
  }
  return all;
}

Result<layout::Compatibility> TransportManager::compatibility(LayoutHandle source,
                                                              LayoutHandle destination) const {
  return impl_->compatibility(source, destination);
}

Result<transfer::Transfer> TransportManager::execute_transfer(
    LayoutHandle source, std::span<const BlockId> source_blocks, LayoutHandle destination,
    std::span<const BlockId> destination_blocks, const transfer::TransferOptions& options) {
  return impl_->execute_transfer(source, destination, {source_blocks, destination_blocks}, options);
}

std::size_t TransportManager::transfers_in_flight() const {
  return impl_->in_own_process() ? impl_->in_flight() : 0;
}

}  // namespace kvferry::manager
