// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "kvferry/base/result.hpp"
#include "kvferry/trust/signing_key.hpp"
#include "kvferry/trust/trusted_keys.hpp"

// Signatures of envelopes; only in a build with package trust.

namespace kvferry::tool {

/// The envelope `bytes` with a signature of `key`, in place of one that it has.
///
/// Errors: those of wire::decode_envelope(): what is not understood is not signed.
[[nodiscard]] Result<std::vector<std::byte>> sign(std::span<const std::byte> bytes,
                                                  const trust::SigningKey& key);

/// The name of the trusted key that the envelope `bytes` is signed with.
///
/// Errors: kRefused when it is not signed, not with one of `trusted`, or not as it stands; those of
///         wire::open_envelope().
[[nodiscard]] Result<std::string> signer_of(std::span<const std::byte> bytes,
                                            const trust::TrustedKeys& trusted);

}  // namespace kvferry::tool
