// SPDX-License-Identifier: Apache-2.0
#pragma once

// Tensors as an engine has them: extents and strides counted in elements, K and V in one tensor or
// in two, one tensor for all layers or one for each, padding anywhere, several caches in one
// allocation.
//
//   // 32 tensors of shape (2, blocks, 16, 8, 128), one for each layer:
//   auto view = layout::tensor_view({.dims = {{Axis::kOuter, 2, blocks * 16384},
//                                             {Axis::kBlock, blocks, 16384},
//                                             {Axis::kToken, 16, 1024},
//                                             {Axis::kHead, 8, 128},
//                                             {Axis::kElement, 128, 1}},
//                                    .lists = {{Axis::kLayer, 32}}},
//                                   regions);
//
// The caches of known engines have constructors by name: kvferry/layout/engines.hpp.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kvferry/base/result.hpp"
#include "kvferry/base/run.hpp"
#include "kvferry/layout/packed.hpp"
#include "kvferry/layout/view.hpp"

namespace kvferry::layout {

/// One dimension of a tensor, as its shape and its strides tell it. Signed, as frameworks have
/// them; nothing negative is accepted.
struct TensorDim {
  Axis axis{Axis::kBlock};
  std::int64_t extent{0};
  std::int64_t stride_elements{0};
};

/// An axis and how many places it has.
struct AxisExtent {
  Axis axis{Axis::kBlock};
  std::uint64_t extent{0};
};

/// What all tensors of one cache have in common. An axis that is named nowhere has one place.
struct TensorLayout {
  std::vector<TensorDim> dims;      ///< of each tensor, in any order
  std::uint64_t element_bytes{2};   ///< 1, 2, 4 or 8
  std::int64_t offset_elements{0};  ///< of the first element, from the start of its region
  std::vector<AxisExtent> lists{};  ///< axes with a tensor for each place, outermost first
  Part layers{};                    ///< whole 0: all that the model has
  Part heads{};                     ///< whole 0: all that the model has
  std::string packing{};            ///< not empty: token, head and element are one opaque piece,
                                    ///< named by an element dim with as many elements
  std::uint64_t page_size{0};       ///< tokens of an opaque piece; 0 where tokens are told apart
};

/// The dims of a tensor whose places lie one after the other, the last of `axes` innermost.
///
/// Errors: kInvalidArgument naming the axis whose extent is 0, or whose stride does not fit.
[[nodiscard]] Result<std::vector<TensorDim>> contiguous_dims(std::span<const AxisExtent> axes);

/// The view of tensors over `regions`: one, or one for each place of `lists`, those of the last
/// list next to each other. A region may be a part of a larger allocation.
///
/// Errors: kInvalidArgument naming the axis that is there twice, has an extent below 1, a negative
///         stride or one that does not fit, or a part of another extent; for more than 65,536
///         tensors, an opaque piece with token or head dims or without whole tokens; and those of
///         LayoutView::create(): strides that overlap or leave the region.
/// Source: docs/spec/engines.md, section 1.
[[nodiscard]] Result<LayoutView> tensor_view(const TensorLayout& tensors,
                                             std::vector<Region> regions);

/// The state of a recurrent layer (Mamba, linear attention): bytes that an engine keeps for each
/// block and layer, and that mean nothing outside of it.
struct StateLayout {
  std::string name;  ///< what must agree: kind, shapes, types, rank's share
  std::uint64_t num_blocks{0};
  std::uint64_t state_bytes{0};         ///< of one block and layer
  std::uint64_t block_stride_bytes{0};  ///< from block to block, state_bytes or more
  Part layers{};                        ///< the recurrent ones among the model's recurrent layers
};

/// The opaque view of states, packed as "state:NAME", with a region for each layer. A state moves
/// whole, and only to one of the same name and size.
///
/// Errors: kInvalidArgument for a state without a name, and those of LayoutView::create().
/// Source: docs/spec/engines.md, section 4.
[[nodiscard]] Result<LayoutView> state_view(const StateLayout& states, std::vector<Region> regions);

}  // namespace kvferry::layout
