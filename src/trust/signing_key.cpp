// SPDX-License-Identifier: Apache-2.0
#include "kvferry/trust/signing_key.hpp"

#include <string_view>
#include <utility>

#include "kvferry/base/assert.hpp"
#include "kvferry/base/try.hpp"
#include "trust/files.hpp"
#include "trust/key_file.hpp"
#include "trust/secret.hpp"
#include "trust/sodium.hpp"

namespace kvferry::trust {

struct SigningKey::State {
  SecretKey key;
};

SigningKey::SigningKey(std::unique_ptr<const State> state) noexcept : state_{std::move(state)} {}
SigningKey::SigningKey(SigningKey&&) noexcept = default;
SigningKey& SigningKey::operator=(SigningKey&&) noexcept = default;
SigningKey::~SigningKey() = default;

Result<SigningKey> SigningKey::generate() {
  KVFERRY_ASSIGN_OR_RETURN(SecretKey key, SecretKey::generate());
  return SigningKey{std::unique_ptr<const State>{new State{std::move(key)}}};
}

Result<SigningKey> SigningKey::load(const std::string& file) {
  // One byte more than a key's file has shows that a file is too long.
  KVFERRY_ASSIGN_OR_RETURN(SecretBytes text, SecretBytes::allocate(kSecretFileBytes + 1));
  KVFERRY_ASSIGN_OR_RETURN(const std::size_t size_bytes,
                           read_key_file(kCurrentDirectory, file, Secrecy::kSecret, text.bytes()));
  Result<SecretKey> key = decode_secret_file(
      std::string_view{reinterpret_cast<const char*>(text.bytes().data()), size_bytes});
  if (!key) {
    return std::move(key).error().with_context(file);
  }
  return SigningKey{std::unique_ptr<const State>{new State{*std::move(key)}}};
}

Result<void> SigningKey::save(const std::string& file) const {
  KVFERRY_ASSERT(state_ != nullptr, "a key that was moved from");
  KVFERRY_ASSIGN_OR_RETURN(const SecretBytes text, encode_secret_file(state_->key));
  return write_new_file(file, text.bytes(), Secrecy::kSecret);
}

const PublicKey& SigningKey::public_key() const noexcept {
  KVFERRY_ASSERT(state_ != nullptr, "a key that was moved from");
  return state_->key.public_key;
}

Signature SigningKey::sign(std::span<const std::byte> message) const {
  KVFERRY_ASSERT(state_ != nullptr, "a key that was moved from");
  Signature signature;
  ::crypto_sign_detached(octets(signature.bytes.data()), nullptr, octets(message.data()),
                         message.size(), octets(state_->key.bytes.bytes().data()));
  return signature;
}

}  // namespace kvferry::trust
