// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

#include "kvferry/base/checked.hpp"
#include "kvferry/base/try.hpp"
#include "kvferry/plan/plan.hpp"
#include "plan/nest.hpp"

namespace kvferry::plan {
namespace {

using layout::Axis;
using layout::AxisSpan;
using layout::LayoutView;

/// Most ways in which the pages of two sides can meet. Pages of the field are 8 to 256 tokens; two
/// of them meet in at most a few dozen ways. The limit keeps hostile page sizes from costing
/// memory.
constexpr std::uint64_t kMaxTokenClasses = 4096;

/// A half-open range of places in the whole model.
struct Range {
  std::uint64_t first{0};
  std::uint64_t end{0};

  [[nodiscard]] bool empty() const noexcept { return first >= end; }
  [[nodiscard]] std::uint64_t count() const noexcept { return empty() ? 0 : end - first; }
};

Range held(const AxisSpan& span) { return {span.origin, span.origin + span.extent}; }

Range shared(const Range& a, const Range& b) {
  return {std::max(a.first, b.first), std::min(a.end, b.end)};
}

std::string text(const Range& range) {
  return std::to_string(range.first) + ":" + std::to_string(range.end);
}

Result<Range> selected_layers(const LayerRange& layers, std::uint64_t whole) {
  const Range range{layers.first, layers.end == LayerRange::kAll ? whole : layers.end};
  if (range.first > range.end || range.end > whole) {
    return Error{ErrorCode::kInvalidArgument,
                 "layers " + text(range) + ": the model has " + std::to_string(whole)};
  }
  return range;
}

/// The axes on which a view may hold a part of the model only.
constexpr std::array<Axis, 3> kPartAxes{Axis::kLayer, Axis::kOuter, Axis::kHead};

/// What the destination wants of the selection, and what of it the source holds, on kPartAxes.
struct Overlap {
  std::array<Range, kPartAxes.size()> wanted{};
  std::array<Range, kPartAxes.size()> both{};

  [[nodiscard]] bool nothing_wanted() const noexcept { return wanted[0].empty(); }
  [[nodiscard]] bool empty() const noexcept {
    return std::any_of(both.begin(), both.end(), [](const Range& range) { return range.empty(); });
  }
  [[nodiscard]] double coverage() const noexcept {
    double product = 1.0;
    for (std::size_t i = 0; i < kPartAxes.size() && !nothing_wanted(); ++i) {
      product *= static_cast<double>(both[i].count()) / static_cast<double>(wanted[i].count());
    }
    return product;
  }
};

Overlap overlap_of(const LayoutView& from, const LayoutView& to, const Range& selected_layers) {
  Overlap overlap;
  for (std::size_t i = 0; i < kPartAxes.size(); ++i) {
    const Axis axis = kPartAxes[i];
    overlap.wanted[i] = held(to.axis(axis));
    if (axis == Axis::kLayer) {
      overlap.wanted[i] = shared(selected_layers, overlap.wanted[i]);
    }
    overlap.both[i] = shared(overlap.wanted[i], held(from.axis(axis)));
  }
  return overlap;
}

/// Refuses when the source lacks a part of what the destination wants.
Result<void> check_covered(const Overlap& overlap) {
  for (std::size_t i = 0; i < kPartAxes.size() && !overlap.nothing_wanted(); ++i) {
    const Range& wanted = overlap.wanted[i];
    const Range& both = overlap.both[i];
    if (both.count() == wanted.count()) {
      continue;
    }
    Range missing{wanted};
    if (!both.empty()) {
      missing =
          both.first > wanted.first ? Range{wanted.first, both.first} : Range{both.end, wanted.end};
    }
    return Error{ErrorCode::kIncompatible,
                 "the source does not cover " + std::string{to_string(kPartAxes[i])} + "s " +
                     text(missing) + " of the destination's " + text(wanted)};
  }
  return {};
}

/// `view` without what is outside of `ranges`, and which of its regions is the first of the result.
Result<std::uint32_t> cut(LayoutView& view, const std::array<Range, kPartAxes.size()>& ranges) {
  std::uint32_t first_region = 0;
  for (std::size_t i = 0; i < kPartAxes.size(); ++i) {
    const std::uint64_t first = ranges[i].first - view.axis(kPartAxes[i]).origin;
    if (view.region_axis() == kPartAxes[i]) {
      first_region = static_cast<std::uint32_t>(first);
    }
    KVFERRY_ASSIGN_OR_RETURN(view, view.slice(kPartAxes[i], first, ranges[i].count()));
  }
  return first_region;
}

}  // namespace

Result<std::shared_ptr<const PlanTemplate>> PlanTemplate::create(const LayoutView& source,
                                                                 const LayoutView& destination,
                                                                 const TemplateOptions& options) {
  layout::Compatibility verdict = compatible(source, destination);
  if (verdict.verdict == layout::Verdict::kImpossible) {
    return Error{ErrorCode::kIncompatible, verdict.summary()};
  }
  const bool opaque = source.is_opaque() || destination.is_opaque();
  // make_shared cannot reach the private constructor.
  std::shared_ptr<PlanTemplate> made{new PlanTemplate{
      opaque ? *source.collapsed() : source, opaque ? *destination.collapsed() : destination}};
  KVFERRY_ASSIGN_OR_RETURN(const Range selection,
                           selected_layers(options.layers, destination.axis(Axis::kLayer).whole));
  const Overlap overlap = overlap_of(made->source_, made->destination_, selection);
  if (!options.partial) {
    KVFERRY_RETURN_IF_ERROR(check_covered(overlap));
  }
  made->compatibility_ = std::move(verdict);
  made->coverage_ = overlap.coverage();
  made->empty_ = overlap.empty();
  if (!made->empty_) {
    KVFERRY_ASSIGN_OR_RETURN(made->first_source_region_, cut(made->source_, overlap.both));
    KVFERRY_ASSIGN_OR_RETURN(made->first_destination_region_,
                             cut(made->destination_, overlap.both));
  }
  KVFERRY_RETURN_IF_ERROR(made->make_classes());
  return std::shared_ptr<const PlanTemplate>{std::move(made)};
}

Result<void> PlanTemplate::make_classes() {
  const std::uint64_t from_page = source_.axis(Axis::kToken).extent;
  const std::uint64_t to_page = destination_.axis(Axis::kToken).extent;
  std::uint64_t from_token = 0;
  std::uint64_t to_token = 0;
  do {
    if (classes_.size() == kMaxTokenClasses) {
      return Error{ErrorCode::kIncompatible, "page_size " + std::to_string(from_page) +
                                                 " against " + std::to_string(to_page) +
                                                 ": pages meet in more than " +
                                                 std::to_string(kMaxTokenClasses) + " ways"};
    }
    TokenClass tokens;
    tokens.source_token = from_token;
    tokens.destination_token = to_token;
    tokens.tokens = std::min(from_page - from_token, to_page - to_token);
    tokens.nest =
        detail::make_nest(source_, destination_, {from_token, to_token, tokens.tokens}, 1);
    tokens.pieces_per_outer =
        detail::pieces_of_one_outer(source_, destination_, {from_token, to_token, tokens.tokens});
    from_token = (from_token + tokens.tokens) % from_page;
    to_token = (to_token + tokens.tokens) % to_page;
    classes_.push_back(tokens);
  } while (from_token != 0 || to_token != 0);
  return {};
}

detail::Nest PlanTemplate::merged_nest(std::uint64_t blocks) const {
  return detail::make_nest(source_, destination_, {0, 0, source_.axis(Axis::kToken).extent},
                           blocks);
}

}  // namespace kvferry::plan
