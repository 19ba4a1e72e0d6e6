// SPDX-License-Identifier: Apache-2.0
// Goal: a baseline copies the bytes that kvferry would, no more and no fewer. Method: the pieces of
// small layouts, added up; both copiers on pieces with and without whole lines.
#include "pieces.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <tuple>
#include <vector>

#include "stream_pieces.hpp"

namespace kvferry::bench {
namespace {

using layout::Arrangement;
using layout::Layout;

Layout made(Arrangement arrangement) {
  const layout::LayoutConfig config = llama_config(4);
  std::vector<Region> regions;
  const auto sizes = required_regions(config, arrangement);
  for (const std::uint64_t bytes : *sizes) {
    regions.push_back({(regions.size() + 1) << 32U, bytes});
  }
  return Layout::create(config, arrangement, regions).value();
}

TEST(PiecesBetween, AreAsLargeAsBothSidesAllow) {
  const Layout fc = made(Arrangement::kFullyContiguous);
  const Layout ls = made(Arrangement::kLayerSeparateBlockFirst);
  const Layout ls2 = made(Arrangement::kLayerSeparateBlockSecond);
  for (const auto& [source, destination, count] :
       {std::tuple{fc, fc, 2U}, std::tuple{fc, ls, 64U}, std::tuple{ls, ls2, 128U},
        std::tuple{ls2, fc, 128U}}) {
    const std::vector<Piece> pieces = pieces_between(source, destination, 1, 2);
    EXPECT_EQ(pieces.size(), count);
    for (const Piece& piece : pieces) {
      EXPECT_EQ(piece.bytes * count, 2 * fc.config().block_bytes());
    }
  }
}

TEST(StreamPieces, CopiesWhatMemcpyDoes) {
  std::vector<std::byte> from(4096);
  for (std::size_t i = 0; i < from.size(); ++i) {
    from[i] = static_cast<std::byte>(i * 7 + i / 256);
  }
  for (const std::size_t at : {0U, 1U}) {
    alignas(64) std::array<std::byte, 4096> to{};
    stream_pieces({{to.data() + at, from.data() + 3, 640}, {to.data() + 2048, from.data(), 65}});
    EXPECT_EQ(std::memcmp(to.data() + at, from.data() + 3, 640), 0);
    EXPECT_EQ(to[640 + at], std::byte{0});
    EXPECT_EQ(std::memcmp(to.data() + 2048, from.data(), 65), 0);
    EXPECT_EQ(to[2048 + 65], std::byte{0});
  }
}

}  // namespace
}  // namespace kvferry::bench
