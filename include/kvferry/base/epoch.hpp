// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "kvferry/base/result.hpp"

namespace kvferry {

/// Random number drawn when a worker starts; tells two lives of one worker apart.
struct Epoch {
  std::uint64_t high{0};
  std::uint64_t low{0};

  friend constexpr bool operator==(const Epoch&, const Epoch&) = default;
};

/// 32 lower-case hexadecimal digits.
[[nodiscard]] std::string to_string(Epoch epoch);

/// Draws an epoch from the system's random source.
///
/// Errors: kUnavailable when the system has none.
[[nodiscard]] Result<Epoch> draw_epoch();

}  // namespace kvferry
