// SPDX-License-Identifier: Apache-2.0
#pragma once

// The small languages of the command line: numbers, block lists, layer ranges, assumptions.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kvferry/base/clock.hpp"
#include "kvferry/base/ids.hpp"
#include "kvferry/layout/assumptions.hpp"
#include "kvferry/layout/packed.hpp"
#include "kvferry/plan/plan.hpp"
#include "outcome.hpp"

namespace kvferry::tool {

/// `text` in pieces between `separator`; one empty piece for empty text.
[[nodiscard]] std::vector<std::string_view> split(std::string_view text, char separator);

/// A number in decimal digits. `field` names it in messages.
///
/// Errors: usage for anything but digits; invalid for more than 64 bits.
[[nodiscard]] Outcome<std::uint64_t> parse_number(std::string_view field, std::string_view text);

/// A time: digits and `us`, `ms`, `s` or `m`, for minutes.
///
/// Errors: usage; invalid for more than a year.
[[nodiscard]] Outcome<Duration> parse_duration(std::string_view field, std::string_view text);

/// "nhd", "hnd", "utp" or "upp".
///
/// Errors: usage.
[[nodiscard]] Outcome<layout::BlockAxes> parse_order(std::string_view text);

/// `R/N`: which rank of how many.
///
/// Errors: usage; invalid for more than 64 bits.
[[nodiscard]] Outcome<layout::Rank> parse_rank(std::string_view field, std::string_view text);

/// Inclusive.
struct IdRange {
  std::uint64_t first{0};
  std::uint64_t last{0};

  friend bool operator==(const IdRange&, const IdRange&) = default;
};

/// Block ids as written: ranges stay ranges until somebody knows how many blocks there are.
using IdList = std::vector<IdRange>;

/// `4,9,2`, `0-63`, or mixed.
///
/// Errors: usage; invalid for a number of more than 64 bits.
[[nodiscard]] Outcome<IdList> parse_ids(std::string_view text);

struct IdPairs {
  IdList source;
  IdList destination;
};

/// `A:B`.
[[nodiscard]] Outcome<IdPairs> parse_id_pairs(std::string_view text);

/// The ids one by one, in the order given. `side` names the layout in messages.
///
/// Errors: invalid for an id that is not below `blocks`, or more ids than any machine has blocks.
[[nodiscard]] Outcome<std::vector<BlockId>> expand_ids(const IdList& list, std::uint64_t blocks,
                                                       std::string_view side);

/// `F:T`, half open.
///
/// Errors: usage; invalid for F above T.
[[nodiscard]] Outcome<plan::LayerRange> parse_layers(std::string_view text);

/// What the caller knows of a message's layouts: `order=nhd,heads=8`, or one of the two.
[[nodiscard]] Outcome<layout::Assumptions> parse_assumption(std::string_view text);

}  // namespace kvferry::tool
