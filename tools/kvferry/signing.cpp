// SPDX-License-Identifier: Apache-2.0
#include "signing.hpp"

#include <algorithm>

#include "kvferry/base/try.hpp"
#include "kvferry/wire/envelope.hpp"

namespace kvferry::tool {

Result<std::vector<std::byte>> sign(std::span<const std::byte> bytes,
                                    const trust::SigningKey& key) {
  KVFERRY_RETURN_IF_ERROR(wire::decode_envelope(bytes));
  KVFERRY_ASSIGN_OR_RETURN(const wire::SignedBody opened, wire::open_envelope(bytes));
  wire::EnvelopeSignature signature;
  std::ranges::copy(key.public_key().bytes(), signature.public_key.begin());
  signature.signature = key.sign(opened.body).bytes;
  return wire::with_signature(bytes, signature);
}

Result<std::string> signer_of(std::span<const std::byte> bytes, const trust::TrustedKeys& trusted) {
  KVFERRY_ASSIGN_OR_RETURN(const wire::SignedBody opened, wire::open_envelope(bytes));
  if (!opened.signature) {
    return Error{ErrorCode::kRefused, "signature: the message is not signed"};
  }
  const auto key = trust::PublicKey::from_bytes(opened.signature->public_key);
  if (!key) {
    return Error{ErrorCode::kRefused, "signature: " + key.error().message};
  }
  return trusted.verify(opened.body, trust::Signature{opened.signature->signature}, *key);
}

}  // namespace kvferry::tool
