// SPDX-License-Identifier: Apache-2.0
// What is timed, and what is not:
// - a pair never seen: what a transfer computes before and between its copies. The template (the
//   template of each part for a gather), the plan of the ids, and every run from the cursor, taken
//   as a transfer takes them; freeing included. Its unit is the contiguous piece
//   before merging, as PlanSummary::runs_before counts them.
// - a pair seen before: the plan of the ids with a template at hand, all checks of ids included,
//   up to the first run; freeing included. Its unit is the plan.
// What these bars allow are times, not ratios, so it is the fastest round that is compared: what a
// shared machine adds to the others says nothing of the code.
// The views are made before: a manager makes them when layouts are registered and imported.
#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "kvferry/base/try.hpp"
#include "kvferry/layout/packed.hpp"
#include "kvferry/plan/gather.hpp"
#include "pieces.hpp"
#include "plan_by_hand.hpp"
#include "suites.hpp"

namespace kvferry::bench {
namespace {

using layout::Arrangement;
using layout::LayoutView;
using plan::CopyPlan;
using plan::PlanTemplate;
using plan::RunCursor;

constexpr double kPieceBarNs = 3.0;
constexpr double kSeenBarUs = 0.5;
constexpr double kSeenPairBarUs = 0.005;
constexpr double kSlopeBar = 1.1;  ///< 1: linear; the rest is what a shared machine adds
constexpr std::uint64_t kBlocks = 256;
constexpr std::uint64_t kPool = 4096;  ///< blocks of each layout
// As many runs, and as much, as a transfer takes at a time.
constexpr std::size_t kStepRuns = 64;
constexpr std::uint64_t kStepBytes = std::uint64_t{512} << 10U;
constexpr std::uint64_t kHeadElements = 128;
constexpr std::uint64_t kSizeStep = 8;

/// How often and how long a case is measured: some milliseconds a round, or one if quick.
struct Effort {
  explicit Effort(bool quick)
      : rounds{quick ? 5 : 11},
        pieces_in_a_round{quick ? 100'000U : 2'000'000U},
        pairs_in_a_round{quick ? 50'000U : 500'000U} {}

  int rounds;
  std::uint64_t pieces_in_a_round;
  std::uint64_t pairs_in_a_round;
};

struct Ids {
  std::vector<BlockId> source;
  std::vector<BlockId> destination;

  [[nodiscard]] plan::BlockPairs pairs() const { return {source, destination}; }
};

Ids in_a_row(std::uint64_t count) { return {ids_from(7, count), ids_from(0, count)}; }

/// As an allocator gives them that has run for a while: anywhere in `pool`, in any order.
Ids scattered(std::uint64_t count, std::uint64_t pool) {
  std::mt19937_64 random{20};
  const auto draw = [&] {
    std::vector<BlockId> ids = ids_from(0, pool);
    std::shuffle(ids.begin(), ids.end(), random);
    ids.resize(count);
    return ids;
  };
  return {draw(), draw()};
}

/// llama-3.1-8b, or a part of it.
struct Side {
  Arrangement arrangement{Arrangement::kFullyContiguous};
  layout::BlockAxes order{layout::kNhd};
  layout::Rank rank{};
  std::uint64_t layers{32};
  std::uint64_t blocks{kPool};
};

Result<LayoutView> view_of(const Side& side) {
  layout::LayoutConfig config = llama_config(side.blocks);
  KVFERRY_ASSIGN_OR_RETURN(const layout::Part heads,
                           layout::heads_of(side.rank, config.num_heads.value()));
  config.num_layers = side.layers;
  config.num_heads = heads.extent;
  config.inner_dim = heads.extent * kHeadElements;
  KVFERRY_ASSIGN_OR_RETURN(const auto sizes, required_regions(config, side.arrangement));
  std::vector<Region> regions;
  std::uint64_t address = std::uint64_t{1} << 32U;
  for (const std::uint64_t size : sizes) {
    regions.push_back({address, size});
    address += size;
  }
  return layout::packed_view(
      {.config = config, .arrangement = side.arrangement, .order = side.order, .heads = heads},
      std::move(regions));
}

/// Blocks that move from some sources to a destination.
struct Planning {
  std::string name;
  std::vector<LayoutView> sources;
  LayoutView destination;
  Grain grain{Grain::kOuter};
  Ids ids;
};

void walk(const CopyPlan& plan, Tally& tally) {
  Tally mine;
  RunCursor cursor = plan.cursor();
  std::array<Run, kStepRuns> runs;
  for (std::size_t count = 1; count != 0;) {
    count = cursor.next(std::span{runs}, kStepBytes);
    for (std::size_t i = 0; i < count; ++i) {
      mine.add(runs[i]);
    }
  }
  tally.add(mine);
}

/// All that a transfer computes between two views that never met. Gives the pieces before merging.
Result<std::uint64_t> plan_anew(const Planning& work, Tally& tally) {
  if (work.sources.size() == 1) {
    KVFERRY_ASSIGN_OR_RETURN(auto shape, PlanTemplate::create(work.sources[0], work.destination));
    KVFERRY_ASSIGN_OR_RETURN(const CopyPlan plan,
                             CopyPlan::create(std::move(shape), work.ids.pairs()));
    walk(plan, tally);
    return plan.summary().runs_before;
  }
  KVFERRY_ASSIGN_OR_RETURN(const plan::Gather gather,
                           plan::Gather::create(work.sources, work.destination, work.ids.pairs()));
  for (const plan::GatherPart& part : gather.parts()) {
    walk(part.plan, tally);
  }
  return gather.summary().runs_before;
}

void plan_by_hand(const Planning& work, Tally& tally) {
  for (const LayoutView& source : work.sources) {
    plan_by_hand(source, work.destination, work.ids.pairs(), work.grain, tally);
  }
}

CaseResult named(CaseResult measured, std::string name) {
  measured.suite = "plan";
  measured.name = std::move(name);
  measured.baseline = "nested loops by hand";
  measured.figure = Figure::kTime;
  return measured;
}

/// Both sides must have planned the same number of bytes, or one of them is not worth its time.
Result<CaseResult> time_unseen(const Planning& work, const Effort& effort) {
  Tally once;
  Tally by_hand;
  KVFERRY_ASSIGN_OR_RETURN(const std::uint64_t pieces, plan_anew(work, once));
  plan_by_hand(work, by_hand);
  if (once.bytes() != by_hand.bytes()) {
    return Error{ErrorCode::kCorrupt, work.name + ": " + std::to_string(once.bytes()) +
                                          " bytes planned, " + std::to_string(by_hand.bytes()) +
                                          " by hand"};
  }
  Tally tally;
  const Work both{[&] { static_cast<void>(plan_anew(work, tally)); },
                  [&] { plan_by_hand(work, tally); }};
  const int repetitions = static_cast<int>(1 + effort.pieces_in_a_round / pieces);
  CaseResult result = named(measure(both, {effort.rounds, repetitions}), work.name);
  result.bytes = once.bytes();
  set_rates(result);
  set_cost(result, {result.seconds.min * 1e9 / static_cast<double>(pieces), "ns a piece"},
           kPieceBarNs);
  return result;
}

/// Planning of ids between two views whose template is at hand.
Result<CaseResult> time_seen(const Planning& work, const Effort& effort) {
  KVFERRY_ASSIGN_OR_RETURN(const auto shape,
                           PlanTemplate::create(work.sources[0], work.destination));
  KVFERRY_RETURN_IF_ERROR(CopyPlan::create(shape, work.ids.pairs()));
  Tally tally;
  const Work both{[&] {
                    const CopyPlan plan = CopyPlan::create(shape, work.ids.pairs()).value();
                    RunCursor cursor = plan.cursor();
                    Run run;
                    cursor.next(run, kStepBytes);
                    tally.add(run);
                  },
                  [&] { plan_by_hand(work, tally); }};
  const std::uint64_t pairs = work.ids.source.size();
  const int repetitions = static_cast<int>(1 + effort.pairs_in_a_round / pairs);
  CaseResult result = named(measure(both, {effort.rounds, repetitions}), work.name);
  result.bytes = work.sources[0].axis(layout::Axis::kBlock).stride_bytes * pairs;
  set_rates(result);
  set_cost(result, {result.seconds.min * 1e6, "us a plan"},
           kSeenBarUs + kSeenPairBarUs * static_cast<double>(pairs));
  return result;
}

/// How steeply the time grows with the size, in powers of it, from the first to the last.
CaseResult slope_of(std::string name, const std::array<CaseResult, 3>& cases) {
  CaseResult result = named(cases.back(), std::move(name));
  const double growth = std::log(cases[2].seconds.min / cases[0].seconds.min);
  set_cost(result,
           {growth / std::log(static_cast<double>(kSizeStep * kSizeStep)), "as power of the size"},
           kSlopeBar);
  return result;
}

const Side kFc{};
const Side kLs{.arrangement = Arrangement::kLayerSeparateBlockFirst};
const Side kHnd{.order = layout::kHnd};

Side with_layers(Side side, std::uint64_t layers) {
  side.layers = layers;
  return side;
}

struct Sides {
  std::string_view name;
  std::vector<Side> sources;
  Side destination;
  Grain grain;
};

Result<Planning> planning(const Sides& sides, std::string name, Ids ids) {
  std::vector<LayoutView> sources;
  for (const Side& side : sides.sources) {
    KVFERRY_ASSIGN_OR_RETURN(LayoutView view, view_of(side));
    sources.push_back(std::move(view));
  }
  KVFERRY_ASSIGN_OR_RETURN(LayoutView destination, view_of(sides.destination));
  return Planning{std::move(name), std::move(sources), std::move(destination), sides.grain,
                  std::move(ids)};
}

Result<void> add_unseen(std::vector<CaseResult>& results, const Effort& effort) {
  const std::vector<Sides> all{{"fc->ls", {kFc}, kLs, Grain::kOuter},
                               {"ls->fc", {kLs}, kFc, Grain::kOuter},
                               {"TP4->TP2, two sources",
                                {{.rank = {2, 4}}, {.rank = {3, 4}}},
                                {.rank = {1, 2}},
                                Grain::kToken},
                               {"nhd->hnd", {kFc}, kHnd, Grain::kHead}};
  for (const Sides& sides : all) {
    const std::string name = "unseen " + std::string{sides.name} + ", 256 blocks ";
    KVFERRY_ASSIGN_OR_RETURN(const Planning neighbours,
                             planning(sides, name + "in a row", in_a_row(kBlocks)));
    KVFERRY_ASSIGN_OR_RETURN(CaseResult one, time_unseen(neighbours, effort));
    results.push_back(std::move(one));
    KVFERRY_ASSIGN_OR_RETURN(const Planning strangers,
                             planning(sides, name + "scattered", scattered(kBlocks, kPool)));
    KVFERRY_ASSIGN_OR_RETURN(CaseResult two, time_unseen(strangers, effort));
    results.push_back(std::move(two));
  }
  return {};
}

Result<void> add_seen(std::vector<CaseResult>& results, const Effort& effort) {
  const std::vector<std::pair<std::string, Ids>> lists{
      {"1 block", scattered(1, kPool)},
      {"16 blocks scattered", scattered(16, kPool)},
      {"256 blocks in a row", in_a_row(kBlocks)},
      {"256 blocks shuffled", scattered(kBlocks, kBlocks)},
      {"256 blocks scattered", scattered(kBlocks, kPool)}};
  for (const auto& [name, ids] : lists) {
    KVFERRY_ASSIGN_OR_RETURN(const Planning work, planning({"", {kFc}, kLs, Grain::kOuter},
                                                           "seen fc->ls, " + name, ids));
    KVFERRY_ASSIGN_OR_RETURN(CaseResult result, time_seen(work, effort));
    results.push_back(std::move(result));
  }
  return {};
}

Result<void> add_slopes(std::vector<CaseResult>& results, const Effort& effort) {
  std::array<CaseResult, 3> blocks;
  std::array<CaseResult, 3> seen;
  std::array<CaseResult, 3> layers;
  std::uint64_t size{32};
  for (std::size_t i = 0; i < blocks.size(); ++i, size *= kSizeStep) {
    KVFERRY_ASSIGN_OR_RETURN(const Planning more_blocks,
                             planning({"", {kFc}, kLs, Grain::kOuter}, "", scattered(size, kPool)));
    KVFERRY_ASSIGN_OR_RETURN(blocks[i], time_unseen(more_blocks, effort));
    KVFERRY_ASSIGN_OR_RETURN(seen[i], time_seen(more_blocks, effort));
    KVFERRY_ASSIGN_OR_RETURN(
        const Planning more_layers,
        planning({"", {with_layers(kFc, size)}, with_layers(kLs, size), Grain::kOuter}, "",
                 scattered(kBlocks / 8, kPool)));
    KVFERRY_ASSIGN_OR_RETURN(layers[i], time_unseen(more_layers, effort));
  }
  results.push_back(slope_of("slope, unseen fc->ls, 32 256 2048 blocks", blocks));
  results.push_back(slope_of("slope, seen fc->ls, 32 256 2048 blocks", seen));
  results.push_back(slope_of("slope, unseen fc->ls, 32 256 2048 layers", layers));
  return {};
}

}  // namespace

Result<std::vector<CaseResult>> run_plan_suite(const SuiteOptions& options) {
  const Effort effort{options.quick};
  std::vector<CaseResult> results;
  KVFERRY_RETURN_IF_ERROR(add_unseen(results, effort));
  KVFERRY_RETURN_IF_ERROR(add_seen(results, effort));
  KVFERRY_RETURN_IF_ERROR(add_slopes(results, effort));
  return results;
}

}  // namespace kvferry::bench
