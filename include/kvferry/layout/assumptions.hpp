// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "kvferry/base/result.hpp"
#include "kvferry/layout/packed.hpp"

namespace kvferry::layout {

/// What the caller knows of a layout and its message does not say.
struct Assumptions {
  std::optional<BlockAxes> order{};
  std::optional<std::uint64_t> num_heads{};  ///< that the layout holds
  Part layers{};                             ///< whole 0: nothing is assumed
  Part heads{};                              ///< whole 0: nothing is assumed

  [[nodiscard]] bool is_empty() const noexcept { return *this == Assumptions{}; }

  friend bool operator==(const Assumptions&, const Assumptions&) = default;
};

/// "order=NHD,heads=8", for reports; empty when nothing is assumed.
[[nodiscard]] std::string to_string(const Assumptions& assume);

/// `told` with what is assumed beside it.
///
/// Errors: kInvalidArgument naming the assumption that `told` contradicts.
[[nodiscard]] Result<Description> with_assumptions(Description told, const Assumptions& assume);

}  // namespace kvferry::layout
