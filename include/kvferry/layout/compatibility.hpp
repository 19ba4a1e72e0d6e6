// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvferry/layout/planes.hpp"
#include "kvferry/layout/view.hpp"

namespace kvferry::layout {

/// Whether blocks can go from one view to another, from best to worst.
enum class Verdict : std::uint8_t {
  kIdentical,        ///< same shape, same strides
  kCopyable,         ///< the inside of a block is the same; only its parts lie elsewhere
  kNeedsReordering,  ///< tokens and heads change places on the way
  kImpossible,       ///< the bytes cannot mean the same
};

/// "identical", "copyable", "needs reordering", "impossible".
[[nodiscard]] std::string_view to_string(Verdict verdict) noexcept;

/// One thing in which two views differ, and what can be done about it.
struct Reason {
  std::string field;
  std::string left;
  std::string right;
  std::string advice;
};

struct Compatibility {
  Verdict verdict{Verdict::kIdentical};
  std::vector<Reason> reasons;  ///< why it is not better than `verdict`; empty unless that matters
  std::string assumed{};        ///< what the caller said of layouts whose message does not say it

  /// One sentence: the first reason with both values and the advice, and what was assumed.
  [[nodiscard]] std::string summary() const;
};

/// Says whether blocks of `left` and `right` can be copied to each other. Pages may differ where
/// tokens are told apart, and parts of the model too: a transfer says what its sources do not
/// cover.
[[nodiscard]] Compatibility compatible(const LayoutView& left, const LayoutView& right);

/// One of two layouts that are compared: where its bytes lie, and what they mean.
///
/// Lifetime: points to what the caller has.
struct Compared {
  const LayoutView& view;
  std::span<const Plane> planes{};
  std::string_view model{};  ///< whose cache it is; empty: not told
  std::string_view group{};  ///< of layouts that share block ids; empty: none
};

/// What makes it impossible to move blocks between two layouts whatever their shapes are: two
/// models, two groups, or a plane that only one of them has.
[[nodiscard]] std::optional<Reason> differing_meaning(const Compared& left, const Compared& right);

/// A reason against one of several sources.
struct SourceReason {
  std::size_t source{0};  ///< from 0
  Reason reason;
};

/// The first source that holds another model or group than one before it: nothing gathers from
/// both, even where the destination says neither.
[[nodiscard]] std::optional<SourceReason> differing_source(std::span<const Compared> sources);

/// As for views, of the data and of all planes: the worst verdict, with its reasons.
[[nodiscard]] Compatibility compatible(const Compared& left, const Compared& right);

}  // namespace kvferry::layout
