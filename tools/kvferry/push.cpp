// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "kvferry/base/try.hpp"
#include "moving.hpp"

namespace kvferry::tool {
namespace {

/// The destination blocks that tokens of source block number `index` went to.
std::vector<BlockId> fed_from(std::size_t index, std::uint64_t source_page,
                              const std::vector<BlockId>& destination, std::uint64_t page) {
  const std::uint64_t first = index * source_page / page;
  const std::uint64_t last = ((index + 1) * source_page - 1) / page;
  return {destination.begin() + static_cast<std::ptrdiff_t>(first),
          destination.begin() + static_cast<std::ptrdiff_t>(last) + 1};
}

/// Reads back what was pushed, into another layout like one's own, and compares it with the
/// pattern.
Result<void> check_pushed(const Node& node, const Move& pushed, const layout::LayoutView& peer,
                          TransferStory& story) {
  const layout::LayoutView& own = node.layout().view();
  auto packed = std::get<layout::PackedLayout>(node.layout().description());
  packed.config.num_blocks = pushed.source.size();
  KVFERRY_ASSIGN_OR_RETURN(const auto scratch,
                           transfer::PhysicalLayout::packed(packed).allocate_system().build());
  KVFERRY_ASSIGN_OR_RETURN(const LayoutHandle handle,
                           node.manager().register_layout(scratch, {.access = Access::kNone}));
  Move back{.from = {pushed.to},
            .source = pushed.destination,
            .to = handle,
            .layers = pushed.layers,
            .partial = true,  // The peer may have less than is one's own.
            .deadline = pushed.deadline};
  std::vector<std::vector<BlockId>> fed_by;
  for (std::size_t i = 0; i < pushed.source.size(); ++i) {
    back.destination.emplace_back(i);
    fed_by.push_back(fed_from(i, own.page_size(), pushed.destination, peer.page_size()));
  }
  const TransferStory read = move_blocks(node.manager(), back);
  if (!read.report.ok()) {
    return Error{*read.report.error}.with_context("reading back what was pushed");
  }
  KVFERRY_ASSIGN_OR_RETURN(auto parts, moved_parts(scratch->view(), pushed.layers, {peer}));
  check_story({std::move(parts), pushed.source, back.destination, own.page_size(), node.seed()},
              fed_by, pushed.deadline, story);
  return {};
}

Outcome<TransferStory> push_to(const PeerMessage& peer, const MoveOptions& options,
                               const Order& order, const Node& node) {
  Move move{.from = {node.handle()},
            .layers = order.layers,
            .partial = options.partial,
            .verify = options.verify == "checksum" ? transfer::Verify::kChecksum
                                                   : transfer::Verify::kNone,
            .deadline = order.deadline};
  KVFERRY_ASSIGN_OR_RETURN(
      move.source, expand_ids(order.blocks.source, node.layout().config().num_blocks, "source"));
  KVFERRY_ASSIGN_OR_RETURN(move.destination,
                           expand_ids(order.blocks.destination, peer.num_blocks, "destination"));
  const auto remotes = import_peers(node.manager(), {peer}, order);
  if (!remotes) {
    return refused_story(remotes.error(), move.destination);
  }
  move.to = remotes->front();
  TransferStory story = move_blocks(node.manager(), move);
  if (story.report.ok() && options.verify == "pattern") {
    KVFERRY_ASSIGN_OR_RETURN(const layout::LayoutView view, view_of(peer, order.assumption));
    const Result<void> checked = check_pushed(node, move, view, story);
    if (!checked) {
      story.report.error = checked.error();
      story.report.bad_blocks = move.destination;
      std::ranges::sort(story.report.bad_blocks);
    }
  }
  return story;
}

Outcome<TransferStory> carry_out(const MoveOptions& options) {
  KVFERRY_ASSIGN_OR_RETURN(const Order order, order_of(options));
  KVFERRY_ASSIGN_OR_RETURN(const std::uint64_t own_blocks, blocks_needed(order.blocks.source));
  KVFERRY_ASSIGN_OR_RETURN(const auto peers, fetch_peers(options, order.deadline));
  KVFERRY_ASSIGN_OR_RETURN(const Node node, own_node(options, "push", own_blocks));
  KVFERRY_ASSIGN_OR_RETURN(TransferStory story, push_to(peers.front(), options, order, node));
  note_fault(node, story);
  return story;
}

}  // namespace

int run_push(const MoveOptions& options) {
  return run_move(options, "pushed to", "FAILED to push to", carry_out);
}

}  // namespace kvferry::tool
