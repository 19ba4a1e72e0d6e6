// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "kvferry/wire/limits.hpp"
#include "kvferry/wire/metadata.hpp"

namespace kvferry::fuzz {

/// Reads a message of format A slowly and obviously, with nothing of the library but its structs:
/// what a fast reader is compared with.
///
/// Source: docs/spec/wire-format.md, sections 1.2 and 1.3.
[[nodiscard]] std::optional<wire::RdmaLayoutDescriptors> read_reference(
    std::span<const std::byte> bytes, const wire::WireLimits& limits);

}  // namespace kvferry::fuzz
