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
#include "plan/ranges.hpp"

namespace kvferry::plan {
namespace {

using detail::Box;
using detail::cut;
using detail::held_box;
using detail::is_empty;
using detail::kPartAxes;
using detail::not_covered;
using detail::Range;
using detail::wanted_box;
using layout::Axis;
using layout::LayoutView;

/// Most ways in which the pages of two sides can meet. Pages of the field are 8 to 256 tokens; two
/// of them meet in at most a few dozen ways. The limit keeps hostile page sizes from costing
/// memory.
constexpr std::uint64_t kMaxTokenClasses = 4096;

/// What the destination wants of the selection, and what of it the source holds.
struct Overlap {
  Box wanted{};
  Box both{};

  [[nodiscard]] bool nothing_wanted() const noexcept { return wanted[0].empty(); }
  [[nodiscard]] double coverage() const noexcept {
    double product = 1.0;
    for (std::size_t i = 0; i < kPartAxes.size() && !nothing_wanted(); ++i) {
      product *= static_cast<double>(both[i].count()) / static_cast<double>(wanted[i].count());
    }
    return product;
  }
};

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
    return not_covered("the source does not cover", kPartAxes[i], missing, wanted);
  }
  return {};
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
  Overlap overlap;
  KVFERRY_ASSIGN_OR_RETURN(overlap.wanted, wanted_box(made->destination_, options.layers));
  const Box held = held_box(made->source_);
  std::ranges::transform(overlap.wanted, held, overlap.both.begin(), detail::shared);
  if (!options.partial) {
    KVFERRY_RETURN_IF_ERROR(check_covered(overlap));
  }
  made->compatibility_ = std::move(verdict);
  made->coverage_ = overlap.coverage();
  made->empty_ = is_empty(overlap.both);
  if (!made->empty_) {
    KVFERRY_ASSIGN_OR_RETURN(made->source_, cut(std::move(made->source_), overlap.both));
    KVFERRY_ASSIGN_OR_RETURN(made->destination_, cut(std::move(made->destination_), overlap.both));
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
