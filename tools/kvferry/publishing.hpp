// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kvferry/exchange/exchange.hpp"
#include "kvferry/wire/message_view.hpp"
#include "kvferry/wire/serialized_layout.hpp"
#include "node.hpp"
#include "outcome.hpp"

namespace kvferry::tool {

/// The formats that a list like "a,b" names, each once.
///
/// Errors: usage.
[[nodiscard]] Outcome<std::vector<wire::MessageFormat>> parse_formats(std::string_view text);

/// Publishes the metadata of `node` under `name`, one message for each of `formats`; gives the
/// epoch, with which it can be withdrawn.
///
/// Errors: those of export_metadata() and of Exchange::publish().
[[nodiscard]] Result<Epoch> publish(exchange::Exchange& exchange, const Node& node,
                                    const std::string& name,
                                    std::span<const wire::MessageFormat> formats);

/// Reads the message that says most of those that a worker publishes.
///
/// Errors: kUnavailable when it publishes none that can be read here; kCorrupt when that does not
///         decode.
/// Lifetime: the view points into `published`.
[[nodiscard]] Result<wire::MessageView> read_richest(const exchange::Formats& published);

/// What another worker has published.
struct PeerMessage {
  wire::SerializedLayout message;
  std::uint64_t num_blocks{0};  ///< of its first layout
  std::uint64_t page_size{0};
};

/// Fetches the message of a live worker that says most.
///
/// Errors: kUnavailable when there is no such worker, it is dead, or has no layout for peers; those
///         of read_richest().
[[nodiscard]] Result<PeerMessage> fetch_peer(exchange::Exchange& exchange, const std::string& name);

}  // namespace kvferry::tool
