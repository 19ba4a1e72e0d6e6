// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "commands.hpp"
#include "files.hpp"
#include "kvferry/exchange/exchange.hpp"
#include "kvferry/layout/assumptions.hpp"
#include "node.hpp"
#include "outcome.hpp"
#include "publishing.hpp"
#include "report.hpp"
#include "trusting.hpp"
#include "words.hpp"

// What pull and push share: what is asked for, who the peers are, one transfer and its check.

namespace kvferry::tool {

/// What is to be moved, once the words are understood.
struct Order {
  IdPairs blocks;
  plan::LayerRange layers;
  layout::Assumptions assumption;
  TimePoint deadline;  ///< of moving and checking
};

/// Errors: usage and invalid for what the options say.
[[nodiscard]] Outcome<Order> order_of(const MoveOptions& options);

/// One more than the highest of the ids.
///
/// Errors: invalid for more than any memory has.
[[nodiscard]] Outcome<std::uint64_t> blocks_needed(const IdList& ids);

/// The messages of all peers that are named, in their order.
///
/// Errors: those of fetch_peer(), and of keys that are not trusted.
[[nodiscard]] Outcome<std::vector<PeerMessage>> fetch_peers(const MoveOptions& options,
                                                            TimePoint deadline);

/// The worker's own side.
///
/// Errors: those of Node::create().
[[nodiscard]] Outcome<Node> own_node(const MoveOptions& options, const std::string& role,
                                     std::uint64_t blocks);

/// The first layout of each peer, imported.
///
/// Errors: those of import_metadata().
[[nodiscard]] Result<std::vector<LayoutHandle>> import_peers(manager::TransportManager& manager,
                                                             const std::vector<PeerMessage>& peers,
                                                             const Order& order);

/// One transfer between layouts that a manager knows.
struct Move {
  std::vector<LayoutHandle> from{};
  std::vector<BlockId> source{};
  LayoutHandle to{};
  std::vector<BlockId> destination{};
  plan::LayerRange layers{};
  bool partial{false};
  transfer::Verify verify{transfer::Verify::kNone};
  TimePoint deadline{};
};

/// Moves, until the end or until the user interrupts. Whatever goes wrong is told in the story.
[[nodiscard]] TransferStory move_blocks(manager::TransportManager& manager, const Move& move);

/// Checks what was moved, of the blocks that are good so far, and tells it in the story.
/// `fed_by[i]` are the blocks to be called bad when destination block number i holds other bytes.
void check_story(const Moved& moved, const std::vector<std::vector<BlockId>>& fed_by,
                 TimePoint deadline, TransferStory& story);

/// What of `view` was moved: the selected layers, and where sources hold a part only, that part.
/// Nothing when nothing was.
///
/// Errors: those of LayoutView::slice().
[[nodiscard]] Result<std::vector<layout::LayoutView>> moved_parts(
    const layout::LayoutView& view, const plan::LayerRange& layers,
    const std::vector<layout::LayoutView>& sources);

/// The view of a peer's first layout, with what is assumed.
[[nodiscard]] Result<layout::LayoutView> view_of(const PeerMessage& peer,
                                                 const layout::Assumptions& assumption);

/// A fault beyond the end of the transfer proves nothing: it is an error of the story.
void note_fault(const Node& node, TransferStory& story);

/// Carries out a command that moves blocks: prints its story, or why there is none.
int run_move(const MoveOptions& options, const std::string& done, const std::string& failed,
             Outcome<TransferStory> (*carry_out)(const MoveOptions&));

}  // namespace kvferry::tool
