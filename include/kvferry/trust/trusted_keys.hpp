// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>

#include "kvferry/base/result.hpp"
#include "kvferry/trust/public_key.hpp"
#include "kvferry/trust/signature.hpp"

namespace kvferry::trust {

/// What is read from a directory of trusted keys at most.
struct TrustLimits {
  /// In the directory, whatever their names: a worker has tens of peers, and a directory of more
  /// than that was not made for this.
  std::size_t files{4'096};
};

/// The public keys of those whose messages are believed, each with the name of its file.
///
/// Threads: const methods from any thread at once.
/// Source:  docs/spec/trust.md.
class TrustedKeys {
 public:
  /// Reads all files NAME.pub of `directory`, or fails naming the first that is not as it must be.
  ///
  /// Errors: kUnavailable when something cannot be read; kRefused for what is no regular file, what
  ///         belongs to another user or may be written by group or others, for a key that is there
  ///         twice, a name that cannot be one, or too many files; kCorrupt for a file that is no
  ///         public key's.
  [[nodiscard]] static Result<TrustedKeys> load(const std::string& directory,
                                                const TrustLimits& limits = TrustLimits{});

  [[nodiscard]] std::size_t size() const noexcept { return names_.size(); }

  /// The name of `key`, which signed exactly the bytes of `message`.
  ///
  /// Errors: kRefused, saying "is not trusted" of a key that is not among these, and "is not good"
  ///         of the signature of one that is.
  [[nodiscard]] Result<std::string> verify(std::span<const std::byte> message,
                                           const Signature& signature, const PublicKey& key) const;

 private:
  explicit TrustedKeys(std::map<PublicKey, std::string> names) noexcept;

  std::map<PublicKey, std::string> names_;
};

}  // namespace kvferry::trust
