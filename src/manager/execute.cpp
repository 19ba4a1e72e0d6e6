// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "kvferry/base/try.hpp"
#include "manager/impl.hpp"
#include "transfer/disk_digests.hpp"
#include "transfer/group.hpp"

namespace kvferry::manager {
namespace {

/// Whether what is read from one source may be written meanwhile; `destination` are the blocks that
/// all sources together write.
Result<void> check_sharing(Sharing sharing, std::span<const BlockId> source,
                           std::span<const BlockId> destination) {
  if (sharing == Sharing::kNone) {
    return {};
  }
  if (sharing == Sharing::kOverlapping) {
    return Error{ErrorCode::kInvalidArgument,
                 "source and destination are two layouts over the same memory"};
  }
  std::vector<BlockId> sources{source.begin(), source.end()};
  std::sort(sources.begin(), sources.end());
  for (const BlockId block : destination) {
    if (std::binary_search(sources.begin(), sources.end(), block)) {
      return Error{ErrorCode::kInvalidArgument,
                   "block " + std::to_string(block.value()) +
                       " of one layout is both source and destination"};
    }
  }
  return {};
}

/// A verdict that rests on what was assumed says so.
Error with_assumed(Error error, const std::string& assumed) {
  if (error.code == ErrorCode::kIncompatible && !assumed.empty()) {
    error.message += " (assumed " + assumed + ")";
  }
  return error;
}

/// As people know a source: by its worker, and exactly.
std::string name_of(const TransferEnd& end, LayoutHandle handle) {
  return end.is_local() ? to_string(handle)
                        : end.remote.peer->identity.agent_name + ", " + to_string(handle);
}

Result<transfer::GatePass> enter(const TransferEnd& end, LayoutHandle handle) {
  transfer::GatePass pass{end.gate()};
  if (!pass.entered()) {
    return Error{ErrorCode::kStale, to_string(handle) + " is being taken away"};
  }
  return pass;
}

Error differing(const layout::Reason& reason) {
  return Error{ErrorCode::kIncompatible,
               layout::Compatibility{layout::Verdict::kImpossible, {reason}}.summary()};
}

/// Whether the blocks of all ends of a transfer are the same blocks.
Result<void> check_meanings(std::span<const TransferEnd> ends, const TransferEnd& destination) {
  const bool several = ends.size() > 1;
  const auto of_source = [several](std::size_t source, const layout::Reason& reason) {
    return several ? differing(reason).with_context("source " + std::to_string(source))
                   : differing(reason);
  };
  for (std::size_t i = 0; i < ends.size(); ++i) {
    if (const auto reason = layout::differing_meaning(ends[i].compared(), destination.compared())) {
      return of_source(i, *reason);
    }
  }
  if (several) {
    std::vector<layout::Compared> sources;
    std::ranges::transform(ends, std::back_inserter(sources), &TransferEnd::compared);
    if (const auto found = layout::differing_source(sources)) {
      return of_source(found->source, found->reason);
    }
  }
  return {};
}

}  // namespace

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
                                                          agent::Operation::kRead,
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

Result<transfer::DigestSide> TransportManager::Impl::digests_of(
    const TransferEnd& end, bool is_source, std::span<const transfer::LayerPlan> plans,
    TimePoint deadline) const {
  transfer::DigestSide side;
  if (!end.is_local()) {
    side.teller = std::make_unique<OwnerTeller>(service_->digests(), end.remote.peer->contact,
                                                end.remote.layout, deadline);
  } else if (!end.local->physical->is_on_disk()) {
    side.bases = end.local->physical->region_bases();
  } else if (is_source) {
    KVFERRY_ASSIGN_OR_RETURN(side.teller, transfer::make_disk_teller(end.local->physical, plans));
  } else {
    KVFERRY_ASSIGN_OR_RETURN(side.keeper, transfer::make_disk_keeper(end.local->physical, plans));
  }
  return side;
}

Result<transfer::TransferParts> TransportManager::Impl::prepare(
    const Ends& ends, PlannedPart part, std::span<const BlockId> written,
    const transfer::TransferOptions& options, const Moments& moments) {
  const TransferEnd& from = ends.sources[part.source];
  KVFERRY_ASSIGN_OR_RETURN(transfer::GatePass source_pass,
                           enter(from, ends.source_handles[part.source]));
  KVFERRY_ASSIGN_OR_RETURN(transfer::GatePass destination_pass,
                           enter(ends.destination, ends.destination_handle));
  KVFERRY_RETURN_IF_ERROR(check_sharing(part.entry.sharing, part.blocks.source, written));
  KVFERRY_ASSIGN_OR_RETURN(
      auto guards, guards_of(from,
                             {part.blocks.source, from.view().page_size(), part.blocks.destination,
                              ends.destination.view().page_size()},
                             options.expected_sequences));
  std::shared_ptr<HeldBlocks> held;
  if (options.hold_source) {
    KVFERRY_ASSIGN_OR_RETURN(held, hold(from, part.blocks.source, options, moments.deadline));
  }
  std::unique_ptr<transfer::Verification> verification;
  if (options.verify != transfer::Verify::kNone) {
    KVFERRY_ASSIGN_OR_RETURN(transfer::DigestSide source,
                             digests_of(from, true, part.plans, moments.deadline));
    KVFERRY_ASSIGN_OR_RETURN(transfer::DigestSide destination,
                             digests_of(ends.destination, false, part.plans, moments.deadline));
    verification =
        std::make_unique<transfer::Verification>(std::move(source), std::move(destination));
  }
  transfer::TransferParts parts{part.entry.lane,
                                std::move(part.plans),
                                nullptr,
                                std::move(guards),
                                std::move(verification),
                                {std::move(source_pass), std::move(destination_pass)},
                                options_.clock,
                                moments.called_at,
                                moments.deadline};
  if (held != nullptr) {
    parts.on_end = [held = std::move(held)](const std::optional<Error>& error) {
      held->end(error);
    };
  }
  return parts;
}

Result<TransportManager::Impl::Ends> TransportManager::Impl::find_ends(
    std::span<const LayoutHandle> sources, LayoutHandle destination) const {
  Ends ends;
  for (const LayoutHandle source : sources) {
    KVFERRY_ASSIGN_OR_RETURN(TransferEnd end, find_end(source));
    KVFERRY_ASSIGN_OR_RETURN(transfer::GatePass pass, enter(end, source));
    ends.sources.push_back(std::move(end));
    ends.passes.push_back(std::move(pass));
  }
  ends.source_handles = sources;
  ends.destination_handle = destination;
  KVFERRY_ASSIGN_OR_RETURN(ends.destination, find_end(destination));
  KVFERRY_ASSIGN_OR_RETURN(transfer::GatePass pass, enter(ends.destination, destination));
  ends.passes.push_back(std::move(pass));
  KVFERRY_RETURN_IF_ERROR(check_meanings(ends.sources, ends.destination));
  if (ends.destination.is_local()) {
    return ends;
  }
  const RemoteLayout& remote = *ends.destination.remote.layout;
  if (std::ranges::any_of(ends.sources, [](const TransferEnd& end) { return !end.is_local(); })) {
    return Error{ErrorCode::kInvalidArgument,
                 to_string(destination) +
                     " is a peer's, and so is a source: one of the two sides "
                     "has to be this worker's"};
  }
  if (remote.told.access == Access::kRead) {
    return Error{ErrorCode::kRefused,
                 to_string(destination) + " may be read by peers, not written"};
  }
  if (remote.guard_side != nullptr) {
    return Error{ErrorCode::kRefused,
                 to_string(destination) + " has guards, which only its owner can move"};
  }
  return ends;
}

Result<transfer::Transfer> TransportManager::Impl::execute_transfer(
    std::span<const LayoutHandle> sources, LayoutHandle destination, const plan::BlockPairs& blocks,
    const transfer::TransferOptions& options) {
  KVFERRY_RETURN_IF_ERROR(check_process());
  auto started = start_transfer(sources, destination, blocks, options);
  if (!started) {
    meter_->note_refused(started.error().code);
  }
  return started;
}

Result<transfer::Transfer> TransportManager::Impl::start_transfer(
    std::span<const LayoutHandle> sources, LayoutHandle destination, const plan::BlockPairs& blocks,
    const transfer::TransferOptions& options) {
  const TimePoint called_at = options_.clock->now();
  const Moments moments{called_at, deadline_after(called_at, options.deadline)};

  if (sources.size() > 1 && !options.expected_sequences.empty()) {
    return Error{ErrorCode::kInvalidArgument,
                 "expected_sequences: they are of one source, and there are " +
                     std::to_string(sources.size())};
  }
  KVFERRY_ASSIGN_OR_RETURN(Ends ends, find_ends(sources, destination));
  std::vector<PlannedPart> planned;
  auto group = std::make_shared<transfer::TransferGroup>();
  group->assumed = assumed_of(ends.sources, ends.destination);
  auto plan = plan_parts(ends, blocks, options, planned);
  if (!plan) {
    return with_assumed(std::move(plan).error(), group->assumed);
  }
  group->plan = *plan;
  group->by_layer = options.by_layer;
  if (group->plan.coverage < 1) {
    group->partial_blocks.assign(blocks.destination.begin(), blocks.destination.end());
    std::ranges::sort(group->partial_blocks);
  }
  std::vector<transfer::TransferParts> all;
  for (PlannedPart& part : planned) {
    const std::size_t source = part.source;
    KVFERRY_ASSIGN_OR_RETURN(auto parts,
                             prepare(ends, std::move(part), blocks.destination, options, moments));
    all.push_back(std::move(parts));
    group->members.push_back(
        {nullptr, sources.size() == 1 ? "" : name_of(ends.sources[source], sources[source])});
  }
  const TransferEnd& to = ends.destination;
  KVFERRY_ASSIGN_OR_RETURN(
      transfer::Claims taken,
      transfer::Claims::take(
          to.is_local() ? to.local->physical->claims() : to.remote.layout->claims,
          to.is_local() ? to.local->physical->guards() : nullptr, blocks.destination));
  const auto claims = std::make_shared<const transfer::Claims>(std::move(taken));
  for (const transfer::TransferParts& parts : all) {
    if (to.is_local() && to.local->physical->is_on_disk()) {
      KVFERRY_RETURN_IF_ERROR(transfer::drop_digests(*to.local->physical, parts.plans));
    }
  }
  KVFERRY_RETURN_IF_ERROR(meter_->begin(all.size(), options_.max_in_flight));
  group->completion = std::make_shared<transfer::Completion>(all.size(), engine_->notifier());
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i].claims = claims;
    all[i].completion = group->completion;
    all[i].meter = meter_;
    group->members[i].state = std::make_shared<transfer::TransferState>(std::move(all[i]));
  }
  for (const transfer::TransferMember& member : group->members) {
    engine_->start(member.state);
  }
  return transfer::Transfer{std::move(group)};
}

}  // namespace kvferry::manager
