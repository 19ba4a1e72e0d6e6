// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "kvferry/exchange/exchange.hpp"
#include "kvferry/wire/serialized_layout.hpp"
#include "node.hpp"

namespace kvferry::tool {

/// What a worker has told the exchange.
struct Published {
  exchange::Epoch epoch{};
  std::uint64_t message_bytes{0};
};

/// Publishes the metadata of `node` under `name`.
///
/// Errors: those of export_metadata() and of Exchange::publish().
[[nodiscard]] Result<Published> publish(exchange::Exchange& exchange, const Node& node,
                                        const std::string& name);

/// What another worker has published.
struct PeerMessage {
  wire::SerializedLayout message;
  std::uint64_t num_blocks{0};  ///< of its first layout
  std::uint64_t page_size{0};
};

/// Fetches the message of a live worker.
///
/// Errors: kUnavailable when there is no such worker, or it is dead; kCorrupt when its message
///         does not decode or has no layout.
[[nodiscard]] Result<PeerMessage> fetch_peer(exchange::Exchange& exchange, const std::string& name);

}  // namespace kvferry::tool
