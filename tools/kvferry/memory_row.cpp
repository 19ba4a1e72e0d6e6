// SPDX-License-Identifier: Apache-2.0
#include "memory_row.hpp"

#include <algorithm>
#include <utility>

#include "svg.hpp"

namespace kvferry::tool {
namespace {

constexpr double kRowGap = 26;
constexpr double kBreakWidth = 14;

/// Takes the names that all items have out of them, and gives these; the last name of the first
/// item stays, where nothing else would.
std::vector<std::string> take_common_names(std::vector<MemoryItem>& items) {
  std::vector<std::string> common;
  for (const MemoryItem& item : items) {
    if (item.is_memory()) {
      common = item.names;
      break;
    }
  }
  const auto has = [](const std::vector<std::string>& names, const std::string& name) {
    return std::ranges::find(names, name) != names.end();
  };
  std::erase_if(common, [&](const std::string& name) {
    return std::ranges::any_of(
        items, [&](const MemoryItem& item) { return item.is_memory() && !has(item.names, name); });
  });
  for (const MemoryItem& item : items) {
    if (item.is_memory() && item.names.size() == common.size()) {
      common.pop_back();
      break;
    }
  }
  for (MemoryItem& item : items) {
    std::erase_if(item.names, [&](const std::string& name) { return has(common, name); });
  }
  return common;
}

/// How much room an item asks for, beside the others.
struct Weights {
  double largest{0};  ///< bytes of a piece
  double idle{0};     ///< most for something idle

  [[nodiscard]] double of(const MemoryItem& item) const {
    if (!item.is_memory()) {
      return 0;
    }
    const double bytes = static_cast<double>(item.extent.bytes);
    if (largest == 0) {
      return 1;
    }
    return item.kind == MemoryItem::Kind::kIdle ? std::clamp(bytes, largest / 8, idle)
                                                : std::max(bytes, largest / 8);
  }
};

Weights weights_of(const std::vector<MemoryRow>& rows) {
  Weights weights;
  double moved{0};
  for (const MemoryRow& row : rows) {
    for (const MemoryItem& item : row.items) {
      if (item.kind == MemoryItem::Kind::kPiece) {
        weights.largest = std::max(weights.largest, static_cast<double>(item.extent.bytes));
        moved += static_cast<double>(item.extent.bytes);
      }
    }
  }
  weights.idle = std::max(weights.largest * 2, moved / 4);
  return weights;
}

}  // namespace

MemoryRow memory_row(const layout::LayoutView& view, std::vector<MemoryItem> items) {
  std::ranges::sort(items, {}, &MemoryItem::extent);
  MemoryRow row;
  for (MemoryItem& item : items) {
    if (!row.items.empty()) {
      const Extent& before = row.items.back().extent;
      const bool same_region = before.region == item.extent.region;
      const bool next_region = before.region + 1 == item.extent.region;
      if (!same_region || before.offset_bytes + before.bytes != item.extent.offset_bytes) {
        row.items.push_back(
            {next_region ? MemoryItem::Kind::kOtherRegion : MemoryItem::Kind::kLeftOut,
             before,
             0,
             {},
             0,
             0});
      }
    }
    item.names = names_of(view, item.extent);
    if (item.names.empty()) {
      item.names.emplace_back("all");
    }
    row.items.push_back(std::move(item));
  }
  row.common = take_common_names(row.items);
  return row;
}

void place_rows(std::vector<MemoryRow>& rows, const RowSpace& space) {
  const Weights weights = weights_of(rows);
  double sum{0};
  double breaks{0};
  for (const MemoryRow& row : rows) {
    for (const MemoryItem& item : row.items) {
      breaks += item.is_memory() ? 0 : 1;
      sum += weights.of(item);
    }
  }
  const double gaps = kRowGap * (static_cast<double>(rows.size()) - 1);
  const double room = space.width - gaps;
  const double break_width = breaks == 0 ? 0 : std::min(kBreakWidth, room / 2 / breaks);
  const double unit = sum == 0 ? 0 : (room - break_width * breaks) / sum;
  double x{space.x};
  for (MemoryRow& row : rows) {
    for (MemoryItem& item : row.items) {
      item.x = x;
      item.width = item.is_memory() ? weights.of(item) * unit : break_width;
      x += item.width;
    }
    x += kRowGap;
  }
}

Naming naming_of(const MemoryRow& row) {
  Naming naming{Naming::kFull};
  for (const MemoryItem& item : row.items) {
    if (item.kind == MemoryItem::Kind::kPiece) {
      const std::string& name = item.names.back();
      const double room = item.width - 4;
      if (text_width(last_word(name), kSmallSize) > room) {
        return Naming::kNone;
      }
      if (text_width(name, kSmallSize) > room) {
        naming = Naming::kShort;
      }
    }
  }
  return naming;
}

std::size_t group_rows_of(const MemoryRow& row) {
  std::size_t rows{0};
  for (const MemoryItem& item : row.items) {
    rows = std::max(rows, item.names.empty() ? 0 : item.names.size() - 1);
  }
  return std::min<std::size_t>(rows, 2);
}

std::string axis_word(const MemoryRow& row) {
  for (const MemoryItem& item : row.items) {
    if (item.kind == MemoryItem::Kind::kPiece) {
      const std::string& name = item.names.back();
      const std::size_t space = name.find(' ');
      return space == std::string::npos ? "K or V" : name.substr(0, space);
    }
  }
  return {};
}

std::string_view last_word(std::string_view name) {
  const std::size_t space = name.rfind(' ');
  return space == std::string_view::npos ? name : name.substr(space + 1);
}

}  // namespace kvferry::tool
