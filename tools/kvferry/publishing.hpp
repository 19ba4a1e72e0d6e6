// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kvferry/exchange/exchange.hpp"
#include "kvferry/wire/envelope.hpp"
#include "kvferry/wire/message_view.hpp"
#include "kvferry/wire/serialized_layout.hpp"
#include "node.hpp"
#include "outcome.hpp"

namespace kvferry::tool {

/// What a worker publishes its metadata as.
enum class PublishedFormat : std::uint8_t { kA, kB, kEnvelope };

/// How envelopes are called in an exchange; on the command line it is "envelope".
inline constexpr std::string_view kEnvelopeFile{"kvfy"};

/// How a format of an exchange is called on the command line.
[[nodiscard]] std::string_view format_name(std::string_view file) noexcept;

/// The formats that a list like "a,b,envelope" names, each once.
///
/// Errors: usage.
[[nodiscard]] Outcome<std::vector<PublishedFormat>> parse_formats(std::string_view text);

/// What is done to an envelope before it is published.
using Sealing = std::function<Result<std::vector<std::byte>>(std::span<const std::byte>)>;

/// Publishes the metadata of `node` under `name`, one message for each of `formats`; with `seal`
/// applied to the envelope. Formats that cannot tell of its layout are left out, and said so.
/// Gives the epoch, with which it can be withdrawn.
///
/// Errors: those of export_metadata(), if no format is left; of `seal` and Exchange::publish().
[[nodiscard]] Result<Epoch> publish(exchange::Exchange& exchange, const Node& node,
                                    const std::string& name,
                                    std::span<const PublishedFormat> formats,
                                    const Sealing& seal = {});

/// A message of any format, seen as one.
struct ReadMessage {
  std::span<const std::byte> bytes{};
  std::unique_ptr<const wire::Envelope> envelope{};  ///< null for formats A and B
  wire::MessageView view{};                          ///< points into bytes or envelope
};

/// Reads the message that says most of those that a worker publishes. An envelope that asks for
/// more than is understood here is passed over.
///
/// Errors: kUnavailable when it publishes none that can be read here; kCorrupt when that does not
///         decode.
/// Lifetime: points into `published`.
[[nodiscard]] Result<ReadMessage> read_richest(const exchange::Formats& published);

/// What another worker has published.
struct PeerMessage {
  wire::SerializedLayout message;
  std::uint64_t num_blocks{0};  ///< of its first layout
  std::uint64_t page_size{0};
};

/// Fetches the message of a live worker that says most.
///
/// Errors: kUnavailable when there is no such worker, it is dead, or has no layout for peers; those
///         of read_richest(); kDeadline when the exchange stays locked until then, or for as long
///         as one look may take.
[[nodiscard]] Result<PeerMessage> fetch_peer(exchange::Exchange& exchange, const std::string& name,
                                             TimePoint deadline);

}  // namespace kvferry::tool
