// SPDX-License-Identifier: Apache-2.0
#include "kvferry/plan/plan.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "kvferry/base/checked.hpp"
#include "kvferry/base/try.hpp"
#include "plan/id_order.hpp"
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

Result<void> check_numbers(const BlockPairs& blocks, const LayoutView& source,
                           const LayoutView& destination) {
  KVFERRY_RETURN_IF_ERROR(check_lengths(blocks, source.page_size(), destination.page_size()));
  KVFERRY_RETURN_IF_ERROR(check_ids(blocks.source, source.axis(Axis::kBlock).extent, "source"));
  return check_ids(blocks.destination, destination.axis(Axis::kBlock).extent, "destination");
}

/// As detail::ascending_places(), of the destination's blocks.
Result<std::vector<std::size_t>> order_of(const BlockPairs& blocks, const LayoutView& destination) {
  return detail::ascending_places(blocks.destination, destination.axis(Axis::kBlock).extent);
}

}  // namespace

Result<void> detail::check_pairs(const BlockPairs& blocks, const LayoutView& source,
                                 const LayoutView& destination) {
  KVFERRY_RETURN_IF_ERROR(check_numbers(blocks, source, destination));
  KVFERRY_RETURN_IF_ERROR(order_of(blocks, destination));
  return {};
}

Result<CopyPlan> CopyPlan::create(std::shared_ptr<const PlanTemplate> shape,
                                  const BlockPairs& blocks) {
  KVFERRY_RETURN_IF_ERROR(check_numbers(blocks, shape->source_, shape->destination_));
  KVFERRY_ASSIGN_OR_RETURN(const std::vector<std::size_t> order,
                           order_of(blocks, shape->destination_));
  CopyPlan plan{std::move(shape)};
  if (!plan.shape_->empty_) {
    plan.take_blocks(blocks, order);
  }
  return plan;
}

/// With equal pages, pairs are taken in the order of their destinations, because neighbours merge
/// wherever the caller put them.
void CopyPlan::take_blocks(const BlockPairs& blocks, std::span<const std::size_t> order) {
  const std::uint64_t page = shape_->destination_.axis(Axis::kToken).extent;
  equal_pages_ = shape_->source_.axis(Axis::kToken).extent == page;
  const std::size_t count = blocks.destination.size();
  if (equal_pages_ && !order.empty()) {
    source_blocks_.resize(count);
    destination_blocks_.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
      source_blocks_[i] = blocks.source[order[i]];
      destination_blocks_[i] = blocks.destination[order[i]];
    }
  } else {
    source_blocks_.assign(blocks.source.begin(), blocks.source.end());
    destination_blocks_.assign(blocks.destination.begin(), blocks.destination.end());
  }
  end_ = equal_pages_ ? count : count * page;
  // The classes repeat until both sides end together; every destination block has the same bytes.
  std::uint64_t bytes = 0;
  std::uint64_t tokens = 0;
  for (const PlanTemplate::TokenClass& stretch : shape_->classes_) {
    bytes += stretch.bytes();
    tokens += stretch.tokens;
  }
  total_bytes_ = bytes / (tokens / page) * count;
}

detail::Series CopyPlan::series_at(const detail::SeriesStart& start) const noexcept {
  return equal_pages_ ? neighbours_from(start.at) : stretch_from(start);
}

/// Pairs of blocks that follow each other on both sides are one series.
detail::Series CopyPlan::neighbours_from(std::uint64_t pair) const noexcept {
  const std::uint64_t from = source_blocks_[pair].value();
  const std::uint64_t to = destination_blocks_[pair].value();
  std::uint64_t length = 1;
  while (pair + length < end_ && source_blocks_[pair + length].value() == from + length &&
         destination_blocks_[pair + length].value() == to + length) {
    ++length;
  }
  return {from, to, length, length, 0, {pair + length, 0}};
}

/// Unequal pages: a stretch of tokens that lies in one block on both sides is one series.
detail::Series CopyPlan::stretch_from(const detail::SeriesStart& start) const noexcept {
  const std::uint64_t source_page = shape_->source_.axis(Axis::kToken).extent;
  const std::uint64_t destination_page = shape_->destination_.axis(Axis::kToken).extent;
  const std::size_t which = start.token_class;
  const std::uint64_t after = start.at + shape_->classes_[which].tokens;
  return {source_blocks_[start.at / source_page].value(),
          destination_blocks_[start.at / destination_page].value(),
          1,
          after % destination_page == 0 ? 1U : 0U,
          which,
          {after, (which + 1) % shape_->classes_.size()}};
}

void PlanSummary::add(const PlanSummary& other) noexcept {
  block_pairs = std::max(block_pairs, other.block_pairs);
  bytes_useful += other.bytes_useful;
  bytes_moved += other.bytes_moved;
  runs_before += other.runs_before;
  runs += other.runs;
  if (smallest_run == 0 || (other.smallest_run != 0 && other.smallest_run < smallest_run)) {
    smallest_run = other.smallest_run;
  }
  largest_run = std::max(largest_run, other.largest_run);
  coverage = std::min(coverage, other.coverage);
}

PlanSummary CopyPlan::summary() const {
  PlanSummary summary;
  summary.block_pairs = destination_blocks_.size();
  summary.bytes_useful = total_bytes_;
  summary.bytes_moved = total_bytes_;
  summary.coverage = shape_->coverage_;
  const std::uint64_t outers =
      shape_->source_.axis(Axis::kLayer).extent * shape_->source_.axis(Axis::kOuter).extent;
  for (detail::SeriesStart start; start.at != end_;) {
    const detail::Series series = series_at(start);
    const PlanTemplate::TokenClass& tokens = shape_->classes_[series.token_class];
    const detail::Nest nest = series.length == 1 ? tokens.nest : shape_->merged_nest(series.length);
    summary.runs_before += series.length * outers * tokens.pieces_per_outer;
    summary.runs += nest.pieces();
    summary.smallest_run = summary.smallest_run == 0
                               ? nest.piece_bytes
                               : std::min(summary.smallest_run, nest.piece_bytes);
    summary.largest_run = std::max(summary.largest_run, nest.piece_bytes);
    start = series.next;
  }
  return summary;
}

}  // namespace kvferry::plan
