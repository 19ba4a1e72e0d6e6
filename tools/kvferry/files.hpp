// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvferry/base/result.hpp"

namespace kvferry::tool {

/// The bytes of a file, or of standard input for "-".
///
/// Errors: kUnavailable naming the file when it cannot be read; kCorrupt when it holds more than
///         `bytes_max`, of which no more than that is read.
[[nodiscard]] Result<std::vector<std::byte>> read_input(const std::string& file,
                                                        std::size_t bytes_max);

/// Writes `text` to a file, which is made or replaced.
///
/// Errors: kUnavailable naming the file when it cannot be written.
[[nodiscard]] Result<void> write_output(const std::string& file, std::string_view text);

/// Puts a file of `bytes` where `file` is or will be, whole or not at all: readers see what was
/// there before or what is there now. What a symbolic link leads to is replaced, not the link.
///
/// Errors: kUnavailable naming the file when it cannot be written.
[[nodiscard]] Result<void> replace_output(const std::string& file,
                                          std::span<const std::byte> bytes);

}  // namespace kvferry::tool
