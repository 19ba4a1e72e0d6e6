// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstddef>
#include <functional>

namespace kvferry {

/// An integer that mixes only with its own kind. `Tag` is never defined: it exists so that a
/// LayoutId cannot be passed where a WorkerId, or a bare 5, is expected.
template <class Tag, class Rep>
class StrongInt {
 public:
  using rep = Rep;

  constexpr StrongInt() noexcept = default;
  constexpr explicit StrongInt(Rep value) noexcept : value_{value} {}

  [[nodiscard]] constexpr Rep value() const noexcept { return value_; }
  friend constexpr auto operator<=>(const StrongInt&, const StrongInt&) = default;

 private:
  Rep value_{};
};

}  // namespace kvferry

template <class Tag, class Rep>
struct std::hash<kvferry::StrongInt<Tag, Rep>> {
  std::size_t operator()(kvferry::StrongInt<Tag, Rep> id) const noexcept {
    return std::hash<Rep>{}(id.value());
  }
};
