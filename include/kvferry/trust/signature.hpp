// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "kvferry/base/result.hpp"
#include "kvferry/trust/public_key.hpp"

namespace kvferry::trust {

/// An Ed25519 signature. Any 64 bytes are one; verify() says of what.
struct Signature {
  static constexpr std::size_t kBytes = 64;

  std::array<std::byte, kBytes> bytes{};

  friend bool operator==(const Signature&, const Signature&) = default;
};

/// Whether the holder of `key`'s secret signed exactly the bytes of `message`.
///
/// Errors: kRefused, naming the key, when not.
/// Threads: any.
[[nodiscard]] Result<void> verify(std::span<const std::byte> message, const Signature& signature,
                                  const PublicKey& key);

}  // namespace kvferry::trust
