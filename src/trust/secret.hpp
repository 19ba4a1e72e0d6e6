// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "kvferry/base/result.hpp"
#include "kvferry/trust/public_key.hpp"

namespace kvferry::trust {

/// Memory for what nobody else may see: between inaccessible pages, not dumped, not swapped where
/// the system allows to lock it, and overwritten at the end of its life. Moving it moves no bytes.
class SecretBytes {
 public:
  /// Errors: kUnavailable.
  [[nodiscard]] static Result<SecretBytes> allocate(std::size_t size_bytes);

  [[nodiscard]] std::span<std::byte> bytes() noexcept { return {memory_.get(), size_bytes_}; }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
    return {memory_.get(), size_bytes_};
  }

 private:
  struct Wipe {
    void operator()(std::byte* memory) const noexcept;
  };

  SecretBytes(std::byte* memory, std::size_t size_bytes) noexcept
      : memory_{memory}, size_bytes_{size_bytes} {}

  std::unique_ptr<std::byte[], Wipe> memory_;
  std::size_t size_bytes_;
};

/// A secret key and the public key that follows from it.
struct SecretKey {
  static constexpr std::size_t kSeedBytes = 32;
  static constexpr std::size_t kBytes = 64;

  SecretBytes bytes;  ///< the seed, then the public key: what libsodium signs with
  PublicKey public_key;

  /// What RFC 8032 calls the private key.
  [[nodiscard]] std::span<const std::byte> seed() const noexcept {
    return bytes.bytes().first(kSeedBytes);
  }

  /// The key that `seed` of kSeedBytes stands for.
  ///
  /// Errors: kUnavailable.
  [[nodiscard]] static Result<SecretKey> from_seed(std::span<const std::byte> seed);

  /// Errors: kUnavailable.
  [[nodiscard]] static Result<SecretKey> generate();
};

}  // namespace kvferry::trust
