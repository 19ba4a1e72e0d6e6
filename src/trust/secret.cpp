// SPDX-License-Identifier: Apache-2.0
#include "trust/secret.hpp"

#include <array>
#include <utility>

#include "kvferry/base/assert.hpp"
#include "kvferry/base/try.hpp"
#include "trust/sodium.hpp"

namespace kvferry::trust {

static_assert(SecretKey::kSeedBytes == crypto_sign_SEEDBYTES);
static_assert(SecretKey::kBytes == crypto_sign_SECRETKEYBYTES);

void SecretBytes::Wipe::operator()(std::byte* memory) const noexcept { ::sodium_free(memory); }

Result<SecretBytes> SecretBytes::allocate(std::size_t size_bytes) {
  KVFERRY_RETURN_IF_ERROR(set_up_sodium());
  auto* const memory = static_cast<std::byte*>(::sodium_malloc(size_bytes));
  if (memory == nullptr) {
    return Error{ErrorCode::kUnavailable,
                 "no memory for " + std::to_string(size_bytes) + " secret bytes"};
  }
  return SecretBytes{memory, size_bytes};
}

Result<SecretKey> SecretKey::from_seed(std::span<const std::byte> seed) {
  KVFERRY_ASSERT(seed.size() == kSeedBytes, "a seed of another size");
  KVFERRY_ASSIGN_OR_RETURN(SecretBytes bytes, SecretBytes::allocate(kBytes));
  std::array<std::byte, PublicKey::kBytes> derived{};
  ::crypto_sign_seed_keypair(octets(derived.data()), octets(bytes.bytes().data()),
                             octets(seed.data()));
  KVFERRY_ASSIGN_OR_RETURN(const PublicKey public_key, PublicKey::from_bytes(derived));
  return SecretKey{std::move(bytes), public_key};
}

Result<SecretKey> SecretKey::generate() {
  KVFERRY_ASSIGN_OR_RETURN(SecretBytes seed, SecretBytes::allocate(kSeedBytes));
  ::randombytes_buf(seed.bytes().data(), seed.bytes().size());
  return from_seed(seed.bytes());
}

}  // namespace kvferry::trust
