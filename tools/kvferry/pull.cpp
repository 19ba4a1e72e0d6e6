// SPDX-License-Identifier: Apache-2.0
#include "pull.hpp"

#include <algorithm>
#include <utility>

#include "kvferry/base/try.hpp"

namespace kvferry::tool {
namespace {

/// The file of --dump, before anything is moved.
Result<std::optional<OutputFile>> open_dump(const std::optional<std::string>& name) {
  if (!name.has_value()) {
    return std::optional<OutputFile>{};
  }
  if (*name == "-") {
    return Error{ErrorCode::kInvalidArgument, "dump: standard output is that of the report"};
  }
  auto opened = OutputFile::open(*name);
  if (!opened) {
    return std::move(opened).error().with_context("dump");
  }
  return std::optional<OutputFile>{*std::move(opened)};
}

/// The pull from what was fetched to what was checked. Refusals are part of the story.
Outcome<TransferStory> pull_from(const std::vector<PeerMessage>& peers, const MoveOptions& options,
                                 const Order& order, const Node& node) {
  Move move{.to = node.handle(),
            .layers = order.layers,
            .partial = options.partial,
            .verify = options.verify == "checksum" ? transfer::Verify::kChecksum
                                                   : transfer::Verify::kNone,
            .deadline = order.deadline};
  const std::uint64_t blocks =
      std::ranges::min_element(peers, {}, &PeerMessage::num_blocks)->num_blocks;
  KVFERRY_ASSIGN_OR_RETURN(move.source, expand_ids(order.blocks.source, blocks, "source"));
  KVFERRY_ASSIGN_OR_RETURN(
      move.destination,
      expand_ids(order.blocks.destination, node.layout().config().num_blocks, "destination"));
  auto remotes = import_peers(node.manager(), peers, order);
  if (!remotes) {
    return refused_story(remotes.error(), move.destination);
  }
  move.from = *std::move(remotes);
  PullCheck check{.pattern = options.verify == "pattern",
                  .source_page = peers.front().page_size,
                  .seed = node.seed()};
  for (const PeerMessage& peer : peers) {
    if (options.partial) {
      KVFERRY_ASSIGN_OR_RETURN(layout::LayoutView view, view_of(peer, order.assumption));
      check.sources.push_back(std::move(view));
    }
  }
  return pull_blocks(node.manager(), node.layout().view(), move, check);
}

Outcome<TransferStory> carry_out(const MoveOptions& options) {
  KVFERRY_ASSIGN_OR_RETURN(const Order order, order_of(options));
  KVFERRY_ASSIGN_OR_RETURN(const std::uint64_t own_blocks, blocks_needed(order.blocks.destination));
  KVFERRY_ASSIGN_OR_RETURN(std::optional<OutputFile> dump, open_dump(options.dump));
  KVFERRY_ASSIGN_OR_RETURN(const auto peers, fetch_peers(options, order.deadline));
  KVFERRY_ASSIGN_OR_RETURN(const Node node, own_node(options, "pull", own_blocks));
  KVFERRY_ASSIGN_OR_RETURN(TransferStory story, pull_from(peers, options, order, node));
  note_fault(node, story);
  if (dump.has_value() && !story.report.route.empty()) {
    KVFERRY_ASSIGN_OR_RETURN(
        const auto destination,
        expand_ids(order.blocks.destination, node.layout().config().num_blocks, "destination"));
    const auto dumped = dump_blocks(node.layout().view(), destination, *dump);
    if (!dumped && story.report.ok()) {
      story.report.error = Error{dumped.error()}.with_context("dump");
    }
  }
  return story;
}

}  // namespace

TransferStory pull_blocks(manager::TransportManager& manager, const layout::LayoutView& view,
                          const Move& move, const PullCheck& check) {
  TransferStory story = move_blocks(manager, move);
  if (!story.report.ok() || !check.pattern) {
    return story;
  }
  auto parts = moved_parts(view, move.layers, check.sources);
  if (!parts) {
    story.report.error = parts.error();
    return story;
  }
  std::vector<std::vector<BlockId>> fed_by;
  for (const BlockId block : move.destination) {
    fed_by.push_back({block});
  }
  check_story({*std::move(parts), move.source, move.destination, check.source_page, check.seed},
              fed_by, move.deadline, story);
  return story;
}

int run_pull(const MoveOptions& options) {
  return run_move(options, "pulled from", "FAILED to pull from", carry_out);
}

}  // namespace kvferry::tool
