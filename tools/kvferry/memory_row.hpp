// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kvferry/layout/view.hpp"
#include "nesting.hpp"

// Rows of memory, as a drawing of a plan shows them: pieces that move, and what lies beside them.

namespace kvferry::tool {

/// Something in a row of memory.
struct MemoryItem {
  enum class Kind : std::uint8_t {
    kPiece,        ///< moves
    kIdle,         ///< stays as it is, or is not sent
    kLeftOut,      ///< a break: bytes that are not drawn
    kOtherRegion,  ///< a break: the next region begins
  };

  Kind kind{Kind::kPiece};
  Extent extent{};
  std::size_t piece{0};  ///< which one; of kPiece
  std::vector<std::string> names{};
  double x{0};
  double width{0};

  [[nodiscard]] bool is_memory() const noexcept {
    return kind == Kind::kPiece || kind == Kind::kIdle;
  }
};

/// A row of memory, from left to right.
struct MemoryRow {
  std::vector<MemoryItem> items;
  std::vector<std::string> common;  ///< names that all items have, and none says again

  /// From the first item's left to the last one's right.
  [[nodiscard]] double width() const noexcept {
    return items.empty() ? 0 : items.back().x + items.back().width - items.front().x;
  }
};

/// Puts pieces and idle ranges of a view in the order of memory, names them, and breaks the row
/// between those that do not touch.
[[nodiscard]] MemoryRow memory_row(const layout::LayoutView& view, std::vector<MemoryItem> items);

/// Where rows that stand side by side may be.
struct RowSpace {
  double x{0};
  double width{0};
};

/// Gives the items of rows that stand side by side their places, over the whole width: bytes to
/// scale, except that nothing is too small to be seen and nothing idle much larger than a piece.
void place_rows(std::vector<MemoryRow>& rows, const RowSpace& space);

/// How much of their names the pieces of a row have room for, all of them.
enum class Naming : std::uint8_t { kFull, kShort, kNone };
[[nodiscard]] Naming naming_of(const MemoryRow& row);

/// How many names the items of a row have before their last one: none, one, or more.
[[nodiscard]] std::size_t group_rows_of(const MemoryRow& row);

/// What the pieces of a row are: "token", "heads", "K or V".
[[nodiscard]] std::string axis_word(const MemoryRow& row);

/// "token 3" without its axis: "3".
[[nodiscard]] std::string_view last_word(std::string_view name);

}  // namespace kvferry::tool
