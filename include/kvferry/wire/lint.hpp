// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kvferry/wire/message_view.hpp"

namespace kvferry::wire {

/// What can be wrong with a message that decodes. In the order of the names.
///
/// Source: docs/spec/wire-format.md, section 1.7.
enum class LintRule : std::uint8_t {
  kAddressOverflow,          ///< a region ends past the last address
  kAddressZero,              ///< a region of memory begins at address 0
  kAgentNameEmptyOrControl,  ///< an agent name is empty or holds a control character
  kAgentNameMismatch,        ///< a layout's agent is not the worker's
  kAlignmentNotPowerOf2,
  kConfigRange,  ///< a number of blocks, layers, outers, tokens or elements is out of range
  kCustomOrderNotAPermutation,  ///< format B: a custom order does not name each axis once
  kDtypeWidth,            ///< not 2, 4 or 8; does not refuse when it is 1, which kvferry also knows
  kDuplicateHandle,       ///< two layouts have one handle
  kHandleReservedBits,    ///< report only: bits are set that no writer sets
  kHandleWorkerMismatch,  ///< a handle names another worker than the message
  kLayerSeparateOrder,    ///< report only, format B: the original drops such an order
  kLocationDeviceMismatch,
  kLocationMemTypeMismatch,
  kProductOverflow,  ///< the layout's size does not fit into 64 bits
  kRegionCount,      ///< not one region (fully contiguous) or one for each layer
  kRegionTooSmall,   ///< a region cannot hold what the layout puts into it
  kRegionsOverlap,   ///< inside one layout
  kVersionUnsupported,
  kVersionZero,  ///< report only: no writer writes it, the original reads it
};

/// "address_overflow", "address_zero", ...
[[nodiscard]] std::string_view to_string(LintRule rule) noexcept;

/// One rule that a message breaks: the first place where, and in how many places.
struct Lint {
  LintRule rule{};
  bool refuses_import{true};
  std::uint64_t occurrences{1};
  std::string message{};  ///< field, value and bound at the first place
};

/// The rules of import that `view` breaks, ordered by rule; empty means that a strict importer
/// accepts it. A rule that refuses in one place and only reports in another is there twice, the
/// refusal first. Takes O(n log n) in the regions of a layout and in the layouts.
[[nodiscard]] std::vector<Lint> lint(const MessageView& view);

/// Whether lint() holds a rule that refuses import. Allocates nothing where handles, and the
/// regions of each layout, ascend.
[[nodiscard]] bool breaks_import_rule(const MessageView& view);

}  // namespace kvferry::wire
