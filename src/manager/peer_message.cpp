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

Result<void> check_rules(const wire::MessageView& message) {
  for (const wire::Lint& lint : wire::lint(message)) {
    if (lint.refuses_import) {
      return Error{ErrorCode::kCorrupt, std::string{to_string(lint.rule)} + ": " + lint.message};
    }
  }
  return {};
}

Result<ToldLayout> told_layout(LayoutHandle handle, const layout::Description& said,
                               std::span<const Region> regions, const layout::Assumptions& assume) {
  if (const Result<void> valid = config_of(said).validate(); !valid) {
    return Error{ErrorCode::kCorrupt, valid.error().message};
  }
  KVFERRY_ASSIGN_OR_RETURN(const layout::Description known, with_assumptions(said, assume));
  auto view = view_of(known, {regions.begin(), regions.end()});
  if (!view && assume.is_empty()) {
    // The rules have passed: what is packed only lacks the heads that its order needs.
    const bool packed = std::holds_alternative<layout::PackedLayout>(said);
    return Error{packed ? ErrorCode::kIncompatible : ErrorCode::kCorrupt, view.error().message};
  }
  KVFERRY_RETURN_IF_ERROR(view);
  return ToldLayout{handle, *std::move(view), {}, std::nullopt, std::nullopt, {}};
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

/// All of a peer but layouts, digest and blob.
Result<ToldPeer> read_sender(const wire::MessageView& view, const layout::Assumptions& assume) {
  KVFERRY_RETURN_IF_ERROR(check_rules(view));
  ToldPeer told;
  told.identity.worker_id = view.worker_id;
  told.identity.agent_name = view.nixl_agent_name;
  told.identity.assume = assume;
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

Result<ToldLayout> read_layout(WorkerId worker_id, const wire::EnvelopeLayout& said,
                               const layout::Assumptions& assume) {
  KVFERRY_ASSIGN_OR_RETURN(
      ToldLayout told, told_layout({worker_id, said.id}, said.description, said.regions, assume));
  if (said.guards.has_value()) {
    KVFERRY_RETURN_IF_ERROR(check_guards(*said.guards, config_of(said.description).num_blocks));
  }
  told.guards = said.guards;
  told.access = said.access;
  told.meaning = {said.model, said.group};
  return told;
}

/// A layout and, behind it, its planes.
Result<ToldLayout> read_with_planes(WorkerId worker_id, std::span<const wire::EnvelopeLayout> said,
                                    const layout::Assumptions& assume) {
  KVFERRY_ASSIGN_OR_RETURN(ToldLayout told, read_layout(worker_id, said.front(), assume));
  std::vector<layout::Plane> planes;
  // Which layers are here is assumed of the data and its planes alike, all else of the data only.
  const layout::Assumptions of_planes{.layers = assume.layers};
  for (const wire::EnvelopeLayout& plane : said.subspan(1)) {
    auto one = read_layout(worker_id, plane, of_planes);
    if (!one) {
      return std::move(one).error().with_context("plane \"" + plane.plane + "\"");
    }
    planes.push_back({plane.plane, std::move(one->view)});
  }
  auto beside = layout::side_by_side(told.view, std::move(planes));
  if (!beside) {
    return Error{assume.is_empty() ? ErrorCode::kCorrupt : ErrorCode::kInvalidArgument,
                 beside.error().message};
  }
  told.planes = *std::move(beside);
  return told;
}

Result<ToldPeer> read_envelope(const wire::Envelope& envelope, const ReadOptions& options) {
  KVFERRY_ASSIGN_OR_RETURN(ToldPeer told, read_sender(view_of(envelope), options.assume));
  for (auto first = envelope.layouts.begin(); first != envelope.layouts.end();) {
    const auto next = std::find_if(first + 1, envelope.layouts.end(),
                                   [](const auto& layout) { return layout.plane.empty(); });
    auto layout = read_with_planes(told.identity.worker_id, {first, next}, options.assume);
    if (!layout) {
      return std::move(layout).error().with_context(
          to_string(LayoutHandle{told.identity.worker_id, first->id}));
    }
    told.layouts.push_back(*std::move(layout));
    first = next;
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
  told.issued = envelope.issued;
  if (envelope.lease.count() != 0) {
    told.ends = envelope.issued + envelope.lease;
  }
  return told;
}

/// `known`, which is the data of `layout` or one of its planes.
wire::EnvelopeLayout describe_alone(const LocalLayout& layout,
                                    const transfer::PhysicalLayout& known) {
  wire::EnvelopeLayout said;
  said.id = layout.handle.layout_id();
  said.location = known.storage_kind();
  said.access = layout.access;
  said.tier = tier_of(said.location);
  said.description = known.description();
  said.model = layout.meaning.model;
  said.group = layout.meaning.group;
  said.regions.assign(known.view().regions().begin(), known.view().regions().end());
  if (const auto& guards = known.guards(); guards != nullptr) {
    said.guards = guards->region();
  }
  return said;
}

}  // namespace

Result<ToldPeer> read_message(std::span<const std::byte> bytes, const ReadOptions& options) {
  if (wire::is_envelope(bytes)) {
    KVFERRY_ASSIGN_OR_RETURN(const wire::Envelope envelope,
                             wire::decode_envelope(bytes, options.limits));
    return read_envelope(envelope, options);
  }
  KVFERRY_ASSIGN_OR_RETURN(const wire::MessageView view, wire::decode_view(bytes, options.limits));
  KVFERRY_ASSIGN_OR_RETURN(ToldPeer told, read_sender(view, options.assume));
  for (const wire::LocalLayoutView& said : view.layouts()) {
    auto layout =
        told_layout(said.handle, wire::told_layout(said.layout_config, said.layout_type_details),
                    view.regions_of(said), options.assume);
    if (!layout) {
      return std::move(layout).error().with_context(to_string(said.handle));
    }
    told.layouts.push_back(*std::move(layout));
  }
  told.identity.blob.assign(view.nixl_metadata.begin(), view.nixl_metadata.end());
  told.identity.digest = digest_of(bytes);
  return told;
}

Result<wire::LocalLayoutDescriptor> describe(const LocalLayout& layout,
                                             const std::string& agent_name,
                                             wire::MessageFormat format) {
  const transfer::PhysicalLayout& known = *layout.physical;
  const auto cannot = [&](const std::string& what) {
    return Error{ErrorCode::kIncompatible, to_string(layout.handle) + ": format " +
                                               std::string{to_string(format)} + " cannot tell " +
                                               what};
  };
  const auto* const packed = std::get_if<layout::PackedLayout>(&known.description());
  if (packed == nullptr) {
    return cannot("strides");
  }
  if (!known.planes().empty()) {
    return cannot("planes");
  }
  wire::LayoutDescriptor said;
  said.layout_config = packed->config;
  said.location = known.storage_kind();
  said.nixl_metadata.agent_name = agent_name;
  said.nixl_metadata.mem_type = wire::mem_type_of(said.location);
  said.memory_descriptors.assign(known.view().regions().begin(), known.view().regions().end());
  said.layout_type_details = wire::details_of(packed->arrangement);
  if (format == wire::MessageFormat::kA) {
    said.layout_config.inner_shape = inner_shape_of(*packed);
    said.layout_config.num_heads.reset();  // Format A has no place for it.
    if (packed->order && said.layout_config.inner_shape == layout::InnerShape::kUnknown) {
      return cannot("the order " + to_string(*packed->order));
    }
    return wire::LocalLayoutDescriptor{layout.handle, std::move(said), std::nullopt};
  }
  std::visit(
      [packed](auto& details) {
        details.kv_block_layout = wire::kv_block_layout_of(packed->order);
      },
      said.layout_type_details);
  const wire::LogicalType tier = tier_of(said.location);
  return wire::LocalLayoutDescriptor{layout.handle, std::move(said), tier};
}

std::vector<wire::EnvelopeLayout> describe_in_envelope(const LocalLayout& layout) {
  const transfer::PhysicalLayout& known = *layout.physical;
  std::vector<wire::EnvelopeLayout> all{describe_alone(layout, known)};
  for (const transfer::NamedLayout& plane : known.plane_layouts()) {
    all.push_back(describe_alone(layout, *plane.layout));
    all.back().plane = plane.name;
  }
  return all;
}

}  // namespace kvferry::manager
