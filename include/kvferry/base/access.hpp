// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

namespace kvferry {

/// What peers may do with a layout and its memory.
enum class Access : std::uint8_t {
  kNone = 0,       ///< nothing: it is not told to anybody
  kRead = 1,       ///< pull from it
  kReadWrite = 2,  ///< pull from it and push into it
};

/// "none", "read", "read-write".
[[nodiscard]] std::string_view to_string(Access access) noexcept;

}  // namespace kvferry
