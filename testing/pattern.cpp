// SPDX-License-Identifier: Apache-2.0
#include "kvferry/testing/pattern.hpp"

#include <bit>
#include <cstring>
#include <string>

#include "kvferry/base/try.hpp"

namespace kvferry::testing {
namespace {

using layout::Axis;
using layout::LayoutView;
using layout::Location;
using layout::Place;

static_assert(std::endian::native == std::endian::little, "words are stored as they lie here");

/// Bytes [first, first + size) of a token's row, written to or compared with memory. The rows of
/// one head nearly always begin and end at a multiple of 8, and then go word by word.
struct Piece {
  std::byte* at;
  std::uint64_t key;
  std::uint64_t first;
  std::uint64_t size;
};

void write(const Piece& piece) noexcept {
  std::uint64_t done = 0;
  for (; done < piece.size && (piece.first + done) % 8 != 0; ++done) {
    piece.at[done] = pattern_byte(piece.key, piece.first + done);
  }
  for (; done + 8 <= piece.size; done += 8) {
    const std::uint64_t word = pattern_mix(piece.key + (piece.first + done) / 8);
    std::memcpy(piece.at + done, &word, sizeof(word));
  }
  for (; done < piece.size; ++done) {
    piece.at[done] = pattern_byte(piece.key, piece.first + done);
  }
}

bool equals(const Piece& piece) noexcept {
  std::uint64_t done = 0;
  for (; done < piece.size && (piece.first + done) % 8 != 0; ++done) {
    if (piece.at[done] != pattern_byte(piece.key, piece.first + done)) {
      return false;
    }
  }
  std::uint64_t difference = 0;
  for (; done + 8 <= piece.size; done += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, piece.at + done, sizeof(word));
    difference |= word ^ pattern_mix(piece.key + (piece.first + done) / 8);
  }
  for (; done < piece.size; ++done) {
    if (piece.at[done] != pattern_byte(piece.key, piece.first + done)) {
      return false;
    }
  }
  return difference == 0;
}

/// Calls `visit` with each piece of one block until it says false; says whether it never did.
template <class Visit>
bool for_each_piece(const LayoutView& view, std::span<std::byte* const> regions,
                    const PatternBlock& block, std::uint64_t seed, Visit visit) {
  const auto& layers = view.axis(Axis::kLayer);
  const auto& heads = view.axis(Axis::kHead);
  const auto& elements = view.axis(Axis::kElement);
  const std::uint64_t head_bytes = elements.whole * view.element_bytes();
  const std::uint64_t piece_bytes = elements.extent * view.element_bytes();
  Place place;
  place[Axis::kBlock] = block.place.value();
  for (std::uint64_t layer = 0; layer < layers.extent; ++layer) {
    place[Axis::kLayer] = layer;
    for (std::uint64_t outer = 0; outer < view.axis(Axis::kOuter).extent; ++outer) {
      place[Axis::kOuter] = outer;
      for (std::uint64_t token = 0; token < view.axis(Axis::kToken).extent; ++token) {
        place[Axis::kToken] = token;
        const std::uint64_t key =
            pattern_key(seed, block.id.value(), layers.origin + layer,
                        view.axis(Axis::kOuter).origin + outer, block.token + token);
        for (std::uint64_t head = 0; head < heads.extent; ++head) {
          place[Axis::kHead] = head;
          const Location at = view.locate(place);
          const std::uint64_t first =
              (heads.origin + head) * head_bytes + elements.origin * view.element_bytes();
          if (!visit(Piece{regions[at.region] + at.offset_bytes, key, first, piece_bytes})) {
            return false;
          }
        }
      }
    }
  }
  return true;
}

Result<void> check_arguments(const LayoutView& view, std::span<std::byte* const> regions,
                             std::span<const PatternBlock> blocks) {
  if (view.is_opaque()) {
    return Error{ErrorCode::kInvalidArgument,
                 "the pattern needs heads that are told apart, packing is " + view.packing()};
  }
  if (regions.size() != view.regions().size()) {
    return Error{ErrorCode::kInvalidArgument, std::to_string(regions.size()) + " regions of " +
                                                  std::to_string(view.regions().size())};
  }
  const std::uint64_t count = view.axis(Axis::kBlock).extent;
  for (const PatternBlock& block : blocks) {
    if (block.place.value() >= count) {
      return Error{ErrorCode::kInvalidArgument,
                   "block " + std::to_string(block.place.value()) + " of " + std::to_string(count)};
    }
  }
  return {};
}

}  // namespace

Result<void> pattern_fill(const LayoutView& view, std::span<std::byte* const> regions,
                          std::span<const PatternBlock> blocks, std::uint64_t seed) {
  KVFERRY_RETURN_IF_ERROR(check_arguments(view, regions, blocks));
  for (const PatternBlock& block : blocks) {
    for_each_piece(view, regions, block, seed, [](const Piece& piece) {
      write(piece);
      return true;
    });
  }
  return {};
}

Result<std::vector<std::size_t>> pattern_check(const LayoutView& view,
                                               std::span<std::byte* const> regions,
                                               std::span<const PatternBlock> blocks,
                                               std::uint64_t seed) {
  KVFERRY_RETURN_IF_ERROR(check_arguments(view, regions, blocks));
  std::vector<std::size_t> wrong;
  for (std::size_t index = 0; index < blocks.size(); ++index) {
    if (!for_each_piece(view, regions, blocks[index], seed, equals)) {
      wrong.push_back(index);
    }
  }
  return wrong;
}

std::vector<PatternBlock> pattern_blocks(std::uint64_t count) {
  std::vector<PatternBlock> blocks;
  for (std::uint64_t id = 0; id < count; ++id) {
    blocks.push_back({BlockId{id}, BlockId{id}, 0});
  }
  return blocks;
}

}  // namespace kvferry::testing
