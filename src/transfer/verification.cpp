// SPDX-License-Identifier: Apache-2.0
#include "transfer/verification.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <string>
#include <utility>

#include "kvferry/base/try.hpp"

namespace kvferry::transfer {
namespace {

using layout::Axis;

/// Digests that are known, and no longer wanted, before their memory is used again.
constexpr std::size_t kMostDone = 4096;

std::uint64_t layer_of(const plan::CopyPlan& plan) {
  return plan.shape().destination().axis(Axis::kLayer).origin;
}

}  // namespace

void Verification::begin(std::span<const LayerPlan> plans, std::weak_ptr<Waker> waker) {
  plans_ = plans;
  waker_ = std::move(waker);
  for (const LayerPlan& one : plans) {
    units_ += one.plan.destination_blocks().size();
  }
  for (At* at : {&arrived_, &next_, &of_source_.asked, &of_destination_.asked}) {
    while (at->plan < plans.size() && plans[at->plan].plan.destination_blocks().empty()) {
      ++at->plan;
    }
  }
}

/// With unequal pages a unit has a pair for each source block that it takes tokens of.
void Verification::pairs_at(const At& at, std::vector<Pair>& to) const {
  const plan::CopyPlan& plan = plans_[at.plan].plan;
  const layout::LayoutView& source = plan.shape().source();
  const layout::LayoutView& destination = plan.shape().destination();
  const std::uint64_t layer = layer_of(plan);
  const std::uint64_t page = destination.page_size();
  const std::uint64_t source_page = source.page_size();
  for (std::uint64_t token = 0; token < page;) {
    const std::uint64_t of_all = at.block * page + token;
    const std::uint64_t in_source = of_all % source_page;
    const std::uint64_t tokens = std::min(page - token, source_page - in_source);
    to.push_back({{plan.source_blocks()[of_all / source_page], layer, in_source, tokens},
                  {plan.destination_blocks()[at.block], layer, token, tokens}});
    token += tokens;
  }
}

void Verification::step(At& at) const {
  ++at.unit;
  ++at.block;
  while (at.plan < plans_.size() && at.block == plans_[at.plan].plan.destination_blocks().size()) {
    ++at.plan;
    at.block = 0;
  }
}

void Verification::arrived(std::size_t units) {
  const bool source = !source_.bases.empty();
  const bool destination = !destination_.bases.empty();
  const auto begin = std::chrono::steady_clock::now();
  std::vector<Pair> pairs;
  for (; arrived_.unit < units; step(arrived_)) {
    pairs.clear();
    pairs_at(arrived_, pairs);
    const plan::PlanTemplate& shape = plans_[arrived_.plan].plan.shape();
    for (const Pair& pair : pairs) {
      if (source) {
        of_source_.digests.push_back(digester_.of(shape.source(), source_.bases, pair.source));
      }
      if (destination) {
        of_destination_.digests.push_back(
            digester_.of(shape.destination(), destination_.bases, pair.destination));
      }
    }
  }
  time_ += std::chrono::steady_clock::now() - begin;
}

/// Of the source for all units, because it is there already; of the destination for those that have
/// arrived.
Result<void> Verification::ask(DigestSide& side, Known& known, bool is_source) {
  const std::size_t end = is_source ? units_ : arrived_.unit;
  while (known.asked.unit < end && side.teller->may_ask()) {
    const std::size_t plan = known.asked.plan;
    std::vector<DigestBox> boxes;
    std::vector<Pair> pairs;
    while (known.asked.unit < end && known.asked.plan == plan) {
      pairs.clear();
      pairs_at(known.asked, pairs);
      if (boxes.size() + pairs.size() > side.teller->most_boxes() && !boxes.empty()) {
        break;
      }
      std::ranges::transform(pairs, std::back_inserter(boxes),
                             is_source ? &Pair::source : &Pair::destination);
      step(known.asked);
    }
    const plan::PlanTemplate& shape = plans_[plan].plan.shape();
    KVFERRY_RETURN_IF_ERROR(side.teller->ask(plans_[plan].plane,
                                             is_source ? shape.source() : shape.destination(),
                                             std::move(boxes), waker_));
  }
  return side.teller->take(known.digests);
}

Result<void> Verification::look() {
  if (source_.teller != nullptr) {
    KVFERRY_RETURN_IF_ERROR(ask(source_, of_source_, true));
  }
  if (destination_.teller != nullptr) {
    KVFERRY_RETURN_IF_ERROR(ask(destination_, of_destination_, false));
  }
  std::vector<Pair> pairs;
  while (compared_ < arrived_.unit) {
    pairs.clear();
    pairs_at(next_, pairs);
    const auto left = [](const Known& known) { return known.digests.size() - known.first; };
    if (left(of_source_) < pairs.size() ||
        (destination_.keeper == nullptr && left(of_destination_) < pairs.size())) {
      break;
    }
    KVFERRY_RETURN_IF_ERROR(compare_next(pairs));
    step(next_);
    ++compared_;
  }
  for (Known* known : {&of_source_, &of_destination_}) {
    if (known->first > kMostDone) {
      known->digests.erase(known->digests.begin(),
                           known->digests.begin() + static_cast<std::ptrdiff_t>(known->first));
      known->first = 0;
    }
  }
  return {};
}

Result<void> Verification::compare_next(std::span<const Pair> pairs) {
  for (const Pair& pair : pairs) {
    const Digest source = of_source_.digests[of_source_.first++];
    if (destination_.keeper != nullptr) {
      KVFERRY_RETURN_IF_ERROR(
          destination_.keeper->keep(plans_[next_.plan].plane, pair.destination, source));
      continue;
    }
    const Digest destination = of_destination_.digests[of_destination_.first++];
    if (source != destination) {
      note_wrong(pair, source, destination);
    }
  }
  return {};
}

void Verification::note_wrong(const Pair& pair, const Digest& source, const Digest& destination) {
  wrong_.push_back(pair.destination.block);
  if (difference_.has_value()) {
    return;
  }
  first_wrong_layer_ = plans_[next_.plan].layer;
  const std::string& plane = plans_[next_.plan].plane;
  difference_ = Error{ErrorCode::kWrongBytes,
                      "block " + std::to_string(pair.destination.block.value()) + ", layer " +
                          std::to_string(pair.destination.layer) +
                          (plane.empty() ? "" : ", plane \"" + plane + "\"") +
                          ": its bytes have the digest " + to_string(destination) +
                          ", those of source block " + std::to_string(pair.source.block.value()) +
                          " have " + to_string(source)};
}

}  // namespace kvferry::transfer
