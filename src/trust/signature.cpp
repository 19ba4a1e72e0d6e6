// SPDX-License-Identifier: Apache-2.0
#include "kvferry/trust/signature.hpp"

#include <string>

#include "trust/sodium.hpp"

namespace kvferry::trust {

static_assert(Signature::kBytes == crypto_sign_BYTES);

Result<void> verify(std::span<const std::byte> message, const Signature& signature,
                    const PublicKey& key) {
  // libsodium was set up when the key was made.
  if (::crypto_sign_verify_detached(octets(signature.bytes.data()), octets(message.data()),
                                    message.size(), octets(key.bytes().data())) != 0) {
    return Error{ErrorCode::kRefused, "signature is not good for these " +
                                          std::to_string(message.size()) + " bytes and key " +
                                          key.to_string()};
  }
  return {};
}

}  // namespace kvferry::trust
