// SPDX-License-Identifier: Apache-2.0
#include "pull.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "commands.hpp"
#include "exchange_option.hpp"
#include "interruption.hpp"
#include "kvferry/base/try.hpp"
#include "kvferry/testing/fault.hpp"
#include "node.hpp"
#include "output.hpp"
#include "publishing.hpp"
#include "spec.hpp"
#include "trusting.hpp"

namespace kvferry::tool {
namespace {

/// What is to be pulled, once the words are understood.
struct Order {
  IdPairs blocks;
  plan::LayerRange layers;
  layout::Assumptions assumption;
  TimePoint deadline;
};

Outcome<Order> parse(const PullOptions& options) {
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
    return invalid("destination block " + std::to_string(highest) + " of at most " +
                   std::to_string(kMostBlocks));
  }
  return highest + 1;
}

/// The file of --dump, before anything is moved.
Result<std::optional<OutputFile>> open_dump(const std::optional<std::string>& name) {
  if (!name.has_value()) {
    return std::optional<OutputFile>{};
  }
  auto opened = OutputFile::open(*name);
  if (!opened) {
    return std::move(opened).error().with_context("dump");
  }
  return std::optional<OutputFile>{*std::move(opened)};
}

/// A fault beyond the end of the transfer proves nothing.
std::optional<Error> fault_that_missed(const TransferStory& story) {
  if (!story.fault.has_value() || story.fault->struck || !story.report.ok()) {
    return std::nullopt;
  }
  return Error{ErrorCode::kInvalidArgument,
               "fault: it did not strike in the " +
                   std::to_string(story.report.bytes_moved / testing::kFaultPieceBytes) +
                   " pieces of this transfer"};
}

/// The pull from what was fetched to what was checked. Refusals are part of the story.
Outcome<TransferStory> carry_out(const PullOptions& options, const Order& order, const Node& node,
                                 const PeerMessage& peer, std::optional<OutputFile>& dump) {
  const std::uint64_t own_blocks = node.layout().config().num_blocks;
  KVFERRY_ASSIGN_OR_RETURN(const auto source,
                           expand_ids(order.blocks.source, peer.num_blocks, "source"));
  KVFERRY_ASSIGN_OR_RETURN(const auto destination,
                           expand_ids(order.blocks.destination, own_blocks, "destination"));
  const auto remote = node.manager().import_metadata(
      peer.message, {.assume = order.assumption, .deadline = order.deadline - SteadyClock{}.now()});
  if (!remote) {
    return refused_story(remote.error(), destination);
  }
  const Pulled pulled{.local = node.handle(),
                      .source = source,
                      .destination = destination,
                      .layers = order.layers,
                      .deadline = order.deadline,
                      .check_pattern = options.verify == "pattern",
                      .source_page = peer.page_size,
                      .seed = node.seed()};
  TransferStory story = pull_blocks(node.manager(), node.layout().view(), remote->front(), pulled);
  story.assumed = to_string(order.assumption);
  story.fault = node.fault_report();
  if (auto missed = fault_that_missed(story)) {
    story.report.error = std::move(missed);
  }
  if (dump.has_value()) {
    const auto dumped = dump_blocks(node.layout().view(), destination, *dump);
    if (!dumped && story.report.ok()) {
      story.report.error = Error{dumped.error()}.with_context("dump");
    }
  }
  return story;
}

Outcome<TransferStory> tell(const PullOptions& options) {
  KVFERRY_ASSIGN_OR_RETURN(const Order order, parse(options));
  KVFERRY_ASSIGN_OR_RETURN(const std::uint64_t own_blocks, blocks_needed(order.blocks.destination));
  KVFERRY_ASSIGN_OR_RETURN(std::optional<OutputFile> dump, open_dump(options.dump));
  Signers signers;
  KVFERRY_ASSIGN_OR_RETURN(auto opened, open_exchange(options.exchange));
  KVFERRY_ASSIGN_OR_RETURN(const auto exchange,
                           only_trusted(std::move(opened), options.trusted, signers));
  KVFERRY_ASSIGN_OR_RETURN(const PeerMessage peer,
                           fetch_peer(*exchange, options.peer, order.deadline));
  NodeOptions own = options.node;
  own.name = "pull-" + std::to_string(::getpid());
  own.access = "none";
  KVFERRY_ASSIGN_OR_RETURN(const Node node, Node::create(own, own_blocks));
  return carry_out(options, order, node, peer, dump);
}

int run(const PullOptions& options) {
  catch_interruption();
  Outcome<TransferStory> told = tell(options);
  if (!told) {
    if (options.json && told.error().exit_code != kExitUsage) {
      print_json(json_of(refused_story({told.error().code, told.error().message}, {})));
    }
    return fail(told.error());
  }
  if (options.json) {
    print_json(json_of(*told));
  } else if (!told->report.route.empty()) {
    print((told->report.ok() ? "pulled from " : "FAILED to pull from ") + options.peer + ": " +
          text_of(*told) + "\n");
  }
  return told->report.ok() ? kExitYes : fail(Failure{*told->report.error});
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

}  // namespace

TransferStory pull_blocks(manager::TransportManager& manager, const layout::LayoutView& view,
                          LayoutHandle remote, const Pulled& pulled) {
  const SteadyClock clock;
  const auto transfer = manager.execute_transfer(
      remote, pulled.source, pulled.local, pulled.destination,
      {.layers = pulled.layers, .deadline = pulled.deadline - clock.now()});
  if (!transfer) {
    return refused_story(transfer.error(), pulled.destination);
  }
  TransferStory story;
  story.blocks = pulled.destination.size();
  story.report = wait_unless_interrupted(*transfer);
  if (!story.report.ok() || !pulled.check_pattern) {
    return story;
  }
  const TimePoint begin = clock.now();
  const auto wrong = check_pattern(
      {view, pulled.source, pulled.destination, pulled.source_page, pulled.layers, pulled.seed},
      pulled.deadline);
  story.verified = "pattern";
  story.verify_seconds = std::chrono::duration<double>{clock.now() - begin}.count();
  if (!wrong) {
    story.report.error = wrong.error();
    story.report.bad_blocks = pulled.destination;
  } else if (!wrong->empty()) {
    story.report.bad_blocks = *wrong;
    std::sort(story.report.bad_blocks.begin(), story.report.bad_blocks.end());
    const bool late = clock.now() >= pulled.deadline;
    story.report.error =
        late ? Error{ErrorCode::kDeadline, "the deadline passed before every byte was checked"}
             : Error{ErrorCode::kWrongBytes,
                     std::to_string(wrong->size()) + " of " + std::to_string(story.blocks) +
                         " blocks hold other bytes than the source's pattern"};
  }
  return story;
}

int run_pull(const PullOptions& options) { return run(options); }

}  // namespace kvferry::tool
