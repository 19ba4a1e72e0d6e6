// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kvferry/base/ids.hpp"
#include "kvferry/base/result.hpp"
#include "kvferry/layout/view.hpp"

namespace kvferry::testing {

// Bytes that tell where they belong: each follows from the seed and its place in the whole model,
// and from no layout, so it survives every order, page and rank. For block b, layer l, outer o and
// token t, key = seed, then key = mix(key + v + 1) for v in (b, l, o, t); byte i of the token's row
// of all heads of the whole model is byte (i mod 8), from the lowest, of mix(key + i / 8).

/// A block of a view, and what its bytes are of. They differ where a block was moved: `id` and
/// `token` are then the source's.
struct PatternBlock {
  BlockId place;
  BlockId id;
  std::uint64_t token{0};  ///< of `id`: what the first token of the view holds
};

/// Scrambles 64 bits.
[[nodiscard]] constexpr std::uint64_t pattern_mix(std::uint64_t z) noexcept {
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31U);
}

/// The byte that belongs to byte `i` of a token's row.
[[nodiscard]] constexpr std::byte pattern_byte(std::uint64_t key, std::uint64_t i) noexcept {
  return static_cast<std::byte>(pattern_mix(key + i / 8) >> (8 * (i % 8)));
}

/// The key of a token's row.
[[nodiscard]] constexpr std::uint64_t pattern_key(std::uint64_t seed, std::uint64_t block,
                                                  std::uint64_t layer, std::uint64_t outer,
                                                  std::uint64_t token) noexcept {
  std::uint64_t key = seed;
  for (const std::uint64_t v : {block, layer, outer, token}) {
    key = pattern_mix(key + v + 1);
  }
  return key;
}

/// Writes the pattern into blocks of `view`, whose regions begin at `regions`.
///
/// Errors: kInvalidArgument for a view whose heads are not told apart, another number of regions
///         than it has, or a block that it has not got.
[[nodiscard]] Result<void> pattern_fill(const layout::LayoutView& view,
                                        std::span<std::byte* const> regions,
                                        std::span<const PatternBlock> blocks, std::uint64_t seed);

/// Compares blocks of `view` with the pattern; gives the indices in `blocks` of those that differ.
///
/// Errors: as pattern_fill().
[[nodiscard]] Result<std::vector<std::size_t>> pattern_check(const layout::LayoutView& view,
                                                             std::span<std::byte* const> regions,
                                                             std::span<const PatternBlock> blocks,
                                                             std::uint64_t seed);

/// Blocks 0 to `count` of a view that nobody moved.
[[nodiscard]] std::vector<PatternBlock> pattern_blocks(std::uint64_t count);

}  // namespace kvferry::testing
