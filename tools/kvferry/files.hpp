// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "kvferry/base/result.hpp"

namespace kvferry::tool {

/// The bytes of a file, or of standard input for "-".
///
/// Errors: kUnavailable naming the file when it cannot be read; kCorrupt when it holds more than
///         `bytes_max`, of which no more than that is read.
[[nodiscard]] Result<std::vector<std::byte>> read_input(const std::string& file,
                                                        std::size_t bytes_max);

}  // namespace kvferry::tool
