// SPDX-License-Identifier: Apache-2.0
#include "kvferry/plan/plan.hpp"

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

#include "kvferry/base/checked.hpp"
#include "kvferry/base/try.hpp"
#include "plan/nest.hpp"
#include "plan/ranges.hpp"

namespace kvferry::plan {
namespace {

using layout::Axis;
using layout::LayoutView;

Result<void> check_ids(std::span<const BlockId> ids, std::uint64_t blocks, std::string_view side) {
  for (const BlockId id : ids) {
    if (id.value() >= blocks) {
      return Error{ErrorCode::kInvalidArgument, std::string{side} + " block " +
                                                    std::to_string(id.value()) + " of " +
                                                    std::to_string(blocks)};
    }
  }
  return {};
}

/// Whether `ids` go up from each one to the next; then no id can stand there twice.
bool ascending(std::span<const BlockId> ids) {
  return std::adjacent_find(ids.begin(), ids.end(), [](BlockId a, BlockId b) { return a >= b; }) ==
         ids.end();
}

Result<void> check_unique(std::span<const BlockId> ids) {
  if (ascending(ids)) {
    return {};
  }
  std::vector<BlockId> sorted{ids.begin(), ids.end()};
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end()) {
    return Error{ErrorCode::kInvalidArgument,
                 "destination block " + std::to_string(twice->value()) + " is named twice"};
  }
  return {};
}

Result<void> check_lengths(const BlockPairs& blocks, std::uint64_t source_page,
                           std::uint64_t destination_page) {
  const std::uint64_t from = blocks.source.size();
  const std::uint64_t to = blocks.destination.size();
  if (source_page == destination_page) {
    if (from == to) {
      return {};
    }
    return Error{ErrorCode::kInvalidArgument, std::to_string(from) + " source blocks against " +
                                                  std::to_string(to) + " destination blocks"};
  }
  const auto from_tokens = checked_product({from, source_page});
  const auto to_tokens = checked_product({to, destination_page});
  if (from_tokens && to_tokens && *from_tokens == *to_tokens) {
    return {};
  }
  const auto side = [](std::uint64_t count, std::uint64_t page) {
    return std::to_string(count) + " blocks of " + std::to_string(page) + " tokens";
  };
  return Error{ErrorCode::kInvalidArgument, "source: " + side(from, source_page) +
                                                "; destination: " + side(to, destination_page) +
                                                "; the numbers of tokens differ"};
}

/// The positions of `ids` in ascending order of the ids; nothing where they ascend as they are.
std::vector<std::size_t> ascending_positions(std::span<const BlockId> ids) {
  std::vector<std::size_t> positions;
  if (!ascending(ids)) {
    positions.resize(ids.size());
    std::iota(positions.begin(), positions.end(), std::size_t{0});
    std::sort(positions.begin(), positions.end(),
              [ids](std::size_t a, std::size_t b) { return ids[a] < ids[b]; });
  }
  return positions;
}

}  // namespace

Result<void> detail::check_pairs(const BlockPairs& blocks, const LayoutView& source,
                                 const LayoutView& destination) {
  KVFERRY_RETURN_IF_ERROR(check_lengths(blocks, source.page_size(), destination.page_size()));
  KVFERRY_RETURN_IF_ERROR(check_ids(blocks.source, source.axis(Axis::kBlock).extent, "source"));
  KVFERRY_RETURN_IF_ERROR(
      check_ids(blocks.destination, destination.axis(Axis::kBlock).extent, "destination"));
  return check_unique(blocks.destination);
}

Result<CopyPlan> CopyPlan::create(std::shared_ptr<const PlanTemplate> shape,
                                  const BlockPairs& blocks) {
  const std::uint64_t source_page = shape->source_.axis(Axis::kToken).extent;
  const std::uint64_t destination_page = shape->destination_.axis(Axis::kToken).extent;
  KVFERRY_RETURN_IF_ERROR(detail::check_pairs(blocks, shape->source_, shape->destination_));
  CopyPlan plan{std::move(shape)};
  if (plan.shape_->empty_) {
    return plan;
  }
  if (source_page == destination_page) {
    plan.pair_blocks(blocks);
  } else {
    plan.pair_tokens(blocks, source_page, destination_page);
  }
  for (const detail::Series& series : plan.series_) {
    const detail::Nest& nest = plan.shape_->classes_[series.token_class].nest;
    plan.total_bytes_ += nest.pieces() * nest.piece_bytes * series.length;
  }
  return plan;
}

/// Equal pages: pairs of blocks that follow each other on both sides become one series. They are
/// taken in the order of their destinations, because neighbours merge wherever the caller put them.
void CopyPlan::pair_blocks(const BlockPairs& blocks) {
  destination_blocks_.reserve(blocks.destination.size());
  const std::vector<std::size_t> positions = ascending_positions(blocks.destination);
  for (std::size_t n = 0; n < blocks.destination.size(); ++n) {
    const std::size_t i = positions.empty() ? n : positions[n];
    const std::uint64_t from = blocks.source[i].value();
    const std::uint64_t to = blocks.destination[i].value();
    destination_blocks_.push_back(blocks.destination[i]);
    if (!series_.empty()) {
      detail::Series& last = series_.back();
      if (last.source_block + last.length == from && last.destination_block + last.length == to) {
        ++last.length;
        ++last.completes;
        continue;
      }
    }
    series_.push_back(detail::Series{from, to, 1, 1, 0});
  }
}

/// Unequal pages: one series for each stretch of tokens that lies in one block on both sides.
void CopyPlan::pair_tokens(const BlockPairs& blocks, std::uint64_t source_page,
                           std::uint64_t destination_page) {
  destination_blocks_.assign(blocks.destination.begin(), blocks.destination.end());
  const std::uint64_t tokens = blocks.destination.size() * destination_page;
  std::size_t which = 0;
  for (std::uint64_t token = 0; token < tokens;) {
    const PlanTemplate::TokenClass& stretch = shape_->classes_[which];
    detail::Series series;
    series.source_block = blocks.source[token / source_page].value();
    series.destination_block = blocks.destination[token / destination_page].value();
    series.token_class = which;
    token += stretch.tokens;
    series.completes = token % destination_page == 0 ? 1 : 0;
    series_.push_back(series);
    which = (which + 1) % shape_->classes_.size();
  }
}

PlanSummary CopyPlan::summary() const {
  PlanSummary summary;
  summary.block_pairs = destination_blocks_.size();
  summary.bytes_useful = total_bytes_;
  summary.bytes_moved = total_bytes_;
  summary.coverage = shape_->coverage_;
  const std::uint64_t outers =
      shape_->source_.axis(Axis::kLayer).extent * shape_->source_.axis(Axis::kOuter).extent;
  for (const detail::Series& series : series_) {
    const PlanTemplate::TokenClass& tokens = shape_->classes_[series.token_class];
    const detail::Nest nest = series.length == 1 ? tokens.nest : shape_->merged_nest(series.length);
    summary.runs_before += series.length * outers * tokens.pieces_per_outer;
    summary.runs += nest.pieces();
    summary.smallest_run = summary.smallest_run == 0
                               ? nest.piece_bytes
                               : std::min(summary.smallest_run, nest.piece_bytes);
    summary.largest_run = std::max(summary.largest_run, nest.piece_bytes);
  }
  return summary;
}

}  // namespace kvferry::plan
