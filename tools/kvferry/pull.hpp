// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "kvferry/base/clock.hpp"
#include "kvferry/base/ids.hpp"
#include "kvferry/layout/view.hpp"
#include "kvferry/manager/transport_manager.hpp"
#include "report.hpp"

namespace kvferry::tool {

/// One pull into a local layout.
struct Pulled {
  LayoutHandle local{};
  std::vector<BlockId> source;
  std::vector<BlockId> destination;
  plan::LayerRange layers{};
  TimePoint deadline{};  ///< of moving and checking
  bool check_pattern{true};
  std::uint64_t source_page{0};
  std::uint64_t seed{0};  ///< of the source's pattern
};

/// Pulls blocks of a remote layout into the local one that `view` shows, and checks every byte
/// that was moved if that is asked for. Whatever goes wrong is told in the story.
[[nodiscard]] TransferStory pull_blocks(manager::TransportManager& manager,
                                        const layout::LayoutView& view, LayoutHandle remote,
                                        const Pulled& pulled);

}  // namespace kvferry::tool
