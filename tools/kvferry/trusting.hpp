// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "kvferry/exchange/exchange.hpp"
#include "outcome.hpp"
#include "publishing.hpp"

// Signatures between workers: what --trusted and --sign ask for.

namespace kvferry::tool {

/// Who signed the message of which worker.
using Signers = std::map<std::string, std::string, std::less<>>;

/// The same exchange when `directory` is nothing, or when there is no exchange. Else one from which
/// only envelopes come that a key of that directory signed, and that are of the worker that is
/// asked for; `signers` learns whose.
///
/// Errors: those of TrustedKeys::load(); not there in a build without signatures.
/// Lifetime: `signers` outlives what is given back.
[[nodiscard]] Outcome<std::unique_ptr<exchange::Exchange>> only_trusted(
    std::unique_ptr<exchange::Exchange> exchange, const std::optional<std::string>& directory,
    Signers& signers);

/// What signs envelopes with the secret key of a file; nothing for no file.
///
/// Errors: those of SigningKey::load(); not there in a build without signatures.
[[nodiscard]] Outcome<Sealing> sealing_with(const std::optional<std::string>& key_file);

}  // namespace kvferry::tool
