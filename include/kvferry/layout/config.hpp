// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "kvferry/base/result.hpp"

namespace kvferry::layout {

/// How the inside of a block is said to be ordered in messages of format A.
///
/// Source: docs/spec/wire-format.md, section 1.3. The values are the wire's.
enum class InnerShape : std::uint8_t { kUnknown = 0, kNhd = 1, kHnd = 2 };

/// "Unknown", "NHD", "HND".
[[nodiscard]] std::string_view to_string(InnerShape shape) noexcept;

/// The shape of a layout: how many of everything, and how wide an element is. Plain numbers that
/// may come from outside; validate() says whether they make sense.
///
/// Source: docs/spec/layouts.md, section 1.
struct LayoutConfig {
  std::uint64_t num_blocks{0};  ///< KV blocks
  std::uint64_t num_layers{0};  ///< model layers
  std::uint64_t outer_dim{0};   ///< 2: K and V; 1: one tensor for both, or a latent (MLA)
  std::uint64_t page_size{0};   ///< tokens in a block
  std::uint64_t inner_dim{0};   ///< elements of one token, layer and outer: heads x head size
  std::uint64_t alignment{1};   ///< declared; enters no address
  std::uint64_t dtype_width_bytes{2};            ///< of one element: 1, 2, 4 or 8
  InnerShape inner_shape{InnerShape::kUnknown};  ///< order of token and head inside a block
  std::optional<std::uint64_t> num_heads{};      ///< nothing: heads are not told apart

  /// Whether every field is in its range.
  ///
  /// Errors: kInvalidArgument naming the first field that is not, its value and its bound. Sizes
  ///         that overflow are found here too.
  [[nodiscard]] Result<void> validate() const;

  /// Bytes of all blocks, without padding; the largest number when the product does not fit.
  [[nodiscard]] std::uint64_t required_bytes() const noexcept;

  /// Bytes of one (block, layer, outer): page_size x inner_dim x dtype_width_bytes. Only for a
  /// config that validates.
  [[nodiscard]] std::uint64_t region_bytes() const noexcept;

  /// Bytes of one block: all its layers and outers. Only for a config that validates.
  [[nodiscard]] std::uint64_t block_bytes() const noexcept;

  friend bool operator==(const LayoutConfig&, const LayoutConfig&) = default;
};

}  // namespace kvferry::layout
