// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "kvferry/base/assert.hpp"
#include "kvferry/plan/plan.hpp"
#include "plan/nest.hpp"

namespace kvferry::plan {

using layout::Axis;

RunCursor::RunCursor(const CopyPlan& plan) noexcept : plan_{&plan} { start_series(); }

const detail::Nest& RunCursor::nest() const noexcept {
  const detail::Series& series = plan_->series_[series_];
  return series.length == 1 ? plan_->shape_->classes_[series.token_class].nest : merged_;
}

void RunCursor::start_series() {
  if (series_ == plan_->series_.size()) {
    rest_ = Run{};
    return;
  }
  const std::uint64_t length = plan_->series_[series_].length;
  if (length != 1) {
    merged_ = plan_->shape_->merged_nest(length);
  }
  at_.fill(0);
  load_run();
}

void RunCursor::load_run() {
  const detail::Nest& nest = this->nest();
  const detail::Series& series = plan_->series_[series_];
  rest_ = Run{nest.source, nest.destination, nest.piece_bytes, 1};
  const PlanTemplate& shape = *plan_->shape_;
  detail::advance(rest_.source, shape.source_, Axis::kBlock, series.source_block);
  detail::advance(rest_.destination, shape.destination_, Axis::kBlock, series.destination_block);
  const std::size_t loops = nest.depth - (nest.strided ? 1 : 0);
  for (std::size_t i = 0; i < loops; ++i) {
    const detail::Loop& loop = nest.loops[i];
    rest_.source.offset_bytes += at_[i] * loop.source_stride;
    rest_.source.region += static_cast<std::uint32_t>(at_[i]) * loop.source_region_step;
    rest_.destination.offset_bytes += at_[i] * loop.destination_stride;
    rest_.destination.region += static_cast<std::uint32_t>(at_[i]) * loop.destination_region_step;
  }
  if (nest.strided) {
    const detail::Loop& innermost = nest.loops[nest.depth - 1];
    rest_.count = innermost.extent;
    rest_.source.stride_bytes = innermost.source_stride;
    rest_.destination.stride_bytes = innermost.destination_stride;
  }
}

/// Goes on to the next run: of the innermost loop that is not at its end, else of the next series.
void RunCursor::step() {
  const detail::Nest& nest = this->nest();
  for (std::size_t i = nest.depth - (nest.strided ? 1 : 0); i-- > 0;) {
    if (++at_[i] < nest.loops[i].extent) {
      load_run();
      return;
    }
    at_[i] = 0;
  }
  blocks_before_ += plan_->series_[series_].completes;
  series_bytes_ = 0;
  ++series_;
  start_series();
}

bool RunCursor::next(Run& run, std::uint64_t max_bytes) {
  KVFERRY_ASSERT(max_bytes != 0, "a run of no bytes would never end");
  if (rest_.count == 0) {
    return false;
  }
  run = rest_;
  if (taken_bytes_ == 0 && rest_.bytes <= max_bytes) {
    run.count = std::min(rest_.count, max_bytes / rest_.bytes);
  } else {
    run.source.offset_bytes += taken_bytes_;
    run.destination.offset_bytes += taken_bytes_;
    run.bytes = std::min(max_bytes, rest_.bytes - taken_bytes_);
    run.count = 1;
    taken_bytes_ = (taken_bytes_ + run.bytes) % rest_.bytes;
  }
  const std::uint64_t pieces_taken = taken_bytes_ == 0 ? run.count : 0;
  rest_.source.offset_bytes += pieces_taken * rest_.source.stride_bytes;
  rest_.destination.offset_bytes += pieces_taken * rest_.destination.stride_bytes;
  rest_.count -= pieces_taken;
  series_bytes_ += run.total_bytes();
  if (run.count == 1) {
    run.source.stride_bytes = 0;
    run.destination.stride_bytes = 0;
  }
  if (rest_.count == 0) {
    step();
  }
  return true;
}

std::size_t RunCursor::completed_blocks() const noexcept {
  if (series_ == plan_->series_.size() || !nest().block_by_block) {
    return blocks_before_;
  }
  const std::uint64_t length = plan_->series_[series_].length;
  const std::uint64_t block_bytes = nest().pieces() * nest().piece_bytes / length;
  // A series of one block that is not at its end has completed none.
  return blocks_before_ + (length == 1 ? 0 : series_bytes_ / block_bytes);
}

}  // namespace kvferry::plan
