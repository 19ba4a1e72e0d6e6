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
    config.num_heads = assume.num_heads;
  }
  KVFERRY_RETURN_IF_ERROR(config.validate());
  return config;
}

Result<RemoteLayout> read_layout(const wire::MessageView& message,
                                 const wire::LocalLayoutView& said, const Assumptions& assume) {
  KVFERRY_ASSIGN_OR_RETURN(const LayoutConfig config, with_assumptions(said.layout_config, assume));
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

wire::LocalLayoutDescriptor describe(const LocalLayout& layout, const std::string& agent_name) {
  const Layout& known = layout.physical->layout();
  wire::LayoutDescriptor said;
  said.layout_config = known.config();
  said.layout_config.num_heads.reset();  // Format A has no place for it.
  said.location = layout.physical->storage_kind();
  said.nixl_metadata.agent_name = agent_name;
  said.nixl_metadata.mem_type = wire::mem_type_of(said.location);
  said.memory_descriptors.assign(known.regions().begin(), known.regions().end());
  said.layout_type_details = wire::details_of(known.arrangement());
  return {layout.handle, std::move(said)};
}

}  // namespace kvferry::manager
