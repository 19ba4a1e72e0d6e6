// SPDX-License-Identifier: Apache-2.0
// What of a transfer has arrived, what of that is good, and who is told.
#include <algorithm>
#include <utility>

#include "kvferry/base/try.hpp"
#include "transfer/state.hpp"

namespace kvferry::transfer {

Result<void> TransferState::note_arrived(std::size_t blocks) {
  if (parts_.source_guards == nullptr) {
    sound_blocks_ = blocks;
  }
  if (parts_.verification != nullptr) {
    parts_.verification->arrived(blocks);
    verify_time_ = parts_.verification->time().count();
  }
  return look_at_digests();
}

Result<void> TransferState::look_at_digests() {
  if (parts_.verification == nullptr) {
    note_good(sound_blocks_);
    return {};
  }
  Verification& verification = *parts_.verification;
  const std::size_t known = verification.wrong().size();
  KVFERRY_RETURN_IF_ERROR(verification.look());
  if (verification.wrong().size() != known) {
    const MutexLock lock{mutex_};
    known_bad_ = verification.wrong();
  }
  note_good(std::min(sound_blocks_, verification.compared()));
  return {};
}

/// All bytes have arrived; the answers of who tells digests may not have.
TransferState::Step TransferState::verify() {
  if (!parts_.verification->done()) {
    return Step::kWaiting;
  }
  if (parts_.source_guards == nullptr) {
    return finish_arrived({});
  }
  stage_ = Stage::kGuardsAfter;
  return Step::kMore;
}

void TransferState::note_good(std::size_t blocks) {
  good_blocks_ = blocks;
  const std::size_t good_plans = good_plans_;
  while (good_plans_ < parts_.plans.size()) {
    const std::size_t of_plan = parts_.plans[good_plans_].plan.destination_blocks().size();
    if (blocks < blocks_of_good_plans_ + of_plan) {
      break;
    }
    blocks_of_good_plans_ += of_plan;
    ++good_plans_;
  }
  if (good_plans_ == good_plans) {
    return;
  }
  std::uint64_t next =
      good_plans_ == parts_.plans.size() ? kNoLayer : parts_.plans[good_plans_].layer;
  if (parts_.verification != nullptr) {
    next = std::min(next, parts_.verification->first_wrong_layer().value_or(kNoLayer));
  }
  const MutexLock lock{mutex_};
  next_layer_.store(next, std::memory_order_release);
  ended_.notify_all();
}

TransferState::Step TransferState::finish_arrived(Result<void> unchanged) {
  std::vector<BlockId> bad;
  if (!unchanged) {
    bad = parts_.source_guards->changed();
  }
  const Verification* const verification = parts_.verification.get();
  std::optional<Error> error;
  if (verification != nullptr && !verification->wrong().empty()) {
    error = verification->difference();
    // Bytes that differ because their block changed are not wrong, but of another time.
    const bool all_changed = std::ranges::all_of(verification->wrong(), [&bad](BlockId block) {
      return std::ranges::binary_search(bad, block);
    });
    bad.insert(bad.end(), verification->wrong().begin(), verification->wrong().end());
    if (all_changed) {
      error.reset();
    }
  }
  if (!unchanged && !error) {
    error = std::move(unchanged).error();
  }
  if (error) {
    const MutexLock lock{mutex_};
    known_bad_ = std::move(bad);
    all_arrived_ = true;
  } else {
    sound_blocks_ = blocks_before_plan_ + parts_.plans[plan_].plan.destination_blocks().size();
    note_good(sound_blocks_);
  }
  return finish(std::move(error));
}

}  // namespace kvferry::transfer
