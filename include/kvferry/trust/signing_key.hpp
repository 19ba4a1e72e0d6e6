// SPDX-License-Identifier: Apache-2.0
#pragma once

// Who wrote a message. The writer signs its bytes with a key of its own; a reader has the public
// keys that it trusts in a directory, one NAME.pub for each.
//
//   Result<SigningKey> key = SigningKey::generate();     // once: or `kvferry keygen`
//   key->public_key().save("prefill.key.pub");           // to be copied to the readers
//   key->save("prefill.key");                            // mode 0600, never overwrites
//
//   Signature signature = key->sign(message);
//
//   Result<TrustedKeys> trusted = TrustedKeys::load("trusted");   // trusted/prefill.pub
//   Result<std::string> signer = trusted->verify(message, signature, key->public_key());
//
// What a signature says, what it does not say, and the files: docs/spec/trust.md.

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "kvferry/base/result.hpp"
#include "kvferry/trust/public_key.hpp"
#include "kvferry/trust/signature.hpp"

namespace kvferry::trust {

/// A secret key. It is neither copied nor printed, lies in one place in memory that is not swapped
/// where the system allows that and never dumped, and is overwritten when it is destroyed. A key
/// that was moved from can only be destroyed or assigned to.
///
/// Threads: const methods from any thread at once.
class SigningKey {
 public:
  SigningKey(SigningKey&& other) noexcept;
  SigningKey& operator=(SigningKey&& other) noexcept;
  ~SigningKey();

  /// Draws a key from the system's random source.
  ///
  /// Errors: kUnavailable when it, or locked memory, cannot be had.
  [[nodiscard]] static Result<SigningKey> generate();

  /// Reads a secret key's file.
  ///
  /// Errors: kUnavailable when it cannot be read; kRefused when it is no regular file, belongs to
  ///         another user, or group or others may read or write it; kCorrupt when it is no secret
  ///         key's or is damaged.
  [[nodiscard]] static Result<SigningKey> load(const std::string& file);

  /// Writes a secret key's file, mode 0600, all of it or none.
  ///
  /// Errors: kRefused when something is there already; kUnavailable.
  [[nodiscard]] Result<void> save(const std::string& file) const;

  [[nodiscard]] const PublicKey& public_key() const noexcept;

  /// Signs the bytes of `message`.
  [[nodiscard]] Signature sign(std::span<const std::byte> message) const;

 private:
  struct State;
  explicit SigningKey(std::unique_ptr<const State> state) noexcept;

  std::unique_ptr<const State> state_;
};

}  // namespace kvferry::trust
