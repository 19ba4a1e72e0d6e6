// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "kvferry/layout/view.hpp"
#include "kvferry/manager/transport_manager.hpp"
#include "moving.hpp"

namespace kvferry::tool {

/// What a pull is checked by.
struct PullCheck {
  bool pattern{true};
  std::uint64_t source_page{0};
  std::uint64_t seed{0};  ///< of the source's pattern
  /// Of the peers, where they need not hold everything; else empty.
  std::vector<layout::LayoutView> sources{};
};

/// Pulls blocks into the local layout that `view` shows, and checks every byte that was moved if
/// that is asked for. Whatever goes wrong is told in the story.
[[nodiscard]] TransferStory pull_blocks(manager::TransportManager& manager,
                                        const layout::LayoutView& view, const Move& move,
                                        const PullCheck& check);

}  // namespace kvferry::tool
