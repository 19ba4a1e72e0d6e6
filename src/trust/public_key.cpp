// SPDX-License-Identifier: Apache-2.0
#include "kvferry/trust/public_key.hpp"

#include <algorithm>
#include <utility>

#include "kvferry/base/try.hpp"
#include "trust/files.hpp"
#include "trust/key_file.hpp"
#include "trust/sodium.hpp"

namespace kvferry::trust {

static_assert(PublicKey::kBytes == crypto_sign_PUBLICKEYBYTES);

Result<PublicKey> PublicKey::from_bytes(std::span<const std::byte> bytes) {
  KVFERRY_RETURN_IF_ERROR(set_up_sodium());
  if (bytes.size() != kBytes) {
    return Error{ErrorCode::kCorrupt, "public key: " + std::to_string(bytes.size()) + " bytes of " +
                                          std::to_string(kBytes)};
  }
  if (::crypto_core_ed25519_is_valid_point(octets(bytes.data())) != 1) {
    return Error{ErrorCode::kCorrupt,
                 "public key: " + encode_hex(bytes) + " is no point that may be a key"};
  }
  std::array<std::byte, kBytes> copy{};
  std::ranges::copy(bytes, copy.begin());
  return PublicKey{copy};
}

Result<PublicKey> PublicKey::parse(std::string_view text) {
  std::array<std::byte, kBytes> bytes{};
  if (!decode_hex(text, bytes)) {
    return Error{ErrorCode::kCorrupt, "public key: is not 64 lower-case hexadecimal digits"};
  }
  return from_bytes(bytes);
}

Result<PublicKey> PublicKey::load(const std::string& file) {
  KVFERRY_ASSIGN_OR_RETURN(const std::string text, read_public_file(kCurrentDirectory, file));
  Result<PublicKey> key = decode_public_file(text);
  return key ? std::move(key) : std::move(key).error().with_context(file);
}

Result<void> PublicKey::save(const std::string& file) const {
  const std::string text = encode_public_file(*this);
  return write_new_file(file, std::as_bytes(std::span{text}), Secrecy::kPublic);
}

std::string PublicKey::to_string() const { return encode_hex(bytes_); }

}  // namespace kvferry::trust
