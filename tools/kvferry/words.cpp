// SPDX-License-Identifier: Apache-2.0
#include "words.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <limits>

#include "kvferry/base/checked.hpp"
#include "kvferry/base/try.hpp"

namespace kvferry::tool {
namespace {

// The ids of a terabyte of blocks of one token and one layer; 128 MiB as a list.
constexpr std::uint64_t kIdsMax = std::uint64_t{1} << 24U;

std::string quoted(std::string_view text) { return "'" + std::string{text} + "'"; }

Outcome<IdRange> parse_id_range(std::string_view text) {
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos || dash == 0) {
    KVFERRY_ASSIGN_OR_RETURN(const std::uint64_t id, parse_number("block", text));
    return IdRange{id, id};
  }
  KVFERRY_ASSIGN_OR_RETURN(const std::uint64_t first, parse_number("block", text.substr(0, dash)));
  KVFERRY_ASSIGN_OR_RETURN(const std::uint64_t last, parse_number("block", text.substr(dash + 1)));
  if (last < first) {
    return usage("blocks: the range " + quoted(text) + " goes down; ranges are FIRST-LAST");
  }
  return IdRange{first, last};
}

Outcome<std::uint64_t> count_of(const IdList& list) {
  std::uint64_t count{0};
  for (const IdRange& range : list) {
    const auto length = checked_add(range.last - range.first, std::uint64_t{1});
    const auto sum = length ? checked_add(count, *length) : std::nullopt;
    if (!sum || *sum > kIdsMax) {
      return invalid("blocks: more than " + std::to_string(kIdsMax) + " ids");
    }
    count = *sum;
  }
  return count;
}

}  // namespace

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> pieces;
  while (true) {
    const std::size_t at = text.find(separator);
    pieces.push_back(text.substr(0, at));
    if (at == std::string_view::npos) {
      return pieces;
    }
    text.remove_prefix(at + 1);
  }
}

Outcome<std::uint64_t> parse_number(std::string_view field, std::string_view text) {
  if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) {
    return usage(std::string{field} + ": " + quoted(text) + " is not a number");
  }
  std::uint64_t value{0};
  if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc{}) {
    return invalid(std::string{field} + ": " + std::string{text} + " is above " +
                   std::to_string(std::numeric_limits<std::uint64_t>::max()));
  }
  return value;
}

Outcome<Duration> parse_duration(std::string_view field, std::string_view text) {
  struct Unit {
    std::string_view name;
    Duration length;
  };
  constexpr std::array<Unit, 4> kUnits{{{"us", std::chrono::microseconds{1}},
                                        {"ms", std::chrono::milliseconds{1}},
                                        {"s", std::chrono::seconds{1}},
                                        {"m", std::chrono::minutes{1}}}};
  const std::size_t end_of_digits = text.find_first_not_of("0123456789");
  const std::string_view digits = text.substr(0, end_of_digits);
  const auto unit = std::ranges::find(kUnits, text.substr(digits.size()), &Unit::name);
  if (unit == kUnits.end() || digits.empty()) {
    return usage(std::string{field} + ": " + quoted(text) +
                 " is not a number and us, ms, s or m, such as 30s");
  }
  KVFERRY_ASSIGN_OR_RETURN(const std::uint64_t number, parse_number(field, digits));
  constexpr Duration kYear = std::chrono::hours{365 * 24};
  if (number > static_cast<std::uint64_t>(kYear / unit->length)) {
    return invalid(std::string{field} + ": " + quoted(text) + " is more than a year");
  }
  return unit->length * static_cast<Duration::rep>(number);
}

Outcome<layout::BlockAxes> parse_order(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, layout::BlockAxes>, 4> kOrders{
      {{"nhd", layout::kNhd},
       {"hnd", layout::kHnd},
       {"utp", layout::kUniversalTp},
       {"upp", layout::kUniversalPp}}};
  for (const auto& [name, order] : kOrders) {
    if (text == name) {
      return order;
    }
  }
  return usage("order: " + quoted(text) + " is not nhd, hnd, utp or upp");
}

Outcome<layout::Rank> parse_rank(std::string_view field, std::string_view text) {
  const std::vector<std::string_view> pieces = split(text, '/');
  if (pieces.size() != 2) {
    return usage(std::string{field} + ": " + quoted(text) + " is not RANK/RANKS, such as 0/2");
  }
  layout::Rank rank;
  KVFERRY_ASSIGN_OR_RETURN(rank.rank, parse_number(field, pieces[0]));
  KVFERRY_ASSIGN_OR_RETURN(rank.ranks, parse_number(field, pieces[1]));
  return rank;
}

Outcome<IdList> parse_ids(std::string_view text) {
  IdList list;
  for (const std::string_view piece : split(text, ',')) {
    KVFERRY_ASSIGN_OR_RETURN(const IdRange range, parse_id_range(piece));
    list.push_back(range);
  }
  return list;
}

Outcome<IdPairs> parse_id_pairs(std::string_view text) {
  const std::vector<std::string_view> sides = split(text, ':');
  if (sides.size() != 2 || sides[0].empty() || sides[1].empty()) {
    return usage("blocks: " + quoted(text) + " is not SOURCE:DESTINATION, such as 4,9,2:0-2");
  }
  IdPairs pairs;
  KVFERRY_ASSIGN_OR_RETURN(pairs.source, parse_ids(sides[0]));
  KVFERRY_ASSIGN_OR_RETURN(pairs.destination, parse_ids(sides[1]));
  return pairs;
}

Outcome<std::vector<BlockId>> expand_ids(const IdList& list, std::uint64_t blocks,
                                         std::string_view side) {
  for (const IdRange& range : list) {
    if (range.last >= blocks) {
      return invalid(std::string{side} + " block " + std::to_string(range.last) + " of " +
                     std::to_string(blocks));
    }
  }
  KVFERRY_ASSIGN_OR_RETURN(const std::uint64_t count, count_of(list));
  std::vector<BlockId> ids;
  ids.reserve(count);
  for (const IdRange& range : list) {
    for (std::uint64_t id = range.first; id <= range.last; ++id) {
      ids.emplace_back(id);
    }
  }
  return ids;
}

Outcome<plan::LayerRange> parse_layers(std::string_view text) {
  const std::vector<std::string_view> ends = split(text, ':');
  if (ends.size() != 2) {
    return usage("layers: " + quoted(text) + " is not FIRST:END, such as 0:16");
  }
  plan::LayerRange layers;
  KVFERRY_ASSIGN_OR_RETURN(layers.first, parse_number("layers", ends[0]));
  KVFERRY_ASSIGN_OR_RETURN(layers.end, parse_number("layers", ends[1]));
  if (layers.first > layers.end) {
    return invalid("layers: first " + std::to_string(layers.first) + " is above the end " +
                   std::to_string(layers.end));
  }
  if (layers.end == plan::LayerRange::kAll) {
    return invalid("layers: end " + std::string{ends[1]} + " is above " +
                   std::to_string(plan::LayerRange::kAll - 1));
  }
  return layers;
}

Outcome<layout::Assumptions> parse_assumption(std::string_view text) {
  layout::Assumptions assumption;
  const auto twice = [](std::string_view key) {
    return usage("assume: " + std::string{key} + " is there twice");
  };
  for (const std::string_view piece : split(text, ',')) {
    const std::size_t equals = piece.find('=');
    const std::string_view key = piece.substr(0, equals);
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view{} : piece.substr(equals + 1);
    if (key == "order") {
      if (assumption.order) {
        return twice(key);
      }
      KVFERRY_ASSIGN_OR_RETURN(assumption.order, parse_order(value));
    } else if (key == "heads") {
      if (assumption.num_heads) {
        return twice(key);
      }
      KVFERRY_ASSIGN_OR_RETURN(assumption.num_heads, parse_number("assume heads", value));
    } else {
      return usage("assume: " + quoted(piece) + " is not order=nhd|hnd|utp|upp or heads=N");
    }
  }
  return assumption;
}

}  // namespace kvferry::tool
