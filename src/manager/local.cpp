// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <utility>

#include "kvferry/base/try.hpp"
#include "kvferry/wire/envelope.hpp"
#include "manager/impl.hpp"
#include "manager/peer_message.hpp"
#include "wire/envelope_fields.hpp"
#include "wire/envelope_format.hpp"

namespace kvferry::manager {
namespace {

constexpr std::uint32_t kMaxLayoutIds = 65'536;

/// Told or not: what two layouts of this worker say is compared too, and printed.
Result<void> check_texts(const LocalLayout& layout) {
  namespace format = wire::envelope_format;
  const auto check = [](const char* field, const std::string& text,
                        std::size_t bytes_max) -> Result<void> {
    const std::string fault = wire::fault_of_text(text, bytes_max);
    return fault.empty() ? Result<void>{}
                         : Error{ErrorCode::kInvalidArgument, field + (": " + fault)};
  };
  KVFERRY_RETURN_IF_ERROR(check("model", layout.meaning.model, format::kModelBytesMax));
  KVFERRY_RETURN_IF_ERROR(check("group", layout.meaning.group, format::kWordBytesMax));
  for (const layout::Plane& plane : layout.physical->planes()) {
    KVFERRY_RETURN_IF_ERROR(check("plane", plane.name, format::kWordBytesMax));
  }
  return {};
}

/// Whether an envelope can tell `layout` and peers take it; of what else it says, nothing is in
/// question. One layout that importers refuse would cost its worker the whole message.
Result<void> check_tellable(const LocalLayout& layout) {
  wire::Envelope envelope;
  constexpr const char* kAnyAgent = "-";
  envelope.worker_address = {layout.handle.worker_id(), kAnyAgent};
  envelope.epoch = {1, 1};
  envelope.agents.push_back({kAnyAgent, {}, {}});
  envelope.layouts = describe_in_envelope(layout);
  KVFERRY_ASSIGN_OR_RETURN(const std::vector<std::byte> bytes, wire::encode_envelope(envelope));
  auto read = read_message(bytes, {.agent_kind = kAnyAgent});
  if (!read) {
    return Error{ErrorCode::kInvalidArgument,
                 "no peer would import the layout: " + std::move(read).error().message};
  }
  return {};
}

Error no_agent() { return Error{ErrorCode::kUnavailable, "export: this manager has no agent"}; }

}  // namespace

Result<std::vector<agent::RegistrationId>> TransportManager::Impl::register_memories(
    const transfer::PhysicalLayout& layout, Access access) {
  std::vector<agent::RegistrationId> done;
  if (options_.agent == nullptr || access == Access::kNone) {
    return done;
  }
  const auto add = [&](const memory::MemoryPtr& memory, Access of_peers) -> Result<void> {
    auto id = options_.agent->register_memory(memory, of_peers);
    if (!id) {
      deregister_memories(done);
      return std::move(id).error().with_context("register layout with agent " +
                                                options_.agent->name());
    }
    done.push_back(*id);
    return {};
  };
  for (const memory::MemoryPtr& memory : layout.memories()) {
    KVFERRY_RETURN_IF_ERROR(add(memory, access));
  }
  if (layout.guards() != nullptr) {
    KVFERRY_RETURN_IF_ERROR(add(layout.guards()->memory(), Access::kRead));
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

Result<LayoutHandle> TransportManager::Impl::add_layout(transfer::PhysicalLayoutPtr layout,
                                                        const RegisterOptions& options) {
  if (layout == nullptr) {
    return Error{ErrorCode::kInvalidArgument, "layout: null"};
  }
  if (next_layout_id_ == kMaxLayoutIds) {
    return Error{ErrorCode::kBusy, "all " + std::to_string(kMaxLayoutIds) +
                                       " layout ids of this manager are used up; ids are never "
                                       "used again, so make a new manager"};
  }
  auto entry = std::make_shared<LocalLayout>();
  entry->handle =
      LayoutHandle{options_.worker_id, LayoutId{static_cast<std::uint16_t>(next_layout_id_)}};
  entry->physical = std::move(layout);
  entry->access = options.access;
  entry->meaning = options.meaning;
  entry->gate = std::make_shared<transfer::Gate>();
  KVFERRY_RETURN_IF_ERROR(check_texts(*entry));
  if (entry->physical->is_on_disk() && options_.agent != nullptr &&
      options.access != Access::kNone) {
    return Error{ErrorCode::kInvalidArgument,
                 "access: " + std::string{to_string(options.access)} +
                     " of a layout on disk, which peers cannot reach: say none"};
  }
  if (options_.agent != nullptr && options.access != Access::kNone) {
    KVFERRY_RETURN_IF_ERROR(check_tellable(*entry));
  }
  KVFERRY_ASSIGN_OR_RETURN(entry->registrations,
                           register_memories(*entry->physical, options.access));
  ++next_layout_id_;
  registry_.add_local(entry);
  return entry->handle;
}

void TransportManager::Impl::remove_layout(const LocalLayout& layout) {
  registry_.remove_local(layout.handle);
  deregister_memories(layout.registrations);
}

Result<LayoutHandle> TransportManager::Impl::register_layout(transfer::PhysicalLayoutPtr layout,
                                                             const RegisterOptions& options) {
  KVFERRY_RETURN_IF_ERROR(check_process());
  const MutexLock lock{layouts_mutex_};
  KVFERRY_ASSIGN_OR_RETURN(const LayoutHandle handle, add_layout(std::move(layout), options));
  generation_ += options.access == Access::kNone ? 0 : 1;
  return handle;
}

Result<LocalLayoutPtr> TransportManager::Impl::close_layout(LayoutHandle handle, Duration timeout) {
  LocalLayoutPtr layout = registry_.find_local(handle);
  if (layout == nullptr) {
    return not_known(handle);
  }
  const Clock& clock = *options_.clock;
  if (!layout->gate->close(clock, deadline_after(clock.now(), timeout))) {
    return Error{ErrorCode::kDeadline, to_string(handle) + " is still used by transfers"};
  }
  return layout;
}

Result<void> TransportManager::Impl::unregister_layout(LayoutHandle handle, Duration timeout) {
  KVFERRY_RETURN_IF_ERROR(check_process());
  KVFERRY_ASSIGN_OR_RETURN(const LocalLayoutPtr layout, close_layout(handle, timeout));
  const MutexLock lock{layouts_mutex_};
  if (registry_.find_local(handle) == nullptr) {
    return not_known(handle);  // Somebody else was quicker.
  }
  remove_layout(*layout);
  generation_ += layout->access == Access::kNone ? 0 : 1;
  return {};
}

Result<LayoutHandle> TransportManager::Impl::change_layout(LayoutHandle handle,
                                                           transfer::PhysicalLayoutPtr layout,
                                                           const RegisterOptions& options,
                                                           Duration timeout) {
  KVFERRY_RETURN_IF_ERROR(check_process());
  KVFERRY_ASSIGN_OR_RETURN(const LocalLayoutPtr old, close_layout(handle, timeout));
  const MutexLock lock{layouts_mutex_};
  if (registry_.find_local(handle) == nullptr) {
    return not_known(handle);  // Somebody else was quicker.
  }
  auto added = add_layout(std::move(layout), options);
  if (!added) {
    old->gate->open();
    return added;
  }
  remove_layout(*old);
  generation_ += options.access == Access::kNone && old->access == Access::kNone ? 0 : 1;
  return added;
}

std::uint64_t TransportManager::Impl::generation() const {
  const MutexLock lock{layouts_mutex_};
  return generation_;
}

Result<wire::SerializedLayout> TransportManager::Impl::export_metadata(
    wire::MessageFormat format) const {
  KVFERRY_RETURN_IF_ERROR(check_process());
  if (options_.agent == nullptr) {
    return no_agent();
  }
  const std::string& agent_name = options_.agent->name();
  std::vector<wire::LocalLayoutDescriptor> layouts;
  const MutexLock lock{layouts_mutex_};
  for (const LocalLayoutPtr& layout : registry_.locals()) {
    if (layout->access != Access::kNone) {
      KVFERRY_ASSIGN_OR_RETURN(auto said, describe(*layout, agent_name, format));
      layouts.push_back(std::move(said));
    }
  }
  KVFERRY_ASSIGN_OR_RETURN(const std::vector<std::byte> blob, options_.agent->local_metadata());
  return wire::SerializedLayout::pack({options_.worker_id, agent_name}, blob, layouts, format);
}

Result<std::vector<std::byte>> TransportManager::Impl::export_envelope(
    const EnvelopeOptions& options) const {
  KVFERRY_RETURN_IF_ERROR(check_process());
  if (options_.agent == nullptr) {
    return no_agent();
  }
  wire::Envelope envelope;
  envelope.worker_address = {options_.worker_id, options_.agent->name()};
  envelope.epoch = epoch_;
  envelope.issued = std::chrono::floor<std::chrono::milliseconds>(options_.wall_clock->now());
  envelope.lease = options.lease;
  envelope.audience = options.audience;
  const MutexLock lock{layouts_mutex_};
  envelope.generation = generation_;
  for (const LocalLayoutPtr& layout : registry_.locals()) {
    if (layout->access != Access::kNone) {
      for (wire::EnvelopeLayout& said : describe_in_envelope(*layout)) {
        envelope.layouts.push_back(std::move(said));
      }
    }
  }
  KVFERRY_ASSIGN_OR_RETURN(std::vector<std::byte> blob, options_.agent->local_metadata());
  envelope.agents.push_back({options_.agent->facts().kind, std::move(blob)});
  return wire::encode_envelope(envelope);
}

}  // namespace kvferry::manager
