// SPDX-License-Identifier: Apache-2.0
#include "kvferry/transfer/transfer.hpp"

#include <algorithm>
#include <iterator>

#include "transfer/group.hpp"

namespace kvferry::transfer {
namespace {

/// Of several errors that one is told which says most of the bytes: that they are wrong, that the
/// whole was ended, and then what befell one source.
int rank_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kWrongBytes: return 0;
    case ErrorCode::kDeadline:
    case ErrorCode::kCancelled: return 1;
    default: return 2;
  }
}

void take_error(const TransferMember& member, const TransferReport& one, TransferReport& all) {
  if (!one.error || (all.error && rank_of(all.error->code) <= rank_of(one.error->code))) {
    return;
  }
  all.error = one.error;
  if (!member.source.empty()) {
    all.error = std::move(*all.error).with_context(member.source);
  }
}

std::vector<BlockId> united(const std::vector<BlockId>& a, const std::vector<BlockId>& b) {
  std::vector<BlockId> all;
  std::ranges::set_union(a, b, std::back_inserter(all));
  return all;
}

/// The report of every part that `ask` has one of; nothing if one has none.
template <class Ask>
std::optional<TransferReport> ask_all(const TransferGroup& group, const Ask& ask) {
  std::vector<TransferReport> reports;
  for (const TransferMember& member : group.members) {
    std::optional<TransferReport> report = ask(*member.state);
    if (!report) {
      return std::nullopt;
    }
    reports.push_back(*std::move(report));
  }
  return combined(group, reports);
}

}  // namespace

TransferReport combined(const TransferGroup& group, const std::vector<TransferReport>& reports) {
  TransferReport all;
  all.plan = group.plan;
  all.assumed = group.assumed;
  for (std::size_t i = 0; i < reports.size(); ++i) {
    const TransferReport& one = reports[i];
    take_error(group.members[i], one, all);
    all.bad_blocks = united(all.bad_blocks, one.bad_blocks);
    all.bytes_moved += one.bytes_moved;
    if (all.route.find(one.route) == std::string::npos) {
      all.route += (all.route.empty() ? "" : " + ") + one.route;
    }
    all.plan_time = std::max(all.plan_time, one.plan_time);
    all.transfer_time = std::max(all.transfer_time, one.transfer_time);
    all.verified = one.verified;  // All parts are treated alike.
    all.verify_time = std::max(all.verify_time, one.verify_time);
    all.quiet = all.quiet && one.quiet;
  }
  std::ranges::set_difference(group.partial_blocks, all.bad_blocks,
                              std::back_inserter(all.partial_blocks));
  return all;
}

TransferReport report_of(const TransferGroup& group) {
  return *ask_all(group, [](const TransferState& state) { return state.poll(); });
}

TransferReport Transfer::wait() const {
  return *ask_all(*group_, [](TransferState& state) { return std::optional{state.wait()}; });
}

std::optional<TransferReport> Transfer::wait_for(Duration timeout) const {
  const TimePoint moment = deadline_after(group_->members.front().state->clock().now(), timeout);
  return ask_all(*group_, [&](TransferState& state) { return state.wait_until(moment); });
}

std::optional<TransferReport> Transfer::poll() const {
  return ask_all(*group_, [](TransferState& state) { return state.look(); });
}

Result<bool> Transfer::wait_for_layer(std::uint64_t layer, Duration timeout) const {
  if (!group_->by_layer) {
    return Error{ErrorCode::kInvalidArgument, "the transfer does not move layer by layer"};
  }
  const TimePoint moment = deadline_after(group_->members.front().state->clock().now(), timeout);
  for (const TransferMember& member : group_->members) {
    if (member.state->wait_for_layer(layer, moment)) {
      continue;
    }
    const std::optional<TransferReport> report = member.state->poll();
    if (!report) {
      return false;
    }
    if (report->error) {
      return member.source.empty() ? *report->error
                                   : Error{*report->error}.with_context(member.source);
    }
  }
  return true;
}

Result<void> Transfer::on_complete(std::function<void(const TransferReport&)> callback) const {
  return group_->completion->on_complete(std::move(callback), group_);
}

Result<int> Transfer::event_fd() const { return group_->completion->event_fd(group_); }

TransferReport Transfer::cancel() const {
  for (const TransferMember& member : group_->members) {
    member.state->request_cancel();
    member.state->wake();  // It may be parked.
  }
  return wait();
}

bool Transfer::quiet() const {
  return std::ranges::all_of(group_->members,
                             [](const TransferMember& member) { return member.state->quiet(); });
}

}  // namespace kvferry::transfer
