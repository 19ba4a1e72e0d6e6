// SPDX-License-Identifier: Apache-2.0
#pragma once

// How blocks move between two layouts: pure arithmetic, no memory is touched.
//
//   auto shape = PlanTemplate::create(source_view, destination_view, {.layers = {0, 16}});
//   auto plan = CopyPlan::create(*shape, {.source = block_ids({4, 9}), .destination = ...});
//   RunCursor cursor = plan->cursor();
//   for (Run run; cursor.next(run);) { ... }
//
// A PlanTemplate is computed once for two views and a range of layers; a CopyPlan adds the block
// ids; a RunCursor yields the strided runs one by one, without ever holding all of them.

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "kvferry/base/ids.hpp"
#include "kvferry/base/result.hpp"
#include "kvferry/base/run.hpp"
#include "kvferry/layout/compatibility.hpp"
#include "kvferry/layout/view.hpp"

namespace kvferry::plan {

/// Layers of the whole model, half open. Empty when `first` equals `end`.
struct LayerRange {
  static constexpr std::uint64_t kAll = std::numeric_limits<std::uint64_t>::max();

  std::uint64_t first{0};
  std::uint64_t end{kAll};  ///< kAll: up to the model's last

  friend constexpr bool operator==(const LayerRange&, const LayerRange&) = default;
};

/// What moves between two views, whatever the blocks.
struct TemplateOptions {
  LayerRange layers{};
  bool partial{false};  ///< move what both sides hold instead of refusing what is not covered
};

/// The blocks whose tokens move, paired in the order given. A source may repeat.
struct BlockPairs {
  std::span<const BlockId> source;
  std::span<const BlockId> destination;
};

namespace detail {

/// One loop of a nest: how often, and how far each side goes on. A region step goes on to another
/// region of the side's list instead.
struct Loop {
  layout::Axis axis{layout::Axis::kBlock};  ///< the outermost of those it stands for
  std::uint64_t extent{1};
  std::uint64_t source_stride{0};
  std::uint64_t destination_stride{0};
  std::uint32_t source_region_step{0};
  std::uint32_t destination_region_step{0};
};

/// The most loops that are left after merging: block, layer, outer, token, head.
inline constexpr std::size_t kMaxLoops = 5;

/// Nested loops around one piece that is contiguous on both sides.
struct Nest {
  std::array<Loop, kMaxLoops> loops{};  ///< outermost first
  std::size_t depth{0};                 ///< loops in use
  bool strided{false};                  ///< whether the innermost loop is the count of a run
  bool block_by_block{true};            ///< whether one block is whole before the next begins
  std::uint64_t piece_bytes{0};
  RunEnd source;  ///< the first piece, for blocks at offset 0
  RunEnd destination;

  /// How many pieces all loops make.
  [[nodiscard]] std::uint64_t pieces() const noexcept;
};

/// Where a series begins: a pair of blocks where both pages are equal, else a token.
struct SeriesStart {
  std::uint64_t at{0};
  std::size_t token_class{0};  ///< index of the template's token class
};

/// Block pairs, or a part of one, that one nest carries out.
struct Series {
  std::uint64_t source_block{0};
  std::uint64_t destination_block{0};
  std::uint64_t length{0};     ///< block pairs, both ids going up by one; 0: there are none left
  std::uint64_t completes{0};  ///< destination blocks that are whole after it
  std::size_t token_class{0};
  SeriesStart next;
};

}  // namespace detail

/// Two views and a range of layers, aligned in the coordinates of the whole model.
///
/// Threads: immutable once made.
class PlanTemplate {
 public:
  /// Errors: kIncompatible when the views cannot hold each other's bytes (with the reason), or
  ///         when the source does not cover the destination (naming the first uncovered axis and
  ///         range) unless that is allowed; kInvalidArgument for layers past the model's.
  [[nodiscard]] static Result<std::shared_ptr<const PlanTemplate>> create(
      const layout::LayoutView& source, const layout::LayoutView& destination,
      const TemplateOptions& options = {});

  /// How the views stand to each other.
  [[nodiscard]] const layout::Compatibility& compatibility() const noexcept {
    return compatibility_;
  }
  /// The part of the destination's blocks, of the selected layers, that the source holds.
  [[nodiscard]] double coverage() const noexcept { return coverage_; }
  /// The two sides, cut to what both hold of the selected layers; as they were where that is
  /// nothing. Regions are counted as in the views that the template was made of.
  [[nodiscard]] const layout::LayoutView& source() const noexcept { return source_; }
  [[nodiscard]] const layout::LayoutView& destination() const noexcept { return destination_; }

 private:
  friend class CopyPlan;
  friend class RunCursor;

  /// Tokens [source_token, source_token + tokens) of a source block go to a destination block.
  struct TokenClass {
    std::uint64_t source_token{0};
    std::uint64_t destination_token{0};
    std::uint64_t tokens{0};
    detail::Nest nest;                  ///< of one block pair
    std::uint64_t pieces_per_outer{0};  ///< contiguous pieces of one (layer, outer)

    /// Of one block pair.
    [[nodiscard]] std::uint64_t bytes() const noexcept { return nest.pieces() * nest.piece_bytes; }
  };

  PlanTemplate(layout::LayoutView source, layout::LayoutView destination)
      : source_{std::move(source)}, destination_{std::move(destination)} {}

  [[nodiscard]] Result<void> make_classes();
  /// The nest of `blocks` consecutive block pairs with equal pages.
  [[nodiscard]] detail::Nest merged_nest(std::uint64_t blocks) const;

  layout::LayoutView source_;  ///< cut to what both sides hold
  layout::LayoutView destination_;
  layout::Compatibility compatibility_;
  double coverage_{1.0};
  bool empty_{false};  ///< nothing to move, whatever the blocks
  std::vector<TokenClass> classes_;
};

/// What a plan amounts to.
struct PlanSummary {
  std::uint64_t block_pairs{0};   ///< destination blocks
  std::uint64_t bytes_useful{0};  ///< distinct destination bytes
  std::uint64_t bytes_moved{0};
  std::uint64_t runs_before{0};   ///< pieces contiguous inside one (block pair, layer, outer)
  std::uint64_t runs{0};          ///< contiguous copies that are really made
  std::uint64_t smallest_run{0};  ///< bytes; 0 when there is none
  std::uint64_t largest_run{0};
  double coverage{1.0};

  /// Takes in another plan into the same blocks, of other bytes of them.
  void add(const PlanSummary& other) noexcept;
};

class CopyPlan;

/// Walks over the runs of a plan.
///
/// Threads:  one at a time.
/// Lifetime: the plan outlives it.
class RunCursor {
 public:
  explicit RunCursor(const CopyPlan& plan) noexcept;

  /// Writes the next runs, each of at most `max_bytes` (not 0), until there is no other, no room
  /// for it, or they have max_bytes or more in all. Says how many; none at the end.
  std::size_t next(std::span<Run> runs, std::uint64_t max_bytes = kNoLimit);

  /// Writes the next run, and says whether there was one.
  bool next(Run& run, std::uint64_t max_bytes = kNoLimit) {
    return next({&run, 1}, max_bytes) != 0;
  }

  /// How many of CopyPlan::destination_blocks(), from the first, are whole once every run that
  /// next() gave has been carried out.
  [[nodiscard]] std::size_t completed_blocks() const noexcept;

 private:
  static constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

  /// A place of one side.
  struct Spot {
    void move(std::uint64_t count, std::uint64_t stride_bytes, std::uint32_t region_step) noexcept {
      offset_bytes += count * stride_bytes;
      region += static_cast<std::uint32_t>(count) * region_step;
    }

    std::uint64_t offset_bytes{0};
    std::uint32_t region{0};
  };

  [[nodiscard]] static Spot first_spot(RunEnd end, const layout::LayoutView& view,
                                       std::uint64_t block) noexcept;
  [[nodiscard]] const detail::Nest& nest() const noexcept;
  void start_series(const detail::SeriesStart& start);
  void step(std::uint64_t runs);
  [[nodiscard]] std::size_t take_whole(std::span<Run> runs, std::uint64_t enough_bytes) const;
  std::uint64_t take_part(Run& run, std::uint64_t max_bytes);

  const CopyPlan* plan_;
  detail::Series series_;
  std::size_t blocks_before_{0};                       ///< completed by the series before this one
  std::uint64_t series_bytes_{0};                      ///< given of the current series
  const detail::Nest* shared_nest_{nullptr};           ///< of a series of one block: the template's
  detail::Nest merged_;                                ///< of a longer one
  std::size_t loops_{0};                               ///< outside of one run
  std::array<std::uint64_t, detail::kMaxLoops> at_{};  ///< of each loop
  Spot source_;                                        ///< of the current run's first piece
  Spot destination_;
  std::uint64_t piece_bytes_{0};
  std::uint64_t run_pieces_{0};  ///< of every run of the series; 0: the plan is at its end
  std::uint64_t source_stride_{0};
  std::uint64_t destination_stride_{0};
  std::uint64_t pieces_taken_{0};  ///< of the current run
  std::uint64_t taken_bytes_{0};   ///< of the piece after those
};

/// Everything that one transfer moves.
///
/// Threads: immutable once made.
class CopyPlan {
 public:
  /// Errors: kInvalidArgument for an id out of range, a destination named twice, or lists that do
  ///         not name the same number of tokens.
  [[nodiscard]] static Result<CopyPlan> create(std::shared_ptr<const PlanTemplate> shape,
                                               const BlockPairs& blocks);

  [[nodiscard]] RunCursor cursor() const noexcept { return RunCursor{*this}; }
  [[nodiscard]] PlanSummary summary() const;
  [[nodiscard]] const PlanTemplate& shape() const noexcept { return *shape_; }
  /// For other plans of the same shape.
  [[nodiscard]] const std::shared_ptr<const PlanTemplate>& shared_shape() const noexcept {
    return shape_;
  }

  /// Bytes that all runs move.
  [[nodiscard]] std::uint64_t total_bytes() const noexcept { return total_bytes_; }

  /// With equal pages, the source of each of destination_blocks(); else the blocks whose tokens,
  /// one after the other, are those of the destination blocks.
  [[nodiscard]] std::span<const BlockId> source_blocks() const noexcept { return source_blocks_; }
  /// The destination blocks in the order in which the runs complete them.
  [[nodiscard]] std::span<const BlockId> destination_blocks() const noexcept {
    return destination_blocks_;
  }

 private:
  friend class RunCursor;

  explicit CopyPlan(std::shared_ptr<const PlanTemplate> shape) : shape_{std::move(shape)} {}

  void take_blocks(const BlockPairs& blocks, std::span<const std::size_t> order);
  [[nodiscard]] detail::Series series_at(const detail::SeriesStart& start) const noexcept;
  [[nodiscard]] detail::Series neighbours_from(std::uint64_t pair) const noexcept;
  [[nodiscard]] detail::Series stretch_from(const detail::SeriesStart& start) const noexcept;

  std::shared_ptr<const PlanTemplate> shape_;  // shared: with a cache and other plans
  std::vector<BlockId> source_blocks_;
  std::vector<BlockId> destination_blocks_;
  bool equal_pages_{true};
  std::uint64_t end_{0};  ///< of what a SeriesStart counts
  std::uint64_t total_bytes_{0};
};

}  // namespace kvferry::plan
