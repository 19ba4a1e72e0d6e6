// SPDX-License-Identifier: Apache-2.0
#include "manager/peer_message.hpp"

#include <xxhash.h>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "kvferry/base/try.hpp"
#include "kvferry/wire/lint.hpp"
#include "kvferry/wire/message_view.hpp"

namespace kvferry::manager {
namespace {

using layout::InnerShape;
using layout::Layout;
using layout::LayoutConfig;

Result<void> check_rules(const wire::MessageView& message) {
  for (const wire::Lint& lint : wire::lint(message)) {
    if (lint.refuses_import) {
      return Error{ErrorCode::kCorrupt, std::string{to_string(lint.rule)} + ": " + lint.message};
    }
  }
  return {};
}

/// Adds to a layout's config what the caller knows; what both say must agree.
Result<LayoutConfig> with_assumptions(LayoutConfig config, const Assumptions& assume) {
  if (assume.order.has_value()) {
    if (config.inner_shape != InnerShape::kUnknown && config.inner_shape != *assume.order) {
      return Error{ErrorCode::kInvalidArgument,
                   "assumed order " + std::string{to_string(*assume.order)} +
                       ", the message says " + std::string{to_string(config.inner_shape)}};
    }
    config.inner_shape = *assume.order;
  }
  if (assume.num_heads.has_value()) {
    if (config.num_heads.value_or(*assume.num_heads) != *assume.num_heads) {
      return Error{ErrorCode::kInvalidArgument,
                   "assumed num_heads " + std::to_string(*assume.num_heads) +
                       ", the message says " + std::to_string(*config.num_heads)};
    }
    config.num_heads = assume.num_heads;
  }
  KVFERRY_RETURN_IF_ERROR(config.validate());
  return config;
}

Result<ToldLayout> read_layout(const wire::MessageView& message, const wire::LocalLayoutView& said,
                               const Assumptions& assume) {
  KVFERRY_ASSIGN_OR_RETURN(const LayoutConfig told,
                           wire::told_config(said.layout_config, said.layout_type_details));
  if (const Result<void> valid = told.validate(); !valid) {
    return Error{ErrorCode::kCorrupt, valid.error().message};
  }
  KVFERRY_ASSIGN_OR_RETURN(const LayoutConfig config, with_assumptions(told, assume));
  const std::span<const Region> regions = message.regions_of(said);
  KVFERRY_ASSIGN_OR_RETURN(const Layout layout,
                           Layout::create(config, wire::arrangement_of(said.layout_type_details),
                                          {regions.begin(), regions.end()}));
  KVFERRY_ASSIGN_OR_RETURN(layout::LayoutView view, view_of(layout));
  return ToldLayout{said.handle, std::move(view), std::nullopt};
}

std::array<std::uint64_t, 2> digest_of(std::span<const std::byte> bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {hash.low64, hash.high64};
}

/// The tier that memory of a kind serves in the original: device, host, disk.
wire::LogicalType tier_of(StorageKind kind) {
  switch (kind.type) {
    case StorageKind::Type::kDevice: return wire::LogicalType::kG1;
    case StorageKind::Type::kSystem:
    case StorageKind::Type::kPinned: return wire::LogicalType::kG2;
    case StorageKind::Type::kDisk: return wire::LogicalType::kG3;
  }
  return wire::LogicalType::kG2;
}

/// All of a peer but digest and blob.
Result<ToldPeer> read_view(const wire::MessageView& view, const Assumptions& assume) {
  KVFERRY_RETURN_IF_ERROR(check_rules(view));
  ToldPeer told;
  told.identity.worker_id = view.worker_id;
  told.identity.agent_name = view.nixl_agent_name;
  told.identity.assume = assume;
  for (const wire::LocalLayoutView& said : view.layouts()) {
    auto layout = read_layout(view, said, assume);
    if (!layout) {
      return std::move(layout).error().with_context(to_string(said.handle));
    }
    told.layouts.push_back(*std::move(layout));
  }
  return told;
}

Result<void> check_guards(const Region& guards, std::uint64_t num_blocks) {
  if (guards.size_bytes / sizeof(std::uint64_t) != num_blocks ||
      guards.size_bytes % sizeof(std::uint64_t) != 0) {
    return Error{ErrorCode::kCorrupt, "guards: " + std::to_string(guards.size_bytes) +
                                          " bytes for " + std::to_string(num_blocks) + " blocks"};
  }
  const std::uint64_t room = std::numeric_limits<std::uint64_t>::max() - guards.address;
  if (guards.address == 0 || guards.address % alignof(std::uint64_t) != 0 ||
      guards.size_bytes > room) {
    return Error{ErrorCode::kCorrupt,
                 "guards: " + std::to_string(guards.address) + " is no address of 64-bit numbers"};
  }
  return {};
}

/// Of all that says what the worker has; when it was written is not part of it.
Result<std::array<std::uint64_t, 2>> digest_of(wire::Envelope envelope,
                                               const wire::WireLimits& limits) {
  envelope.issued = {};
  envelope.lease = {};
  KVFERRY_ASSIGN_OR_RETURN(const std::vector<std::byte> bytes,
                           wire::encode_envelope(envelope, limits));
  return digest_of(bytes);
}

Result<ToldPeer> read_envelope(const wire::Envelope& envelope, const ReadOptions& options) {
  KVFERRY_ASSIGN_OR_RETURN(ToldPeer told, read_view(view_of(envelope), options.assume));
  for (std::size_t i = 0; i < told.layouts.size(); ++i) {
    told.layouts[i].guards = envelope.layouts[i].guards;
    if (const auto& guards = told.layouts[i].guards; guards.has_value()) {
      const auto checked = check_guards(*guards, envelope.layouts[i].config.num_blocks);
      if (!checked) {
        return Error{checked.error()}.with_context(to_string(told.layouts[i].handle));
      }
    }
  }
  const auto mine = std::ranges::find(envelope.agents, options.agent_kind, &wire::AgentBlob::kind);
  if (mine == envelope.agents.end()) {
    return Error{ErrorCode::kUnavailable,
                 "agents: worker " + std::to_string(told.identity.worker_id.value()) +
                     " tells of no agent of kind \"" + std::string{options.agent_kind} + "\""};
  }
  told.identity.blob = mine->blob;
  told.identity.life = PeerLife{envelope.epoch, envelope.generation};
  KVFERRY_ASSIGN_OR_RETURN(told.identity.digest, digest_of(envelope, options.limits));
  told.audience = envelope.audience;
  if (envelope.lease.count() != 0) {
    told.lease = ToldLease{envelope.issued, envelope.issued + envelope.lease};
  }
  return told;
}

}  // namespace

Result<ToldPeer> read_message(std::span<const std::byte> bytes, const ReadOptions& options) {
  if (wire::is_envelope(bytes)) {
    KVFERRY_ASSIGN_OR_RETURN(const wire::Envelope envelope,
                             wire::decode_envelope(bytes, options.limits));
    return read_envelope(envelope, options);
  }
  KVFERRY_ASSIGN_OR_RETURN(const wire::MessageView view, wire::decode_view(bytes, options.limits));
  KVFERRY_ASSIGN_OR_RETURN(ToldPeer told, read_view(view, options.assume));
  told.identity.blob.assign(view.nixl_metadata.begin(), view.nixl_metadata.end());
  told.identity.digest = digest_of(bytes);
  return told;
}

wire::LocalLayoutDescriptor describe(const LocalLayout& layout, const std::string& agent_name,
                                     wire::MessageFormat format) {
  const Layout& known = layout.physical->layout();
  wire::LayoutDescriptor said;
  said.layout_config = known.config();
  said.location = layout.physical->storage_kind();
  said.nixl_metadata.agent_name = agent_name;
  said.nixl_metadata.mem_type = wire::mem_type_of(said.location);
  said.memory_descriptors.assign(known.regions().begin(), known.regions().end());
  said.layout_type_details = wire::details_of(known.arrangement());
  if (format == wire::MessageFormat::kA) {
    said.layout_config.num_heads.reset();  // Format A has no place for it.
    return {layout.handle, std::move(said), std::nullopt};
  }
  const wire::KvBlockLayout order = wire::kv_block_layout_of(known.config().inner_shape);
  std::visit([&order](auto& details) { details.kv_block_layout = order; },
             said.layout_type_details);
  said.layout_config.inner_shape = InnerShape::kUnknown;  // Format B says it there.
  const wire::LogicalType tier = tier_of(said.location);
  return {layout.handle, std::move(said), tier};
}

wire::EnvelopeLayout describe_in_envelope(const LocalLayout& layout) {
  const Layout& known = layout.physical->layout();
  wire::EnvelopeLayout said;
  said.id = layout.handle.layout_id();
  said.location = layout.physical->storage_kind();
  said.access = layout.access;
  said.tier = tier_of(said.location);
  said.config = known.config();
  said.arrangement = known.arrangement();
  said.regions.assign(known.regions().begin(), known.regions().end());
  if (const auto& guards = layout.physical->guards(); guards != nullptr) {
    said.guards = guards->region();
  }
  return said;
}

}  // namespace kvferry::manager
