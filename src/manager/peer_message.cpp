// SPDX-License-Identifier: Apache-2.0
#include "manager/peer_message.hpp"

#include <xxhash.h>

#include <string>
#include <utility>

#include "kvferry/base/try.hpp"
#include "kvferry/wire/lint.hpp"

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

Result<RemoteLayout> read_layout(const wire::MessageView& message,
                                 const wire::LocalLayoutView& said, const Assumptions& assume) {
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
  return RemoteLayout{said.handle, std::move(view), nullptr};
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

}  // namespace

Result<std::shared_ptr<Peer>> read_peer(const wire::SerializedLayout& message,
                                        const Assumptions& assume, const wire::WireLimits& limits) {
  KVFERRY_ASSIGN_OR_RETURN(const wire::MessageView view,
                           wire::decode_view(message.as_bytes(), limits));
  KVFERRY_RETURN_IF_ERROR(check_rules(view));
  auto peer = std::make_shared<Peer>();
  peer->worker_id = view.worker_id;
  peer->agent_name = view.nixl_agent_name;
  peer->digest = digest_of(message.as_bytes());
  peer->assume = assume;
  peer->blob.assign(view.nixl_metadata.begin(), view.nixl_metadata.end());
  peer->gate = std::make_shared<transfer::Gate>();
  for (const wire::LocalLayoutView& said : view.layouts) {
    auto layout = read_layout(view, said, assume);
    if (!layout) {
      return std::move(layout).error().with_context(to_string(said.handle));
    }
    peer->handles.push_back(said.handle);
    peer->layouts.emplace(said.handle, *std::move(layout));
  }
  return peer;
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

}  // namespace kvferry::manager
