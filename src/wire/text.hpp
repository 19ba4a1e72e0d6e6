// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace kvferry::wire {

/// How many bytes at the front of `text` are whole, valid UTF-8 characters; all of them for UTF-8.
[[nodiscard]] std::size_t valid_utf8_prefix(std::string_view text) noexcept;

/// Whether `text`, which is UTF-8, holds a control character: U+0000 to U+001F, U+007F to U+009F.
[[nodiscard]] bool has_control_character(std::string_view text) noexcept;

/// `text`, which is UTF-8, in quotes, with control characters escaped and cut after about 80 bytes:
/// error messages end up on terminals and in logs.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace kvferry::wire
