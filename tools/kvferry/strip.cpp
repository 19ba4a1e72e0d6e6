// SPDX-License-Identifier: Apache-2.0
#include "strip.hpp"

#include <algorithm>

namespace kvferry::tool {
namespace {

/// Padding that is there is seen, however small it is.
constexpr double kLeastPaddingWidth = 2;

/// Appends cells from left to right.
class Row {
 public:
  /// `unit`: width of a stride; `part`: how much of it the place itself has.
  Row(double unit, double part) : unit_{unit}, part_{part} {}

  void add_places(std::uint64_t first, std::uint64_t count, bool ends_strip) {
    for (std::uint64_t i = first; i < first + count; ++i) {
      const bool is_last = ends_strip && i + 1 == first + count;
      const double padding =
          part_ < 1 ? std::min(std::max(unit_ * (1 - part_), kLeastPaddingWidth), unit_ / 2) : 0;
      add(Cell::Kind::kPlace, i, 1, is_last ? unit_ * part_ : unit_ - padding);
      if (!is_last && padding > 0) {
        add(Cell::Kind::kPadding, i, 1, padding);
      }
    }
  }

  void add(Cell::Kind kind, std::uint64_t index, std::uint64_t count, double width) {
    cells_.push_back({kind, index, count, x_, width});
    x_ += width;
  }

  std::vector<Cell> take() && { return std::move(cells_); }

 private:
  double unit_;
  double part_;
  double x_{0};
  std::vector<Cell> cells_;
};

}  // namespace

std::vector<Cell> cells_of(const Level& level, double width) {
  constexpr double kFoldUnits = 2;
  const double part =
      level.count > 1 ? static_cast<double>(level.bytes) / static_cast<double>(level.stride_bytes)
                      : 1;
  if (level.count <= kUnfoldedPlaces) {
    Row row{width / (static_cast<double>(level.count - 1) + part), part};
    row.add_places(0, level.count, true);
    return std::move(row).take();
  }
  const double unit =
      width / (static_cast<double>(kFirstPlaces + kLastPlaces - 1) + kFoldUnits + part);
  Row row{unit, part};
  row.add_places(0, kFirstPlaces, false);
  row.add(Cell::Kind::kFolded, kFirstPlaces, level.count - kFirstPlaces - kLastPlaces,
          kFoldUnits * unit);
  row.add_places(level.count - kLastPlaces, kLastPlaces, true);
  return std::move(row).take();
}

Folding folding_of(std::uint64_t count, std::uint64_t most) noexcept {
  if (count <= most) {
    return {count, 0, 0};
  }
  const std::uint64_t first = most > 2 ? most - 2 : 1;  // The fold takes a place itself.
  return {first, count - first - 1, 1};
}

}  // namespace kvferry::tool
