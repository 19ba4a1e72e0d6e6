// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>
#include <utility>

#include "kvferry/base/try.hpp"
#include "manager/impl.hpp"

namespace kvferry::manager {
namespace {

bool overlap(const Region& a, const Region& b) {
  return a.address < b.address + b.size_bytes && b.address < a.address + a.size_bytes;
}

/// Whether two layouts of this process have a byte in common.
Sharing sharing_of(const transfer::PhysicalLayout& a, const transfer::PhysicalLayout& b) {
  if (&a == &b) {
    return Sharing::kSameLayout;
  }
  std::vector<Region> sorted{a.view().regions().begin(), a.view().regions().end()};
  std::sort(sorted.begin(), sorted.end(),
            [](const Region& x, const Region& y) { return x.address < y.address; });
  for (const Region& region : b.view().regions()) {
    // The regions of one layout do not overlap, so only the last one that begins before the end
    // of `region` can reach into it.
    const auto after = std::partition_point(sorted.begin(), sorted.end(), [&](const Region& x) {
      return x.address < region.address + region.size_bytes;
    });
    if (after != sorted.begin() && overlap(*std::prev(after), region)) {
      return Sharing::kOverlapping;
    }
  }
  return Sharing::kNone;
}

Result<void> check_sharing(Sharing sharing, const plan::BlockPairs& blocks) {
  if (sharing == Sharing::kNone) {
    return {};
  }
  if (sharing == Sharing::kOverlapping) {
    return Error{ErrorCode::kInvalidArgument,
                 "source and destination are two layouts over the same memory"};
  }
  std::vector<BlockId> sources{blocks.source.begin(), blocks.source.end()};
  std::sort(sources.begin(), sources.end());
  for (const BlockId block : blocks.destination) {
    if (std::binary_search(sources.begin(), sources.end(), block)) {
      return Error{ErrorCode::kInvalidArgument,
                   "block " + std::to_string(block.value()) +
                       " of one layout is both source and destination"};
    }
  }
  return {};
}

Result<transfer::GatePass> enter(const TransferEnd& end, LayoutHandle handle) {
  transfer::GatePass pass{end.gate()};
  if (!pass.entered()) {
    return Error{ErrorCode::kStale, to_string(handle) + " is being taken away"};
  }
  return pass;
}

}  // namespace

Result<LaneEntry> TransportManager::Impl::make_lane(const TransferEnd& source,
                                                    const TransferEnd& destination,
                                                    const plan::LayerRange& layers) {
  auto lane = std::make_shared<transfer::Lane>();
  KVFERRY_ASSIGN_OR_RETURN(lane->shape, plan::PlanTemplate::create(
                                            source.view(), destination.view(), {.layers = layers}));
  LaneEntry entry;
  if (source.is_local()) {
    lane->executor =
        transfer::make_host_executor(source.local->physical, destination.local->physical);
    entry.sharing = sharing_of(*source.local->physical, *destination.local->physical);
  } else {
    KVFERRY_ASSIGN_OR_RETURN(
        lane->executor,
        transfer::make_agent_executor(
            {options_.agent, source.remote.peer->contact->id(), source.remote.layout->side,
             destination.local->physical->view().regions(), destination.local->physical}));
  }
  entry.lane = std::move(lane);
  return entry;
}

/// What tells whether the source's blocks change while they are copied; null where nothing does.
Result<std::unique_ptr<transfer::GuardCheck>> TransportManager::Impl::guards_of(
    const TransferEnd& source, const transfer::GuardedBlocks& blocks,
    std::span<const std::uint64_t> expected) const {
  const bool guarded = source.is_local() ? source.local->physical->guards() != nullptr
                                         : source.remote.layout->guard_side != nullptr;
  if (!guarded) {
    if (!expected.empty()) {
      return Error{ErrorCode::kInvalidArgument,
                   "expected_sequences: the source layout has no guards"};
    }
    return std::unique_ptr<transfer::GuardCheck>{};
  }
  KVFERRY_ASSIGN_OR_RETURN(auto check, transfer::GuardCheck::create(blocks, expected));
  const auto& buffer = check->buffer();
  if (source.is_local()) {
    check->set_reader(transfer::make_guard_reader(source.local->physical->guards(), buffer));
    return check;
  }
  const Region numbers{reinterpret_cast<std::uintptr_t>(buffer->data()),
                       buffer->size() * sizeof(std::uint64_t)};
  KVFERRY_ASSIGN_OR_RETURN(auto reader,
                           transfer::make_agent_executor({options_.agent,
                                                          source.remote.peer->contact->id(),
                                                          source.remote.layout->guard_side,
                                                          {&numbers, 1},
                                                          buffer}));
  check->set_reader(std::move(reader));
  return check;
}

/// Null: there are no blocks.
Result<std::shared_ptr<HeldBlocks>> TransportManager::Impl::hold(
    const TransferEnd& source, std::span<const BlockId> blocks,
    const transfer::TransferOptions& options, TimePoint deadline) {
  if (source.is_local()) {
    return Error{ErrorCode::kInvalidArgument,
                 "hold_source: the source is a layout of this worker, whose blocks are held by who "
                 "asks"};
  }
  if (blocks.empty()) {
    return std::shared_ptr<HeldBlocks>{};
  }
  wire::Hold wanted;
  wanted.layout = source.remote.layout->told.handle;
  wanted.blocks.assign(blocks.begin(), blocks.end());
  wanted.sequences.assign(options.expected_sequences.begin(), options.expected_sequences.end());
  KVFERRY_ASSIGN_OR_RETURN(
      auto held, service_->hold(source.remote.peer->contact, std::move(wanted), deadline));
  return std::shared_ptr<HeldBlocks>{std::move(held)};
}

Result<LaneEntry> TransportManager::Impl::lane_between(const TransferEnd& source,
                                                       const TransferEnd& destination,
                                                       const LaneKey& key) {
  if (std::optional<LaneEntry> known = registry_.find_lane(key)) {
    return *std::move(known);
  }
  KVFERRY_ASSIGN_OR_RETURN(LaneEntry made, make_lane(source, destination, key.layers));
  registry_.add_lane(key, made);
  return made;
}

Result<transfer::Transfer> TransportManager::Impl::execute_transfer(
    LayoutHandle source, LayoutHandle destination, const plan::BlockPairs& blocks,
    const transfer::TransferOptions& options) {
  const TimePoint called_at = options_.clock->now();
  KVFERRY_RETURN_IF_ERROR(check_process());
  KVFERRY_ASSIGN_OR_RETURN(const TransferEnd from, find_end(source));
  KVFERRY_ASSIGN_OR_RETURN(const TransferEnd to, find_end(destination));
  if (!to.is_local()) {
    return Error{ErrorCode::kInvalidArgument,
                 to_string(destination) + " is a peer's: blocks are pulled into a local layout"};
  }
  KVFERRY_ASSIGN_OR_RETURN(transfer::GatePass source_pass, enter(from, source));
  KVFERRY_ASSIGN_OR_RETURN(transfer::GatePass destination_pass, enter(to, destination));
  KVFERRY_ASSIGN_OR_RETURN(const LaneEntry entry,
                           lane_between(from, to, {source, destination, options.layers}));
  KVFERRY_ASSIGN_OR_RETURN(plan::CopyPlan plan, plan::CopyPlan::create(entry.lane->shape, blocks));
  KVFERRY_RETURN_IF_ERROR(check_sharing(entry.sharing, blocks));
  KVFERRY_ASSIGN_OR_RETURN(auto guards, guards_of(from,
                                                  {blocks.source, from.view().page_size(),
                                                   blocks.destination, to.view().page_size()},
                                                  options.expected_sequences));
  const TimePoint deadline = deadline_after(called_at, options.deadline);
  std::shared_ptr<HeldBlocks> held;
  if (options.hold_source) {
    KVFERRY_ASSIGN_OR_RETURN(held, hold(from, blocks.source, options, deadline));
  }
  transfer::TransferParts parts{entry.lane,
                                std::move(plan),
                                to.local->physical->claims(),
                                to.local->physical->guards(),
                                std::move(guards),
                                {std::move(source_pass), std::move(destination_pass)},
                                options_.clock,
                                called_at,
                                deadline};
  if (held != nullptr) {
    parts.on_end = [held = std::move(held)](const std::optional<Error>& error) {
      held->end(error);
    };
  }
  KVFERRY_ASSIGN_OR_RETURN(auto state, transfer::TransferState::create(std::move(parts)));
  engine_->start(state);
  return transfer::Transfer{std::move(state)};
}

}  // namespace kvferry::manager
