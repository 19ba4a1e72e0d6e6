// SPDX-License-Identifier: Apache-2.0
#pragma once

// What key files hold: docs/spec/trust.md, "Key files".

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "kvferry/base/result.hpp"
#include "kvferry/trust/public_key.hpp"
#include "trust/secret.hpp"

namespace kvferry::trust {

inline constexpr std::string_view kPublicKeyHeader{"kvferry-public-key ed25519 1\n"};
inline constexpr std::string_view kSecretKeyHeader{"kvferry-secret-key ed25519 1\n"};
inline constexpr std::size_t kHexDigits = 64;  // of 32 bytes
inline constexpr std::size_t kPublicFileBytes = kPublicKeyHeader.size() + kHexDigits + 1;
inline constexpr std::size_t kSecretFileBytes = kSecretKeyHeader.size() + 2 * (kHexDigits + 1);
static_assert(kPublicFileBytes == 94 && kSecretFileBytes == 159);

[[nodiscard]] std::string encode_public_file(const PublicKey& key);

/// Errors: kCorrupt.
[[nodiscard]] Result<PublicKey> decode_public_file(std::string_view text);

/// Errors: kUnavailable.
[[nodiscard]] Result<SecretBytes> encode_secret_file(const SecretKey& key);

/// Errors: kCorrupt, without a byte of `text` in the message; kUnavailable.
[[nodiscard]] Result<SecretKey> decode_secret_file(std::string_view text);

}  // namespace kvferry::trust
