// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "kvferry/base/result.hpp"
#include "kvferry/wire/limits.hpp"

namespace kvferry::wire {

/// A header in front of `body`, without a signature.
[[nodiscard]] std::vector<std::byte> frame_body(std::span<const std::byte> body);

/// Where the body of an envelope begins that open_envelope() has passed.
[[nodiscard]] std::size_t body_offset(std::span<const std::byte> envelope) noexcept;

}  // namespace kvferry::wire
