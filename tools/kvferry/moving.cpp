// SPDX-License-Identifier: Apache-2.0
#include "moving.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <future>
#include <nlohmann/json.hpp>
#include <utility>

#include "exchange_option.hpp"
#include "files.hpp"
#include "interruption.hpp"
#include "kvferry/base/try.hpp"
#include "kvferry/testing/fault.hpp"
#include "output.hpp"
#include "spec.hpp"

namespace kvferry::tool {
namespace {

using layout::Axis;
using layout::LayoutView;

Error interrupted_early() {
  return Error{ErrorCode::kCancelled, "interrupted before anything was moved"};
}

/// Waits for the end, and brings it about when the user wants it.
transfer::TransferReport wait_unless_interrupted(const transfer::Transfer& transfer) {
  constexpr std::chrono::milliseconds kLook{20};
  while (!interrupted()) {
    if (auto report = transfer.wait_for(kLook)) {
      return *std::move(report);
    }
  }
  return transfer.cancel();
}

/// The places of `view` on one axis that lie in [first, end) of the whole model; nothing if none.
Result<std::optional<LayoutView>> cut(const LayoutView& view, Axis axis, std::uint64_t first,
                                      std::uint64_t end) {
  const layout::AxisSpan& span = view.axis(axis);
  const std::uint64_t begin = std::max(first, span.origin);
  const std::uint64_t last = std::min(end, span.origin + span.extent);
  if (begin >= last) {
    return std::optional<LayoutView>{};
  }
  KVFERRY_ASSIGN_OR_RETURN(LayoutView part, view.slice(axis, begin - span.origin, last - begin));
  return std::optional{std::move(part)};
}

Result<std::optional<LayoutView>> held_by(const LayoutView& view, const LayoutView& source) {
  std::optional<LayoutView> part{view};
  for (const Axis axis : {Axis::kLayer, Axis::kHead}) {
    const layout::AxisSpan& held = source.axis(axis);
    if (part) {
      KVFERRY_ASSIGN_OR_RETURN(part, cut(*part, axis, held.origin, held.origin + held.extent));
    }
  }
  return part;
}

void add_bad(const std::vector<BlockId>& blocks, transfer::TransferReport& report) {
  std::vector<BlockId>& bad = report.bad_blocks;
  bad.insert(bad.end(), blocks.begin(), blocks.end());
  std::ranges::sort(bad);
  bad.erase(std::unique(bad.begin(), bad.end()), bad.end());
}

/// Says that nothing was moved, and why; gives the exit code.
int refuse(const MoveOptions& options, const Failure& why) {
  if (options.json && why.exit_code != kExitUsage) {
    print_json(json_of(refused_story({why.code, why.message}, {})));
  }
  return fail(why);
}

}  // namespace

Outcome<Order> order_of(const MoveOptions& options) {
  Order order;
  KVFERRY_ASSIGN_OR_RETURN(order.blocks, parse_id_pairs(options.blocks));
  if (options.layers.has_value()) {
    KVFERRY_ASSIGN_OR_RETURN(order.layers, parse_layers(*options.layers));
  }
  if (options.assume.has_value()) {
    KVFERRY_ASSIGN_OR_RETURN(order.assumption, parse_assumption(*options.assume));
  }
  KVFERRY_ASSIGN_OR_RETURN(const Duration timeout, parse_duration("deadline", options.deadline));
  order.deadline = deadline_after(SteadyClock{}.now(), timeout);
  return order;
}

Outcome<std::uint64_t> blocks_needed(const IdList& ids) {
  constexpr std::uint64_t kMostBlocks = std::uint64_t{1} << 48U;  // More than any memory has.
  std::uint64_t highest = 0;
  for (const IdRange& range : ids) {
    highest = std::max(highest, range.last);
  }
  if (highest >= kMostBlocks) {
    return invalid("own block " + std::to_string(highest) + " of at most " +
                   std::to_string(kMostBlocks));
  }
  return highest + 1;
}

Outcome<std::vector<PeerMessage>> fetch_peers(const MoveOptions& options, TimePoint deadline) {
  Signers signers;
  KVFERRY_ASSIGN_OR_RETURN(auto opened, find_exchange(options.exchange));
  if (opened == nullptr) {
    return Failure{Error{ErrorCode::kUnavailable,
                         "exchange: " + printable(options.exchange) + " is not there"}};
  }
  KVFERRY_ASSIGN_OR_RETURN(const auto exchange,
                           only_trusted(std::move(opened), options.trusted, signers));
  std::vector<PeerMessage> peers;
  for (auto name = options.peers.begin(); name != options.peers.end(); ++name) {
    if (std::find(options.peers.begin(), name, *name) != name) {
      return usage("peer: " + printable(*name) + " is there twice");
    }
  }
  for (const std::string& name : options.peers) {
    KVFERRY_ASSIGN_OR_RETURN(PeerMessage peer, fetch_peer(*exchange, name, deadline));
    peers.push_back(std::move(peer));
  }
  return peers;
}

Outcome<Node> own_node(const MoveOptions& options, const std::string& role, std::uint64_t blocks) {
  NodeOptions own = options.node;
  own.name = role + "-" + std::to_string(::getpid());
  own.access = "none";
  return Node::create(own, blocks);
}

Result<std::vector<LayoutHandle>> import_peers(manager::TransportManager& manager,
                                               const std::vector<PeerMessage>& peers,
                                               const Order& order) {
  std::vector<LayoutHandle> handles;
  for (const PeerMessage& peer : peers) {
    KVFERRY_ASSIGN_OR_RETURN(
        const std::vector<LayoutHandle> imported,
        manager.import_metadata(peer.message, {.assume = order.assumption,
                                               .deadline = order.deadline - SteadyClock{}.now()}));
    handles.push_back(imported.front());
  }
  return handles;
}

TransferStory move_blocks(manager::TransportManager& manager, const Move& move) {
  if (!begin_cancellable()) {
    return refused_story(interrupted_early(), move.destination);
  }
  const auto transfer = manager.execute_transfer(move.from, move.source, move.to, move.destination,
                                                 {.layers = move.layers,
                                                  .deadline = move.deadline - SteadyClock{}.now(),
                                                  .verify = move.verify,
                                                  .partial = move.partial});
  if (!transfer) {
    return refused_story(transfer.error(), move.destination);
  }
  TransferStory story;
  story.blocks = move.destination.size();
  story.report = wait_unless_interrupted(*transfer);
  if (story.report.verified != transfer::Verified::kNo) {
    story.verified = "checksum";
    story.verify_seconds = std::chrono::duration<double>{story.report.verify_time}.count();
  }
  return story;
}

void check_story(const Moved& moved, const std::vector<std::vector<BlockId>>& fed_by,
                 TimePoint deadline, TransferStory& story) {
  const SteadyClock clock;
  const TimePoint begin = clock.now();
  const auto wrong = check_pattern(moved, deadline);
  story.verified = "pattern";
  story.verify_seconds = std::chrono::duration<double>{clock.now() - begin}.count();
  if (!wrong) {
    story.report.error = wrong.error();
    for (const std::vector<BlockId>& blocks : fed_by) {
      add_bad(blocks, story.report);
    }
    return;
  }
  if (wrong->empty()) {
    return;
  }
  for (const std::size_t index : *wrong) {
    add_bad(fed_by[index], story.report);
  }
  const bool late = clock.now() >= deadline;
  story.report.error =
      late ? Error{ErrorCode::kDeadline, "the deadline passed before every byte was checked"}
           : Error{ErrorCode::kWrongBytes,
                   std::to_string(wrong->size()) + " of " + std::to_string(story.blocks) +
                       " blocks hold other bytes than the source's pattern"};
}

Result<std::vector<LayoutView>> moved_parts(const LayoutView& view, const plan::LayerRange& layers,
                                            const std::vector<LayoutView>& sources) {
  std::vector<LayoutView> parts;
  KVFERRY_ASSIGN_OR_RETURN(const auto selected, cut(view, Axis::kLayer, layers.first, layers.end));
  if (!selected) {
    return parts;
  }
  if (sources.empty()) {
    parts.push_back(*selected);
  }
  for (const LayoutView& source : sources) {
    KVFERRY_ASSIGN_OR_RETURN(auto part, held_by(*selected, source));
    if (part) {
      parts.push_back(*std::move(part));
    }
  }
  return parts;
}

Result<LayoutView> view_of(const PeerMessage& peer, const layout::Assumptions& assumption) {
  KVFERRY_ASSIGN_OR_RETURN(const SaidMessage message, read_message(peer.message.as_bytes()));
  return view_of(message.layouts.front(), assumption);
}

void note_fault(const Node& node, TransferStory& story) {
  story.fault = node.fault_report();
  if (story.fault.has_value() && !story.fault->struck && story.report.ok()) {
    story.report.error =
        Error{ErrorCode::kInvalidArgument,
              "fault: it did not strike in the " +
                  std::to_string(story.report.bytes_moved / testing::kFaultPieceBytes) +
                  " pieces of this transfer"};
  }
}

int run_move(const MoveOptions& options, const std::string& done, const std::string& failed,
             Outcome<TransferStory> (*carry_out)(const MoveOptions&)) {
  constexpr std::chrono::milliseconds kLook{20};
  catch_interruption();
  auto moving = std::async(std::launch::async, carry_out, std::cref(options));
  while (moving.wait_for(kLook) != std::future_status::ready) {
    if (interrupted() && end_before_it_begins()) {
      // A peer that does not answer is waited for until the deadline; the user does not want to.
      const int code = refuse(options, Failure{interrupted_early()});
      static_cast<void>(flush_output());
      remove_unfinished_outputs();
      std::_Exit(code);
    }
  }
  const Outcome<TransferStory> told = moving.get();
  if (!told) {
    return refuse(options, told.error());
  }
  if (options.json) {
    print_json(json_of(*told));
  } else if (!told->report.route.empty()) {
    print(fmt::format("{} {}: {}\n", told->report.ok() ? done : failed,
                      fmt::join(options.peers, ", "), text_of(*told)));
  }
  return told->report.ok() ? kExitYes : fail(Failure{*told->report.error});
}

}  // namespace kvferry::tool
