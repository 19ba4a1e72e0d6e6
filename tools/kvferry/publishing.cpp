// SPDX-License-Identifier: Apache-2.0
#include "publishing.hpp"

#include <utility>

#include "exchange_option.hpp"
#include "kvferry/base/try.hpp"
#include "kvferry/wire/message_view.hpp"

namespace kvferry::tool {
namespace {

constexpr std::string_view kFormatA{"a"};

}  // namespace

Result<Published> publish(exchange::Exchange& exchange, const Node& node, const std::string& name) {
  KVFERRY_ASSIGN_OR_RETURN(const wire::SerializedLayout message, node.manager().export_metadata());
  KVFERRY_ASSIGN_OR_RETURN(const exchange::Epoch epoch, exchange::draw_epoch());
  exchange::Publication publication;
  publication.record.name = name;
  publication.record.worker_id = node.manager().worker_id();
  publication.record.epoch = epoch;
  publication.formats.emplace(
      kFormatA, std::vector<std::byte>{message.as_bytes().begin(), message.as_bytes().end()});
  KVFERRY_RETURN_IF_ERROR(exchange.publish(publication, exchange_deadline()));
  return Published{epoch, message.len()};
}

Result<PeerMessage> fetch_peer(exchange::Exchange& exchange, const std::string& name) {
  KVFERRY_ASSIGN_OR_RETURN(exchange::FetchedWorker fetched,
                           exchange.fetch(name, exchange_deadline()));
  if (!fetched.found.alive) {
    return Error{ErrorCode::kUnavailable, "worker " + name + " is dead"};
  }
  const auto bytes = fetched.formats.find(kFormatA);
  if (bytes == fetched.formats.end()) {
    return Error{ErrorCode::kUnavailable, "worker " + name + " publishes no message of format A"};
  }
  KVFERRY_ASSIGN_OR_RETURN(const wire::MessageView view, wire::decode_view(bytes->second));
  if (view.layouts.empty()) {
    return Error{ErrorCode::kUnavailable, "worker " + name + " has no layout for peers"};
  }
  const layout::LayoutConfig& config = view.layouts.front().layout_config;
  return PeerMessage{wire::SerializedLayout::from_bytes(std::move(bytes->second)),
                     config.num_blocks, config.page_size};
}

}  // namespace kvferry::tool
