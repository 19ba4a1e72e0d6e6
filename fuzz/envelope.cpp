// SPDX-License-Identifier: Apache-2.0
// Any bytes are an envelope or refused with kCorrupt or kIncompatible. What is read is written and
// read again the same, unknown fields too, and written again as the same bytes; a signature changes
// nothing of it. A checksum keeps nearly every change away from the code behind it, so each input
// is also looked at as a body with a right frame around it.
#include "kvferry/wire/envelope.hpp"

#include <algorithm>

#include "fuzz/fuzz.hpp"
#include "wire/envelope_frame.hpp"

namespace kvferry::fuzz {
namespace {

using Bytes = std::span<const std::byte>;

void check_refusal(const Error& error) {
  must(error.code == ErrorCode::kCorrupt || error.code == ErrorCode::kIncompatible,
       "what is no envelope is kCorrupt or kIncompatible");
  must(error.message.find(" at ") != std::string::npos ||
           error.message.starts_with("required_features: "),
       "a refusal says where");
}

/// Bytes that were kept, and layouts and regions, which may not be more than came.
void check_size(const wire::Envelope& envelope, std::size_t bytes) {
  std::size_t kept = envelope.unknown_fields.size();
  for (const wire::AgentBlob& agent : envelope.agents) {
    kept += agent.blob.size() + agent.unknown_fields.size();
  }
  for (const wire::EnvelopeLayout& layout : envelope.layouts) {
    kept += 2 + layout.unknown_fields.size() + 16 * layout.regions.size();
  }
  must(kept <= bytes, "no more comes out than went in");
}

void check_signed(Bytes written, const wire::Envelope& envelope) {
  wire::EnvelopeSignature signature;
  signature.signature.fill(std::byte{7});
  const auto with = wire::with_signature(written, signature);
  must(with.has_value(), "what was written can be signed");
  const auto opened = wire::open_envelope(*with);
  must(opened.has_value() && opened->signature == signature, "a signature comes back");
  const auto again = wire::decode_envelope(*with);
  must(again.has_value() && *again == envelope, "a signature changes nothing");
}

void check(Bytes input) {
  const auto envelope = wire::decode_envelope(input);
  if (!envelope) {
    check_refusal(envelope.error());
    return;
  }
  check_size(*envelope, input.size());
  const auto written = wire::encode_envelope(*envelope);
  must(written.has_value(), "what was read is written");
  const auto again = wire::decode_envelope(*written);
  must(again.has_value(), "what was written is read");
  must(*again == *envelope, "what was written says the same");
  must(*wire::encode_envelope(*again) == *written, "one value has one form");
  check_signed(*written, *envelope);
}

}  // namespace

void one_input(Bytes input) {
  check(input);
  check(wire::frame_body(input));
}

}  // namespace kvferry::fuzz
