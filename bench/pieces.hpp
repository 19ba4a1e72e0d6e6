// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kvferry/base/ids.hpp"
#include "kvferry/layout/config.hpp"
#include "kvferry/layout/layout.hpp"
#include "kvferry/manager/transport_manager.hpp"
#include "measure.hpp"

namespace kvferry::bench {

/// A copy that the baseline makes: what a person would write who knows both layouts by heart.
struct Piece {
  std::byte* destination;
  const std::byte* source;
  std::size_t bytes;
};

/// Copies every piece with memcpy, in order.
void copy_pieces(const std::vector<Piece>& pieces);

/// The shape of llama-3.1-8b with `blocks` blocks: 2 MiB a block, 64 KiB a block and layer.
[[nodiscard]] layout::LayoutConfig llama_config(std::uint64_t blocks);

/// A layout of one 4 KiB block piece: one layer, one outer, 16 tokens of 128 elements.
[[nodiscard]] layout::LayoutConfig small_config(std::uint64_t blocks);

/// System memory for a layout of one region, or of one for each layer.
[[nodiscard]] Result<transfer::PhysicalLayoutPtr> contiguous(const layout::LayoutConfig& config);
[[nodiscard]] Result<transfer::PhysicalLayoutPtr> layered(
    const layout::LayoutConfig& config,
    layout::BlockDimension dimension = layout::BlockDimension::kBlockIsFirstDim);

/// How the baseline sees a layout of contiguous() or layered().
[[nodiscard]] layout::Layout plain_layout(const transfer::PhysicalLayout& physical);

/// The pieces of `blocks` whole blocks from `first` on, the same ids on both sides: one for each
/// block where both are fully contiguous, else one for each block and layer, and for each outer
/// too where one side has the block second.
[[nodiscard]] std::vector<Piece> pieces_between(const layout::Layout& source,
                                                const layout::Layout& destination,
                                                std::uint64_t first, std::uint64_t blocks);

/// `count` ids from `first` on.
[[nodiscard]] std::vector<BlockId> ids_from(std::uint64_t first, std::uint64_t count);

/// Two layouts that a manager knows, and how the baseline sees the same memory.
struct Pair {
  manager::TransportManager* manager;
  LayoutHandle source;
  LayoutHandle destination;
  layout::Layout baseline_source;
  layout::Layout baseline_destination;
};

/// What one case moves.
struct CaseOptions {
  std::string suite;
  std::string name;
  std::uint64_t blocks{1};       ///< of one transfer
  std::uint64_t walk_blocks{1};  ///< the transfers walk over that many, so that nothing is cached
  int rounds{11};
  double bar{0};
  std::string series{};  ///< of a chart over the bytes of a transfer
};

/// Pulls `blocks` blocks at a time, walking over walk_blocks, beside the better of memcpy and a
/// streaming copy of the same pieces.
///
/// Errors: of the first transfer that fails.
[[nodiscard]] Result<CaseResult> run_copy_case(const Pair& pair, const CaseOptions& options);

/// The software cost of one transfer of one 4 KiB piece: its time less that of the same memcpy.
///
/// Errors: of the first transfer that fails.
[[nodiscard]] Result<CaseResult> run_call_case(const Pair& pair, const CaseOptions& options);

}  // namespace kvferry::bench
