// SPDX-License-Identifier: Apache-2.0
#include "trust/key_file.hpp"

#include <algorithm>
#include <utility>

#include "kvferry/base/try.hpp"
#include "trust/sodium.hpp"

namespace kvferry::trust {
namespace {

Error corrupt(std::string message) { return Error{ErrorCode::kCorrupt, std::move(message)}; }

/// Size, first line and line ends: all but the digits.
Result<void> check_lines(std::string_view text, std::string_view header, std::size_t size_bytes) {
  if (!text.starts_with(header)) {
    // The text itself may be secret.
    return corrupt("line 1: is not '" + std::string{header.substr(0, header.size() - 1)} + "'");
  }
  if (text.size() > size_bytes) {
    return corrupt("more than " + std::to_string(size_bytes) + " bytes");
  }
  if (text.size() < size_bytes) {
    return corrupt(std::to_string(text.size()) + " bytes of " + std::to_string(size_bytes));
  }
  for (std::size_t end = header.size() + kHexDigits; end < size_bytes; end += kHexDigits + 1) {
    if (text[end] != '\n') {
      return corrupt("no line end at byte " + std::to_string(end));
    }
  }
  return {};
}

/// The digits of line `line` of 2 and more.
std::string_view digits_of(std::string_view text, std::string_view header, std::size_t line) {
  return text.substr(header.size() + (line - 2) * (kHexDigits + 1), kHexDigits);
}

}  // namespace

std::string encode_public_file(const PublicKey& key) {
  return std::string{kPublicKeyHeader} + key.to_string() + "\n";
}

Result<PublicKey> decode_public_file(std::string_view text) {
  KVFERRY_RETURN_IF_ERROR(check_lines(text, kPublicKeyHeader, kPublicFileBytes));
  Result<PublicKey> key = PublicKey::parse(digits_of(text, kPublicKeyHeader, 2));
  return key ? std::move(key) : std::move(key).error().with_context("line 2");
}

Result<SecretBytes> encode_secret_file(const SecretKey& key) {
  KVFERRY_ASSIGN_OR_RETURN(SecretBytes text, SecretBytes::allocate(kSecretFileBytes));
  auto* const out = reinterpret_cast<char*>(text.bytes().data());
  std::ranges::copy(kSecretKeyHeader, out);
  char* const seed = out + kSecretKeyHeader.size();
  // The zero that it writes after the digits makes place for the line end.
  ::sodium_bin2hex(seed, kHexDigits + 1, octets(key.seed().data()), SecretKey::kSeedBytes);
  seed[kHexDigits] = '\n';
  const std::string public_line = key.public_key.to_string() + "\n";
  std::ranges::copy(public_line, seed + kHexDigits + 1);
  return text;
}

Result<SecretKey> decode_secret_file(std::string_view text) {
  KVFERRY_RETURN_IF_ERROR(check_lines(text, kSecretKeyHeader, kSecretFileBytes));
  KVFERRY_ASSIGN_OR_RETURN(SecretBytes seed, SecretBytes::allocate(SecretKey::kSeedBytes));
  if (!decode_hex(digits_of(text, kSecretKeyHeader, 2), seed.bytes())) {
    return corrupt("line 2: is not 64 lower-case hexadecimal digits");
  }
  KVFERRY_ASSIGN_OR_RETURN(SecretKey key, SecretKey::from_seed(seed.bytes()));
  if (digits_of(text, kSecretKeyHeader, 3) != key.public_key.to_string()) {
    return corrupt("line 3: is not the public key of the secret key in line 2");
  }
  return key;
}

}  // namespace kvferry::trust
