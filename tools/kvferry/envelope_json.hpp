// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string_view>
#include <vector>

#include "kvferry/base/result.hpp"
#include "kvferry/wire/envelope.hpp"
#include "kvferry/wire/message_view.hpp"

// Envelopes as JSON: what inspect prints and encode reads.
// Source: docs/spec/envelope.md, section 8.

namespace kvferry::tool {

/// An envelope and the signature around it, whether good or not.
struct SignedEnvelope {
  wire::Envelope envelope{};
  std::optional<wire::EnvelopeSignature> signature{};
};

/// Reads an envelope with its signature.
///
/// Errors: those of wire::decode_envelope().
[[nodiscard]] Result<SignedEnvelope> read_envelope(std::span<const std::byte> bytes);

/// Its canonical bytes.
///
/// Errors: those of wire::encode_envelope().
[[nodiscard]] Result<std::vector<std::byte>> write_envelope(const SignedEnvelope& envelope);

/// What it says, as `value` of a document.
[[nodiscard]] nlohmann::ordered_json value_of(const SignedEnvelope& envelope);

/// Whether a document says that it is of an envelope.
[[nodiscard]] bool describes_envelope(std::string_view document);

/// The envelope that a document describes.
///
/// Errors: kCorrupt naming the field ("layouts[0].config.num_blocks: ...").
[[nodiscard]] Result<SignedEnvelope> envelope_of(std::string_view document);

}  // namespace kvferry::tool
