// SPDX-License-Identifier: Apache-2.0
#include "landing.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <utility>

#include "kvferry/base/try.hpp"

namespace kvferry::tool {
namespace {

using layout::Axis;
using layout::LayoutView;

/// More copies than that are counted, and not looked at one by one.
constexpr std::size_t kMostWalked = 65'536;
/// So many blocks pairs are drawn whole, if they are no more copies than that.
constexpr std::uint64_t kFirstUnits = 4;
constexpr std::uint64_t kFewPieces = 16;
/// The first pair is drawn whole if no layer has more copies than that; then some are left out.
constexpr std::uint64_t kPiecesPerLayer = 4;
constexpr std::size_t kFirstFolded = 22;
constexpr std::size_t kLastFolded = 2;
/// Ranges of the destination that nobody gives, beside those next to a copy.
constexpr std::size_t kLoneUncovered = 4;
/// Of more blocks that end together, what does not move is not looked for.
constexpr std::size_t kMostBlocks = 64;

/// Block lists that end together on both sides.
struct Units {
  std::size_t source_blocks{1};  ///< of a unit
  std::size_t destination_blocks{1};
  std::size_t count{0};
};

Units units_of(const PlannedMove& move) {
  const std::uint64_t from = move.sources.front().page_size();
  const std::uint64_t to = move.destination.page_size();
  const std::uint64_t tokens = std::lcm(from, to);
  return {tokens / from, tokens / to, move.blocks.destination.size() / (tokens / to)};
}

/// All copies of a scope, before any are left out.
struct Walk {
  std::vector<LandedPiece> pieces;
  std::uint64_t count{0};
  std::vector<std::pair<std::size_t, std::uint64_t>> layers;  ///< source, layer of the whole model

  [[nodiscard]] bool is_whole() const noexcept { return pieces.size() == count; }
};

/// `view`, with one layer and one outer if the scope says so.
Result<LayoutView> narrowed(const LayoutView& view, LandingScope scope, std::uint64_t layer = 0) {
  if (scope != LandingScope::kFirstLayer) {
    return view;
  }
  KVFERRY_ASSIGN_OR_RETURN(const LayoutView one, view.slice(Axis::kLayer, layer, 1));
  return one.slice(Axis::kOuter, 0, 1);
}

/// Appends the copies of one part for some blocks.
Result<void> walk_part(const plan::GatherPart& part, const plan::BlockPairs& blocks,
                       LandingScope scope, Walk& walk) {
  const plan::PlanTemplate& shape = part.plan.shape();
  KVFERRY_ASSIGN_OR_RETURN(const LayoutView source, narrowed(shape.source(), scope));
  KVFERRY_ASSIGN_OR_RETURN(const LayoutView destination, narrowed(shape.destination(), scope));
  KVFERRY_ASSIGN_OR_RETURN(auto narrow, plan::PlanTemplate::create(source, destination));
  KVFERRY_ASSIGN_OR_RETURN(const plan::CopyPlan plan,
                           plan::CopyPlan::create(std::move(narrow), blocks));
  walk.count += plan.summary().runs;
  walk.layers.emplace_back(part.source, source.axis(Axis::kLayer).origin);
  plan::RunCursor cursor = plan.cursor();
  for (Run run; walk.pieces.size() < kMostWalked && cursor.next(run);) {
    for (std::uint64_t i = 0; i < run.count && walk.pieces.size() < kMostWalked; ++i) {
      walk.pieces.push_back(
          {part.source,
           {run.source.region, run.source.offset_bytes + i * run.source.stride_bytes, run.bytes},
           {run.destination.region, run.destination.offset_bytes + i * run.destination.stride_bytes,
            run.bytes}});
    }
  }
  return {};
}

/// The copies of the first `count` units.
Result<Walk> walk_units(const PlannedMove& move, const Units& units, std::size_t count,
                        LandingScope scope) {
  Walk walk;
  for (std::size_t unit = 0; unit < count; ++unit) {
    const plan::BlockPairs blocks{
        move.blocks.source.subspan(unit * units.source_blocks, units.source_blocks),
        move.blocks.destination.subspan(unit * units.destination_blocks, units.destination_blocks)};
    for (const plan::GatherPart& part : move.gather.parts()) {
      const std::span<const BlockId> fed = part.plan.destination_blocks();
      if (std::ranges::find(fed, blocks.destination.front()) != fed.end()) {
        KVFERRY_RETURN_IF_ERROR(walk_part(part, blocks, scope, walk));
      }
    }
  }
  std::ranges::sort(walk.pieces, {}, &LandedPiece::to);
  return walk;
}

/// The bytes of `blocks` of a view, of some of the whole model's layers.
Result<std::vector<Extent>> extents_of_layers(const LayoutView& view,
                                              std::span<const BlockId> blocks, LandingScope scope,
                                              std::span<const plan::LayerRange> ranges) {
  const layout::AxisSpan& layers = view.axis(Axis::kLayer);
  std::vector<Extent> extents;
  for (const BlockId block : blocks) {
    KVFERRY_ASSIGN_OR_RETURN(const LayoutView one, view.slice(Axis::kBlock, block.value(), 1));
    for (const plan::LayerRange& range : ranges) {
      const std::uint64_t first = std::max(range.first, layers.origin);
      const std::uint64_t end = std::min(range.end, layers.origin + layers.extent);
      if (first < end) {
        KVFERRY_ASSIGN_OR_RETURN(const LayoutView some,
                                 one.slice(Axis::kLayer, first - layers.origin, end - first));
        KVFERRY_ASSIGN_OR_RETURN(const LayoutView narrow, narrowed(some, scope));
        const Extents found = extents_of(narrow, kMostWalked);
        extents.insert(extents.end(), found.first.begin(), found.first.end());
      }
    }
  }
  std::ranges::sort(extents);
  extents.erase(std::unique(extents.begin(), extents.end()), extents.end());
  return extents;
}

/// The layers of the whole model that a scope looks at: of one source, or of all.
std::vector<plan::LayerRange> layers_of(const PlannedMove& move, const Walk& walk,
                                        LandingScope scope, std::optional<std::size_t> source) {
  if (scope != LandingScope::kFirstLayer) {
    return {source ? plan::LayerRange{} : move.layers};
  }
  std::vector<plan::LayerRange> ranges;
  for (const auto& [owner, layer] : walk.layers) {
    const plan::LayerRange range{layer, layer + 1};
    if ((!source || owner == *source) && std::ranges::find(ranges, range) == ranges.end()) {
      ranges.push_back(range);
    }
  }
  return ranges;
}

/// Those of `extents` that begin or end where one of `pieces` does, and some others.
std::vector<Extent> beside(const std::vector<Extent>& extents, const std::vector<Extent>& pieces,
                           std::size_t others) {
  std::vector<Extent> kept;
  for (const Extent& extent : extents) {
    const bool touches = std::ranges::any_of(pieces, [&](const Extent& piece) {
      return piece.region == extent.region &&
             (piece.offset_bytes + piece.bytes == extent.offset_bytes ||
              extent.offset_bytes + extent.bytes == piece.offset_bytes);
    });
    if (kept.size() < kDrawnPieces && (touches || others > 0)) {
      others -= touches ? 0 : 1;
      kept.push_back(extent);
    }
  }
  return kept;
}

std::vector<Extent> sides_of(const std::vector<LandedPiece>& pieces, Extent LandedPiece::*side) {
  std::vector<Extent> extents;
  extents.reserve(pieces.size());
  for (const LandedPiece& piece : pieces) {
    extents.push_back(piece.*side);
  }
  std::ranges::sort(extents);
  return extents;
}

/// What the drawn sources do not send, and what of the destination nobody gives.
Result<void> add_idle(const PlannedMove& move, const Walk& walk, Landing& landing) {
  landing.unsent.resize(landing.sources.size());
  if (!walk.is_whole() || landing.source_blocks.size() > kMostBlocks ||
      landing.destination_blocks.size() > kMostBlocks) {
    return {};
  }
  KVFERRY_ASSIGN_OR_RETURN(
      const std::vector<Extent> wanted,
      extents_of_layers(move.destination, landing.destination_blocks, landing.scope,
                        layers_of(move, walk, landing.scope, std::nullopt)));
  landing.uncovered = beside(without(wanted, sides_of(walk.pieces, &LandedPiece::to)),
                             sides_of(landing.pieces, &LandedPiece::to), kLoneUncovered);
  for (std::size_t i = 0; i < landing.sources.size(); ++i) {
    const std::size_t source = landing.sources[i];
    std::vector<LandedPiece> own;
    std::ranges::copy_if(walk.pieces, std::back_inserter(own),
                         [source](const LandedPiece& piece) { return piece.source == source; });
    KVFERRY_ASSIGN_OR_RETURN(
        const std::vector<Extent> held,
        extents_of_layers(move.sources[source], landing.source_blocks, landing.scope,
                          layers_of(move, walk, landing.scope, source)));
    const std::vector<Extent> taken = sides_of(own, &LandedPiece::from);
    std::erase_if(own, [&](const LandedPiece& piece) {
      return std::ranges::none_of(landing.pieces,
                                  [&](const LandedPiece& drawn) { return drawn.to == piece.to; });
    });
    landing.unsent[i] = beside(without(held, taken), sides_of(own, &LandedPiece::from), 0);
  }
  return {};
}

/// Leaves out what would be too much for a drawing.
void choose(const Walk& walk, Landing& landing) {
  std::vector<std::size_t> sources;
  for (const LandedPiece& piece : walk.pieces) {
    if (std::ranges::find(sources, piece.source) == sources.end()) {
      sources.push_back(piece.source);
    }
  }
  landing.pieces_count = walk.count;
  landing.sources_count = sources.size();
  sources.resize(std::min(sources.size(), kDrawnSources));
  std::ranges::copy_if(walk.pieces, std::back_inserter(landing.pieces),
                       [&](const LandedPiece& piece) {
                         return std::ranges::find(sources, piece.source) != sources.end();
                       });
  auto& pieces = landing.pieces;
  if (landing.scope == LandingScope::kFirstLayer) {
    std::map<std::size_t, std::size_t> kept;  // Of each source, as many as of the others.
    const std::size_t most = kDrawnPieces / std::max<std::size_t>(sources.size(), 1);
    std::erase_if(pieces, [&](const LandedPiece& piece) { return ++kept[piece.source] > most; });
  } else if (pieces.size() > kFirstFolded + kLastFolded) {
    pieces.erase(pieces.begin() + kFirstFolded, pieces.end() - kLastFolded);
  }
  std::ranges::sort(sources);
  std::ranges::copy_if(sources, std::back_inserter(landing.sources), [&](std::size_t source) {
    return std::ranges::find(pieces, source, &LandedPiece::source) != pieces.end();
  });
}

/// The widest scope that a person can follow.
Result<Walk> first_walk(const PlannedMove& move, const Units& units, Landing& landing,
                        std::size_t& unit_count) {
  unit_count = std::min<std::size_t>(units.count, kFirstUnits);
  KVFERRY_ASSIGN_OR_RETURN(Walk few,
                           walk_units(move, units, unit_count, LandingScope::kFirstBlocks));
  if (few.count <= kFewPieces) {
    return few;
  }
  unit_count = 1;
  landing.scope = LandingScope::kFirstPair;
  KVFERRY_ASSIGN_OR_RETURN(Walk pair, walk_units(move, units, 1, LandingScope::kFirstPair));
  std::uint64_t layers{0};
  for (const plan::GatherPart& part : move.gather.parts()) {
    layers = std::max(layers, part.plan.shape().destination().axis(Axis::kLayer).extent);
  }
  if (pair.count <= kPiecesPerLayer * std::max<std::uint64_t>(layers, 1)) {
    return pair;
  }
  landing.scope = LandingScope::kFirstLayer;
  return walk_units(move, units, 1, LandingScope::kFirstLayer);
}

}  // namespace

std::vector<Extent> without(const std::vector<Extent>& extents, const std::vector<Extent>& taken) {
  std::vector<Extent> rest;
  auto next = taken.begin();
  for (const Extent& extent : extents) {
    std::uint64_t begin = extent.offset_bytes;
    const std::uint64_t end = begin + extent.bytes;
    while (next != taken.end() &&
           (next->region < extent.region ||
            (next->region == extent.region && next->offset_bytes + next->bytes <= begin))) {
      ++next;
    }
    for (auto hit = next;
         hit != taken.end() && hit->region == extent.region && hit->offset_bytes < end; ++hit) {
      if (hit->offset_bytes > begin) {
        rest.push_back({extent.region, begin, hit->offset_bytes - begin});
      }
      begin = std::max(begin, hit->offset_bytes + hit->bytes);
    }
    if (begin < end) {
      rest.push_back({extent.region, begin, end - begin});
    }
  }
  return rest;
}

Result<Landing> landing_of(const PlannedMove& move) {
  Landing landing;
  const Units units = units_of(move);
  std::size_t unit_count{0};
  KVFERRY_ASSIGN_OR_RETURN(const Walk walk, first_walk(move, units, landing, unit_count));
  const auto source_blocks = move.blocks.source.first(unit_count * units.source_blocks);
  const auto destination_blocks =
      move.blocks.destination.first(unit_count * units.destination_blocks);
  landing.source_blocks.assign(source_blocks.begin(), source_blocks.end());
  landing.destination_blocks.assign(destination_blocks.begin(), destination_blocks.end());
  choose(walk, landing);
  KVFERRY_RETURN_IF_ERROR(add_idle(move, walk, landing));
  return landing;
}

}  // namespace kvferry::tool
