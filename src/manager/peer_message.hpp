// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvferry/base/result.hpp"
#include "kvferry/wire/envelope.hpp"
#include "manager/registry.hpp"

namespace kvferry::manager {

/// A message of any format, read, with what was assumed.
struct ToldPeer {
  PeerIdentity identity;
  std::vector<ToldLayout> layouts;
  std::string audience;            ///< empty: all
  WallTime issued{};               ///< by its writer's wall clock; formats A and B do not say
  std::optional<WallTime> ends{};  ///< of the lease, by the same clock
};

/// What read_message() has to know beside the message.
struct ReadOptions {
  std::string_view agent_kind;  ///< whose blob is taken from an envelope
  layout::Assumptions assume{};
  wire::WireLimits limits{};
};

/// Reads a message of format A or B, or an envelope.
///
/// Errors: kCorrupt for what does not decode or breaks a rule of import; kIncompatible for
///         an order that needs a number of heads which is not told, and what decode_envelope()
///         calls so; kUnavailable for an envelope without a blob of the
///         agent's kind; kInvalidArgument for assumptions that contradict the message.
[[nodiscard]] Result<ToldPeer> read_message(std::span<const std::byte> bytes,
                                            const ReadOptions& options);

/// What a message of `format` says of one's own layout.
///
/// Errors: kIncompatible naming what the format cannot tell.
[[nodiscard]] Result<wire::LocalLayoutDescriptor> describe(const LocalLayout& layout,
                                                           const std::string& agent_name,
                                                           wire::MessageFormat format);

/// What an envelope says of one's own layout and, behind it, of its planes.
[[nodiscard]] std::vector<wire::EnvelopeLayout> describe_in_envelope(const LocalLayout& layout);

}  // namespace kvferry::manager
