// SPDX-License-Identifier: Apache-2.0
#include "kvferry/plan/gather.hpp"

#include <algorithm>
#include <numeric>
#include <string>
#include <tuple>

#include "kvferry/base/try.hpp"
#include "plan/ranges.hpp"

namespace kvferry::plan {
namespace {

using detail::Box;
using detail::held_box;
using detail::kPartAxes;
using detail::Range;
using layout::Axis;
using layout::LayoutView;

/// More ranks than any peer group has; the work grows with the cells that their parts make.
constexpr std::size_t kMostSources = 256;

/// What one source gives of some units of the block lists; a unit is whole blocks on both sides.
struct Share {
  std::size_t source{0};
  Range units{};
  Box box{};
};

/// Where one side does not tell heads apart, all heads are one place of every side.
bool tells_heads(std::span<const LayoutView> sources, const LayoutView& destination) {
  return !destination.is_opaque() && std::ranges::none_of(sources, &LayoutView::is_opaque);
}

Result<void> check_sources(std::span<const LayoutView> sources, const LayoutView& destination,
                           const BlockPairs& blocks) {
  const bool in_parts = tells_heads(sources, destination);
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const std::string name = sources.size() == 1 ? "" : "source " + std::to_string(i) + ": ";
    const layout::Compatibility verdict = compatible(sources[i], destination);
    if (verdict.verdict == layout::Verdict::kImpossible) {
      return Error{ErrorCode::kIncompatible, name + verdict.summary()};
    }
    const layout::AxisSpan& heads = sources[i].axis(Axis::kHead);
    if (!in_parts && heads.extent != heads.whole) {
      return Error{ErrorCode::kIncompatible,
                   name +
                       "it holds a part of the heads, which another side does not tell apart: "
                       "say what you know of that (order and number of heads)"};
    }
    if (auto checked = detail::check_pairs(blocks, sources[i], destination); !checked) {
      return Error{checked.error().code, name + checked.error().message};
    }
  }
  return {};
}

/// `box`, for sides that do not all tell heads apart.
Box with_heads_as_one(Box box) {
  static_assert(kPartAxes.back() == Axis::kHead);
  box.back() = {0, 1};
  return box;
}

/// The places on one axis where what the sources hold begins or ends, inside of what is wanted.
std::vector<std::uint64_t> cuts(const std::vector<Box>& held, const Box& wanted, std::size_t axis) {
  std::vector<std::uint64_t> places{wanted[axis].first, wanted[axis].end};
  for (const Box& box : held) {
    const Range both = detail::shared(box[axis], wanted[axis]);
    if (!both.empty()) {
      places.push_back(both.first);
      places.push_back(both.end);
    }
  }
  std::ranges::sort(places);
  places.erase(std::unique(places.begin(), places.end()), places.end());
  return places;
}

/// What is wanted, in cells each of which a source holds whole or not at all; layer by layer.
std::vector<Box> cells_of(const std::vector<Box>& held, const Box& wanted) {
  if (detail::is_empty(wanted)) {
    return {};
  }
  std::vector<Box> cells{Box{}};
  for (std::size_t axis = 0; axis < kPartAxes.size(); ++axis) {
    const std::vector<std::uint64_t> places = cuts(held, wanted, axis);
    std::vector<Box> finer;
    for (Box cell : cells) {
      for (std::size_t i = 1; i < places.size(); ++i) {
        cell[axis] = {places[i - 1], places[i]};
        finer.push_back(cell);
      }
    }
    cells = std::move(finer);
  }
  return cells;
}

bool holds(const Box& box, const Box& cell) { return std::ranges::equal(box, cell, &Range::holds); }

std::uint64_t volume(const Box& box) { return box[0].count() * box[1].count() * box[2].count(); }

/// Names the first axis on which nobody holds what the cell wants; the last, when each of its
/// ranges is held by somebody, but not all by one.
Error uncovered(const std::vector<Box>& held, const Box& cell, const Box& wanted) {
  std::size_t which{0};
  while (which + 1 < kPartAxes.size() &&
         std::ranges::any_of(held, [&](const Box& box) { return box[which].holds(cell[which]); })) {
    ++which;
  }
  return detail::not_covered(
      held.size() == 1 ? "the source does not cover" : "the sources do not cover", kPartAxes[which],
      cell[which], wanted[which]);
}

/// Gives each cell to the sources that hold it, in equal numbers of units, the larger number to
/// those that give least so far.
class Sharing {
 public:
  Sharing(const std::vector<Box>& held, std::uint64_t units)
      : held_{held}, units_{units}, given_(held.size(), 0) {}

  /// Whether anybody holds `cell`.
  bool add(const Box& cell) {
    std::vector<std::size_t> holders;
    for (std::size_t i = 0; i < held_.size(); ++i) {
      if (holds(held_[i], cell)) {
        holders.push_back(i);
      }
    }
    std::ranges::stable_sort(holders, {}, [this](std::size_t i) { return given_[i]; });
    const std::uint64_t count = holders.size();
    std::uint64_t first{0};
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint64_t take = units_ / count + (i < units_ % count ? 1 : 0);
      if (take != 0) {
        given_[holders[i]] += take * volume(cell);
        shares_.push_back({holders[i], {first, first + take}, cell});
        first += take;
      }
    }
    return !holders.empty();
  }

  std::vector<Share> take() && { return std::move(shares_); }

 private:
  const std::vector<Box>& held_;
  std::uint64_t units_;
  std::vector<std::uint64_t> given_;  ///< by each source: units x places
  std::vector<Share> shares_;
};

/// Puts shares of one source and of the same units together that are neighbours on `axis`.
void join(std::vector<Share>& shares, std::size_t axis) {
  const auto others = [axis](const Share& share) {
    Box rest{share.box};
    rest[axis] = {};
    std::array<std::uint64_t, 2 * kPartAxes.size()> numbers{};
    for (std::size_t i = 0; i < rest.size(); ++i) {
      numbers[2 * i] = rest[i].first;
      numbers[2 * i + 1] = rest[i].end;
    }
    return std::tuple{share.source, share.units.first, share.units.end, numbers};
  };
  std::ranges::sort(shares, {}, [&](const Share& share) {
    return std::tuple{others(share), share.box[axis].first};
  });
  std::vector<Share> joined;
  for (const Share& share : shares) {
    if (!joined.empty() && others(joined.back()) == others(share) &&
        joined.back().box[axis].end == share.box[axis].first) {
      joined.back().box[axis].end = share.box[axis].end;
    } else {
      joined.push_back(share);
    }
  }
  shares = std::move(joined);
}

/// The blocks of `units`, of which there are `total`.
std::span<const BlockId> blocks_of(std::span<const BlockId> ids, const Range& units,
                                   std::uint64_t total) {
  const std::size_t each = ids.size() / total;
  return ids.subspan(units.first * each, units.count() * each);
}

/// How many pieces of whole blocks on both sides the lists have.
std::uint64_t units_of(const BlockPairs& blocks, const LayoutView& source,
                       const LayoutView& destination) {
  const std::uint64_t from = source.page_size();
  const std::uint64_t to = destination.page_size();
  // Without lcm(), which pages of any size leave the 64 bits with.
  return blocks.destination.size() / (from / std::gcd(from, to));
}

}  // namespace

Result<Gather> Gather::create(std::span<const LayoutView> sources, const LayoutView& destination,
                              const BlockPairs& blocks, const TemplateOptions& options) {
  if (sources.empty() || sources.size() > kMostSources) {
    return Error{ErrorCode::kInvalidArgument, "sources: " + std::to_string(sources.size()) +
                                                  ", from 1 to " + std::to_string(kMostSources)};
  }
  KVFERRY_RETURN_IF_ERROR(check_sources(sources, destination, blocks));
  KVFERRY_ASSIGN_OR_RETURN(Box wanted, detail::wanted_box(destination, options.layers));
  std::vector<Box> held;
  std::ranges::transform(sources, std::back_inserter(held), held_box);
  const bool in_parts = tells_heads(sources, destination);
  if (!in_parts) {
    wanted = with_heads_as_one(wanted);
    std::ranges::transform(held, held.begin(), with_heads_as_one);
  }
  const std::uint64_t units = units_of(blocks, sources.front(), destination);
  Sharing sharing{held, units};
  Gather gather;
  gather.destination_blocks_ = blocks.destination.size();
  std::uint64_t covered{0};
  for (const Box& cell : cells_of(held, wanted)) {
    if (sharing.add(cell)) {
      covered += volume(cell);
    } else if (!options.partial) {
      return uncovered(held, cell, wanted);
    }
  }
  if (volume(wanted) != 0) {
    gather.coverage_ = static_cast<double>(covered) / static_cast<double>(volume(wanted));
  }
  std::vector<Share> shares = std::move(sharing).take();
  for (std::size_t axis = kPartAxes.size(); axis-- > 0;) {
    join(shares, axis);
  }
  for (Share& share : shares) {
    if (!in_parts) {
      share.box.back() = detail::held(destination.axis(Axis::kHead));
    }
    KVFERRY_ASSIGN_OR_RETURN(const LayoutView part, detail::cut(destination, share.box));
    KVFERRY_ASSIGN_OR_RETURN(auto shape, PlanTemplate::create(sources[share.source], part));
    const BlockPairs fed{blocks_of(blocks.source, share.units, units),
                         blocks_of(blocks.destination, share.units, units)};
    KVFERRY_ASSIGN_OR_RETURN(CopyPlan plan, CopyPlan::create(std::move(shape), fed));
    gather.parts_.push_back({share.source, fed, std::move(plan)});
  }
  return gather;
}

PlanSummary Gather::summary() const {
  PlanSummary sum;
  for (const GatherPart& part : parts_) {
    sum.add(part.plan.summary());
  }
  sum.coverage = coverage_;
  sum.block_pairs = sum.bytes_moved == 0 ? 0 : destination_blocks_;
  return sum;
}

}  // namespace kvferry::plan
