// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "kvferry/base/assert.hpp"
#include "kvferry/plan/plan.hpp"
#include "plan/nest.hpp"

namespace kvferry::plan {

using layout::Axis;

RunCursor::Spot RunCursor::first_spot(RunEnd end, const layout::LayoutView& view,
                                      std::uint64_t block) noexcept {
  detail::advance(end, view, Axis::kBlock, block);
  return {end.offset_bytes, end.region};
}

RunCursor::RunCursor(const CopyPlan& plan) noexcept : plan_{&plan} { start_series({}); }

const detail::Nest& RunCursor::nest() const noexcept {
  return shared_nest_ != nullptr ? *shared_nest_ : merged_;
}

void RunCursor::start_series(const detail::SeriesStart& start) {
  if (start.at == plan_->end_) {
    series_ = {};
    run_pieces_ = 0;
    return;
  }
  const PlanTemplate& shape = *plan_->shape_;
  series_ = plan_->series_at(start);
  if (series_.length == 1) {
    shared_nest_ = &shape.classes_[series_.token_class].nest;
  } else {
    shared_nest_ = nullptr;
    merged_ = shape.merged_nest(series_.length);
  }
  const detail::Nest& nest = this->nest();
  at_.fill(0);
  source_ = first_spot(nest.source, shape.source_, series_.source_block);
  destination_ = first_spot(nest.destination, shape.destination_, series_.destination_block);
  loops_ = nest.depth;
  piece_bytes_ = nest.piece_bytes;
  const detail::Loop pieces = nest.strided ? nest.loops[--loops_] : detail::Loop{};
  run_pieces_ = pieces.extent;
  source_stride_ = pieces.source_stride;
  destination_stride_ = pieces.destination_stride;
}

/// Goes on by `runs`, which are no more than what is left of the innermost loop; past its end to
/// the next turn of the loop around it, past the end of all loops to the next series.
void RunCursor::step(std::uint64_t runs) {
  const detail::Nest& nest = this->nest();
  for (std::size_t i = loops_; i-- > 0;) {
    const detail::Loop& loop = nest.loops[i];
    at_[i] += runs;
    if (at_[i] < loop.extent) {
      source_.move(runs, loop.source_stride, loop.source_region_step);
      destination_.move(runs, loop.destination_stride, loop.destination_region_step);
      return;
    }
    // Back to where the loop began: unsigned numbers wrap around, as they must.
    const std::uint64_t back = runs - loop.extent;
    at_[i] = 0;
    source_.move(back, loop.source_stride, loop.source_region_step);
    destination_.move(back, loop.destination_stride, loop.destination_region_step);
    runs = 1;
  }
  blocks_before_ += series_.completes;
  series_bytes_ = 0;
  start_series(series_.next);
}

std::size_t RunCursor::next(std::span<Run> runs, std::uint64_t max_bytes) {
  KVFERRY_ASSERT(max_bytes != 0, "a run of no bytes would never end");
  std::size_t count = 0;
  for (std::uint64_t bytes = 0; count < runs.size() && bytes < max_bytes && run_pieces_ != 0;) {
    if (pieces_taken_ != 0 || taken_bytes_ != 0 || run_pieces_ * piece_bytes_ > max_bytes) {
      bytes += take_part(runs[count], max_bytes);
      ++count;
    } else {
      const std::size_t taken = take_whole(runs.subspan(count), max_bytes - bytes);
      bytes += taken * run_pieces_ * piece_bytes_;
      count += taken;
      series_bytes_ += taken * run_pieces_ * piece_bytes_;
      step(taken);
    }
  }
  return count;
}

/// Writes runs of the innermost loop until they have `enough_bytes`, and says how many.
std::size_t RunCursor::take_whole(std::span<Run> runs, std::uint64_t enough_bytes) const {
  // Locals, because writing through `runs` could change a member, for all that a compiler knows.
  const std::size_t innermost = loops_ - 1;
  const detail::Loop loop = loops_ == 0 ? detail::Loop{} : nest().loops[innermost];
  const std::uint64_t left = loops_ == 0 ? 1 : loop.extent - at_[innermost];
  const std::uint64_t most = std::min<std::uint64_t>(runs.size(), left);
  const std::uint64_t run_bytes = run_pieces_ * piece_bytes_;
  Run run{{source_.region, source_.offset_bytes, source_stride_},
          {destination_.region, destination_.offset_bytes, destination_stride_},
          piece_bytes_,
          run_pieces_};
  std::size_t count = 0;
  for (std::uint64_t bytes = 0; count < most && bytes < enough_bytes; bytes += run_bytes) {
    runs[count++] = run;
    run.source.offset_bytes += loop.source_stride;
    run.source.region += loop.source_region_step;
    run.destination.offset_bytes += loop.destination_stride;
    run.destination.region += loop.destination_region_step;
  }
  return count;
}

/// Writes what fits into `max_bytes` of what is left of the current run: some pieces, or a part of
/// one. Says how many bytes that is.
std::uint64_t RunCursor::take_part(Run& run, std::uint64_t max_bytes) {
  const auto end = [this](const Spot& spot, std::uint64_t stride) {
    return RunEnd{spot.region, spot.offset_bytes + pieces_taken_ * stride + taken_bytes_, stride};
  };
  run = {end(source_, source_stride_), end(destination_, destination_stride_), piece_bytes_,
         run_pieces_ - pieces_taken_};
  if (taken_bytes_ == 0 && piece_bytes_ <= max_bytes) {
    run.count = std::min(run.count, max_bytes / piece_bytes_);
    pieces_taken_ += run.count;
  } else {
    run.bytes = std::min(max_bytes, piece_bytes_ - taken_bytes_);
    run.count = 1;
    taken_bytes_ = (taken_bytes_ + run.bytes) % piece_bytes_;
    pieces_taken_ += taken_bytes_ == 0 ? 1 : 0;
  }
  if (run.count == 1) {
    run.source.stride_bytes = 0;
    run.destination.stride_bytes = 0;
  }
  series_bytes_ += run.total_bytes();
  if (pieces_taken_ == run_pieces_) {
    pieces_taken_ = 0;
    step(1);
  }
  return run.total_bytes();
}

std::size_t RunCursor::completed_blocks() const noexcept {
  if (series_.length <= 1 || !nest().block_by_block) {
    return blocks_before_;  // A series of one block that is not at its end has completed none.
  }
  const std::uint64_t block_bytes = nest().pieces() * nest().piece_bytes / series_.length;
  return blocks_before_ + series_bytes_ / block_bytes;
}

}  // namespace kvferry::plan
