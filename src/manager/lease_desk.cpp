// SPDX-License-Identifier: Apache-2.0
#include "manager/lease_desk.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "kvferry/base/try.hpp"

namespace kvferry::manager {
namespace {

using namespace std::chrono_literals;

/// How long a reader may take to be met: a healthy one needs microseconds, and leases of others
/// wait meanwhile.
constexpr Duration kContactTimeout = 1s;
/// Readers kept: as many as an agent has callers.
constexpr std::size_t kReadersMax = 256;

Error gone(LayoutHandle layout) {
  return Error{ErrorCode::kStale, to_string(layout) + " is not registered (any more)"};
}

Result<void> check_sequences(const transfer::BlockGuardsPtr& guards, const wire::Hold& asked) {
  if (asked.sequences.empty()) {
    return {};
  }
  if (guards == nullptr) {
    return Error{ErrorCode::kInvalidArgument, "sequences: the layout has no guards"};
  }
  for (std::size_t i = 0; i < asked.blocks.size(); ++i) {
    KVFERRY_ASSIGN_OR_RETURN(const std::uint64_t now, guards->sequence(asked.blocks[i]));
    if (now != asked.sequences[i]) {
      return Error{ErrorCode::kStale, "block " + std::to_string(asked.blocks[i].value()) +
                                          ": its guard is " + std::to_string(now) + ", not " +
                                          std::to_string(asked.sequences[i])};
    }
  }
  return {};
}

Result<void> check_blocks(const std::vector<BlockId>& blocks, std::uint64_t num_blocks) {
  for (const BlockId block : blocks) {
    if (block.value() >= num_blocks) {
      return Error{ErrorCode::kInvalidArgument,
                   "block " + std::to_string(block.value()) + " of " + std::to_string(num_blocks)};
    }
  }
  return {};
}

}  // namespace

LeaseDesk::LeaseDesk(LeaseDeskOptions options, const Registry& registry)
    : options_{std::move(options)},
      registry_{registry},
      digests_{options_.outbox, options_.clock, registry},
      table_{options_.limits} {}

void LeaseDesk::take(const std::string& sender, const wire::ControlFrame& frame,
                     const Result<wire::ControlMessage>& message) {
  if (!message) {
    answer_unknown(sender, frame, message.error());
  } else if (const auto* asked = std::get_if<wire::Hold>(&message->body)) {
    hold(sender, frame, *asked);
  } else if (const auto* digests = std::get_if<wire::AskDigests>(&message->body)) {
    if (const Reader* const reader = take_question(sender, frame)) {
      digests_.take(reader->contact, frame.request, *digests);
    }
  } else if (const auto* told = std::get_if<wire::Release>(&message->body)) {
    release(sender, message->request, *told);
  }
}

/// Only who says how it can be answered wants an answer: two workers never talk in a circle.
void LeaseDesk::answer_unknown(const std::string& sender, const wire::ControlFrame& frame,
                               Error why) {
  log(LogLevel::kWarn, "message of \"" + sender + "\": " + why.message);
  if (!frame.contact.has_value() || why.code != ErrorCode::kIncompatible) {
    return;
  }
  if (Reader* const reader = find(sender, frame); reader != nullptr) {
    answer(*reader, frame.request, wire::Refused{std::move(why)});
  }
}

LeaseDesk::Reader* LeaseDesk::find(const std::string& sender, const wire::ControlFrame& frame) {
  const auto found = readers_.find(sender);
  if (found == readers_.end()) {
    return meet(sender, frame, {});
  }
  Reader& known = found->second;
  if (known.epoch == frame.request.epoch) {
    return &known;
  }
  if (known.past.holds(frame.request.epoch)) {
    log(LogLevel::kWarn, "message of an earlier life of \"" + sender + "\"");
    return nullptr;
  }
  PastEpochs past = known.past;
  past.add(known.epoch);
  return meet(sender, frame, std::move(past));
}

/// Makes contact with a reader, or with a new life of one, whose leases end then.
LeaseDesk::Reader* LeaseDesk::meet(const std::string& sender, const wire::ControlFrame& frame,
                                   PastEpochs past) {
  const TimePoint begin = options_.clock->now();
  if (!frame.contact.has_value() || begin < strangers_after_) {
    return nullptr;
  }
  auto contact =
      options_.contacts->meet(sender, frame.contact->blob, deadline_after(begin, kContactTimeout));
  if (!contact) {
    // At least half of the time is for those who answer, whatever strangers do.
    const TimePoint now = options_.clock->now();
    strangers_after_ = now + (now - begin);
    log(LogLevel::kWarn, "cannot answer \"" + sender + "\": " + contact.error().message);
    return nullptr;
  }
  end_all(table_.take_all_of(sender), {ErrorCode::kUnavailable, "the reader began another life"});
  Reader reader;
  reader.contact = *std::move(contact);
  reader.worker = frame.contact->worker;
  reader.epoch = frame.request.epoch;
  reader.past = std::move(past);
  if (readers_.find(sender) == readers_.end() && !make_room_for_a_reader()) {
    answer(reader, frame.request,
           wire::Refused{{ErrorCode::kBusy, "leases: " + std::to_string(readers_.size()) + " of " +
                                                std::to_string(kReadersMax) +
                                                " readers hold blocks"}});
    return nullptr;
  }
  return &readers_.insert_or_assign(sender, std::move(reader)).first->second;
}

bool LeaseDesk::make_room_for_a_reader() {
  if (readers_.size() < kReadersMax) {
    return true;
  }
  for (auto it = readers_.begin(); it != readers_.end(); ++it) {
    if (table_.size_of(it->first) == 0) {
      readers_.erase(it);
      return true;
    }
  }
  return false;
}

LeaseDesk::Reader* LeaseDesk::take_question(const std::string& sender,
                                            const wire::ControlFrame& frame) {
  Reader* const reader = find(sender, frame);
  if (reader == nullptr) {
    return nullptr;
  }
  const std::string request = "request " + std::to_string(frame.request.number);
  switch (reader->numbers.use(frame.request.number)) {
    case UsedNumbers::Verdict::kFirst: return reader;
    case UsedNumbers::Verdict::kAgain:
      log(LogLevel::kWarn, request + " of \"" + sender + "\" came twice");
      break;
    case UsedNumbers::Verdict::kTooOld:
      answer(*reader, frame.request, wire::Refused{{ErrorCode::kStale, request + " is too old"}});
      break;
  }
  return nullptr;
}

void LeaseDesk::hold(const std::string& sender, const wire::ControlFrame& frame,
                     const wire::Hold& asked) {
  Reader* const reader = take_question(sender, frame);
  if (reader == nullptr) {
    return;
  }
  const wire::ControlRequest& request = frame.request;
  auto lease = check(*reader, request, asked);
  if (!lease) {
    answer(*reader, request, wire::Refused{std::move(lease).error()});
    return;
  }
  table_.add(*std::move(lease));
  held_.store(table_.size(), std::memory_order_release);
  answer(*reader, request, wire::Held{});
}

/// A lease that the engine has granted.
Result<Lease> LeaseDesk::check(const Reader& reader, const wire::ControlRequest& request,
                               const wire::Hold& asked) const {
  const std::string& name = reader.contact->name();
  if (asked.duration > options_.limits.longest) {
    return Error{ErrorCode::kInvalidArgument,
                 "a hold of " + std::to_string(asked.duration.count()) + " ms of " +
                     std::to_string(options_.limits.longest / 1ms)};
  }
  const LocalLayoutPtr layout = registry_.find_local(asked.layout);
  if (layout == nullptr) {
    return gone(asked.layout);
  }
  if (layout->access == Access::kNone) {
    return Error{ErrorCode::kRefused, to_string(asked.layout) + " is not for peers"};
  }
  KVFERRY_RETURN_IF_ERROR(
      check_blocks(asked.blocks, layout->physical->view().axis(layout::Axis::kBlock).extent));
  KVFERRY_RETURN_IF_ERROR(check_sequences(layout->physical->guards(), asked));
  KVFERRY_RETURN_IF_ERROR(table_.check_room(name));
  Lease lease;
  lease.pass = transfer::GatePass{layout->gate};
  if (!lease.pass.entered()) {
    return gone(asked.layout);
  }
  lease.request = {reader.worker,
                   name,
                   request.number,
                   asked.layout,
                   asked.blocks,
                   asked.sequences,
                   deadline_after(options_.clock->now(), asked.duration)};
  if (options_.hooks.ask) {
    KVFERRY_RETURN_IF_ERROR(options_.hooks.ask(lease.request));
  }
  return lease;
}

void LeaseDesk::release(const std::string& sender, const wire::ControlRequest& request,
                        const wire::Release& told) {
  const auto found = readers_.find(sender);
  if (found == readers_.end() || found->second.epoch != request.epoch) {
    return;
  }
  digests_.drop(sender, request);
  if (auto lease = table_.take(sender, request.number)) {
    end(*std::move(lease), told.error ? std::optional{wire::harmless(*told.error)} : std::nullopt);
  } else {
    // It may have overtaken its hold, which must not be granted any more.
    static_cast<void>(found->second.numbers.use(request.number));
  }
}

void LeaseDesk::look_around() {
  end_all(table_.take_expired(options_.clock->now()),
          {ErrorCode::kDeadline, "the reader told nothing in time"});
  for (auto it = readers_.begin(); it != readers_.end();) {
    if (options_.agent->liveness(it->second.contact->id()) == agent::Liveness::kAlive) {
      ++it;
      continue;
    }
    end_all(table_.take_all_of(it->first), {ErrorCode::kUnavailable, "the reader has died"});
    it = readers_.erase(it);
  }
}

void LeaseDesk::close() {
  digests_.close();
  end_all(table_.take_all(), {ErrorCode::kCancelled, "the owner's manager ends"});
  readers_.clear();
}

void LeaseDesk::answer(const Reader& reader, const wire::ControlRequest& request,
                       wire::ControlBody body) {
  options_.outbox->put(reader.contact, {request, std::nullopt, std::move(body)});
}

/// The engine hears of it before the layout can be taken away.
void LeaseDesk::end(Lease lease, const std::optional<Error>& error) {
  if (options_.hooks.ended) {
    options_.hooks.ended(lease.request, error);
  }
  lease.pass.leave();
  held_.store(table_.size(), std::memory_order_release);
}

void LeaseDesk::end_all(std::vector<Lease> leases, const Error& error) {
  for (Lease& lease : leases) {
    end(std::move(lease), error);
  }
}

void LeaseDesk::log(LogLevel level, const std::string& message) const {
  if (options_.log) {
    options_.log(level, message);
  }
}

}  // namespace kvferry::manager
