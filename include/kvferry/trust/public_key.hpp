// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "kvferry/base/result.hpp"

namespace kvferry::trust {

/// What signatures of one signer are verified with: a valid Ed25519 public key.
///
/// Source: docs/spec/trust.md.
class PublicKey {
 public:
  static constexpr std::size_t kBytes = 32;

  /// Takes the bytes of a key.
  ///
  /// Errors: kCorrupt when they are not 32, or no point that may be a key.
  [[nodiscard]] static Result<PublicKey> from_bytes(std::span<const std::byte> bytes);

  /// Reads what to_string() gives, and no other form of it.
  ///
  /// Errors: kCorrupt.
  [[nodiscard]] static Result<PublicKey> parse(std::string_view text);

  /// Reads a public key's file.
  ///
  /// Errors: kUnavailable when it cannot be read; kRefused when it is no regular file, belongs to
  ///         another user, or group or others may write it; kCorrupt when it is no public key's.
  [[nodiscard]] static Result<PublicKey> load(const std::string& file);

  /// Writes a public key's file, all of it or none.
  ///
  /// Errors: kRefused when something is there already; kUnavailable.
  [[nodiscard]] Result<void> save(const std::string& file) const;

  [[nodiscard]] std::span<const std::byte, kBytes> bytes() const noexcept { return bytes_; }

  /// 64 lower-case hexadecimal digits.
  [[nodiscard]] std::string to_string() const;

  friend auto operator<=>(const PublicKey&, const PublicKey&) = default;

 private:
  explicit PublicKey(const std::array<std::byte, kBytes>& bytes) noexcept : bytes_{bytes} {}

  std::array<std::byte, kBytes> bytes_;
};

}  // namespace kvferry::trust
