// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

#include "kvferry/layout/view.hpp"
#include "kvferry/plan/plan.hpp"

namespace kvferry::plan {

/// One side of a reference copy: a view and, for each of its regions, where the bytes are.
template <class Byte>
struct ReferenceSide {
  const layout::LayoutView& view;
  std::span<Byte* const> regions;
};

/// Copies blocks element by element, straight from what the axes mean: slow, obvious, and the
/// oracle of everything fast. Both views hold the same layers and heads, and are told apart or
/// opaque alike; nothing is checked.
void reference_copy(const ReferenceSide<const std::byte>& source,
                    const ReferenceSide<std::byte>& destination, const BlockPairs& blocks,
                    const LayerRange& layers = {});

}  // namespace kvferry::plan
