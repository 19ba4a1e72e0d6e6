// SPDX-License-Identifier: Apache-2.0
#pragma once

// How blocks move from several sources, such as the ranks of a peer group, into one destination.
//
//   auto gather = Gather::create({rank_0_view, rank_1_view}, destination_view,
//                                {.source = block_ids({4, 9}), .destination = block_ids({0, 1})});
//   for (const GatherPart& part : gather->parts()) {
//     RunCursor cursor = part.plan.cursor();      // from sources[part.source]
//   }

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "kvferry/base/result.hpp"
#include "kvferry/layout/view.hpp"
#include "kvferry/plan/plan.hpp"

namespace kvferry::plan {

/// What one source gives.
///
/// Lifetime: `blocks` points into the lists that the gather was made of.
struct GatherPart {
  std::size_t source{0};  ///< index in the list of sources
  BlockPairs blocks;      ///< which it feeds
  CopyPlan plan;
};

/// Two-sided plans whose destination ranges are disjoint.
///
/// Threads: immutable once made.
class Gather {
 public:
  /// Plans how the destination's blocks come from `sources`, each of which has the same source
  /// blocks. What several sources hold is shared out among them, block by block, so that each gives
  /// about as much and a source that fails spoils only the blocks that it feeds.
  ///
  /// Errors: kInvalidArgument for no source, and as CopyPlan::create(); kIncompatible naming the
  ///         source that cannot hold the destination's bytes, or the first axis and range that no
  ///         source holds, unless `options` allow a partial transfer.
  [[nodiscard]] static Result<Gather> create(std::span<const layout::LayoutView> sources,
                                             const layout::LayoutView& destination,
                                             const BlockPairs& blocks,
                                             const TemplateOptions& options = {});

  [[nodiscard]] std::span<const GatherPart> parts() const noexcept { return parts_; }
  /// The part of the destination's blocks, of the selected layers, that the sources hold.
  [[nodiscard]] double coverage() const noexcept { return coverage_; }
  [[nodiscard]] PlanSummary summary() const;

 private:
  Gather() = default;

  std::vector<GatherPart> parts_;
  std::size_t destination_blocks_{0};
  double coverage_{1.0};
};

}  // namespace kvferry::plan
