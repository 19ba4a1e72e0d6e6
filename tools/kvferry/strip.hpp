// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "nesting.hpp"

// How a row of equal places is laid out over a width: to scale, or folded where there are many.

namespace kvferry::tool {

/// The most places that are drawn one by one.
inline constexpr std::uint64_t kUnfoldedPlaces = 32;
/// Of more places, so many are drawn at either end.
inline constexpr std::uint64_t kFirstPlaces = 8;
inline constexpr std::uint64_t kLastPlaces = 2;

/// A piece of a strip.
struct Cell {
  enum class Kind : std::uint8_t {
    kPlace,    ///< one place
    kPadding,  ///< bytes between two places that belong to none
    kFolded,   ///< places that are left out; not to scale
  };

  Kind kind{Kind::kPlace};
  std::uint64_t index{0};  ///< of the place, of the one before a padding, of the first left out
  std::uint64_t count{1};  ///< places
  double x{0};             ///< from the strip's left
  double width{0};
};

/// The cells of `level`, which follow each other from 0 to `width`.
[[nodiscard]] std::vector<Cell> cells_of(const Level& level, double width);

/// Which of `count` things in a list are shown: all, or the first ones and the last.
struct Folding {
  std::uint64_t first{0};     ///< shown at the beginning
  std::uint64_t left_out{0};  ///< not shown
  std::uint64_t last{0};      ///< shown at the end
};

/// Shows all of at most `most` things, and fewer of more: then all but one stand at the beginning.
[[nodiscard]] Folding folding_of(std::uint64_t count, std::uint64_t most) noexcept;

}  // namespace kvferry::tool
