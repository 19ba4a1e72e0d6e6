// SPDX-License-Identifier: Apache-2.0
#include "transfer/guard_check.hpp"

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>

#include "base/fence.hpp"

namespace kvferry::transfer {
namespace {

constexpr std::uint64_t kNumberBytes = sizeof(std::uint64_t);

std::string named(BlockId block) { return "source block " + std::to_string(block.value()); }

/// Loads each number by itself, as its writer stores it.
class LocalGuardReader final : public HostCopyExecutor {
 public:
  LocalGuardReader(BlockGuardsPtr guards, std::shared_ptr<GuardCheck::Numbers> buffer)
      : guards_{std::move(guards)}, buffer_{std::move(buffer)} {}

  [[nodiscard]] Result<std::optional<agent::RequestId>> post(
      const Posting& posting) const override {
    for (const Run& run : posting.runs) {
      const std::uint64_t first = run.source.offset_bytes / kNumberBytes;
      for (std::uint64_t i = 0; i < run.bytes / kNumberBytes; ++i) {
        const auto number = guards_->sequence(BlockId{first + i});
        if (!number) {
          return number.error();
        }
        (*buffer_)[run.destination.offset_bytes / kNumberBytes + i] = *number;
      }
    }
    return std::optional<agent::RequestId>{};
  }

 private:
  BlockGuardsPtr guards_;
  std::shared_ptr<GuardCheck::Numbers> buffer_;
};

}  // namespace

Result<std::unique_ptr<GuardCheck>> GuardCheck::create(const GuardedBlocks& blocks,
                                                       std::span<const std::uint64_t> expected) {
  if (!expected.empty() && expected.size() != blocks.source.size()) {
    return Error{ErrorCode::kInvalidArgument,
                 "expected_sequences: " + std::to_string(expected.size()) + " for " +
                     std::to_string(blocks.source.size()) + " source blocks"};
  }
  // make_unique cannot reach the private constructor.
  std::unique_ptr<GuardCheck> check{new GuardCheck};
  check->sources_.assign(blocks.source.begin(), blocks.source.end());
  check->destinations_.assign(blocks.destination.begin(), blocks.destination.end());
  check->source_page_ = blocks.source_page;
  check->destination_page_ = blocks.destination_page;
  check->expected_.assign(expected.begin(), expected.end());
  check->buffer_ = std::make_shared<Numbers>(blocks.source.size());
  return check;
}

std::span<const Run> GuardCheck::next_runs() {
  if (asked_ == 0) {
    fence<std::memory_order_acquire>();  // What was copied until here was read before they are.
  }
  runs_.clear();
  // Runs of one read lie within what the agent takes at once, as if none of them were joined.
  const std::uint64_t largest = reader_->largest_post_bytes();
  const std::uint64_t most =
      largest == 0 ? kMostOfRead
                   : std::clamp<std::uint64_t>(largest / kNumberBytes, 1, kMostOfRead);
  const std::size_t end = std::min<std::size_t>(sources_.size(), asked_ + most);
  for (; asked_ < end; ++asked_) {
    const bool follows =
        !runs_.empty() && sources_[asked_].value() == sources_[asked_ - 1].value() + 1;
    if (follows) {
      runs_.back().bytes += kNumberBytes;
      continue;
    }
    runs_.push_back(Run{.source = {0, sources_[asked_].value() * kNumberBytes, 0},
                        .destination = {0, asked_ * kNumberBytes, 0},
                        .bytes = kNumberBytes,
                        .count = 1});
  }
  return runs_;
}

Result<void> GuardCheck::end_before() {
  before_ = *buffer_;
  asked_ = 0;
  fence<std::memory_order_acquire>();  // What is copied from here on is not older than they are.
  for (std::size_t i = 0; i < expected_.size(); ++i) {
    if (before_[i] != expected_[i]) {
      return Error{ErrorCode::kStale, named(sources_[i]) + " has sequence number " +
                                          std::to_string(before_[i]) + ", not " +
                                          std::to_string(expected_[i])};
    }
  }
  return {};
}

Result<void> GuardCheck::end_after() {
  const Numbers& after = *buffer_;
  asked_ = 0;
  changed_.clear();
  std::optional<Error> first;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    if (before_[i] % 2 == 0 && before_[i] == after[i]) {
      continue;
    }
    if (!first.has_value()) {
      first = Error{ErrorCode::kStale, named(sources_[i]) + " changed while it was copied: " +
                                           "sequence number " + std::to_string(before_[i]) +
                                           " before, " + std::to_string(after[i]) + " after"};
    }
    const std::uint64_t begin = i * source_page_ / destination_page_;
    const std::uint64_t end = ((i + 1) * source_page_ + destination_page_ - 1) / destination_page_;
    changed_.insert(changed_.end(), destinations_.begin() + static_cast<std::ptrdiff_t>(begin),
                    destinations_.begin() + static_cast<std::ptrdiff_t>(end));
  }
  std::sort(changed_.begin(), changed_.end());
  changed_.erase(std::unique(changed_.begin(), changed_.end()), changed_.end());
  return first.has_value() ? Result<void>{*std::move(first)} : Result<void>{};
}

std::unique_ptr<const Executor> make_guard_reader(BlockGuardsPtr guards,
                                                  std::shared_ptr<GuardCheck::Numbers> buffer) {
  return std::make_unique<const LocalGuardReader>(std::move(guards), std::move(buffer));
}

}  // namespace kvferry::transfer
