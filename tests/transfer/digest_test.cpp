// SPDX-License-Identifier: Apache-2.0
// Goal: a digest is that of the bytes of its box in the order of coordinates, however they lie.
// Method: an oracle that asks the view for every element and hashes them once, over all
//         arrangements, orders and ranges; the example of docs/spec/digests.md, whose digest was
//         computed by another implementation; boxes at and past every bound.
#include "transfer/digest.hpp"

#include <gtest/gtest.h>
#include <xxhash.h>

#include <random>
#include <string>
#include <vector>

#include "kvferry/layout/packed.hpp"
#include "kvferry/testing/matchers.hpp"
#include "kvferry/transfer/physical_layout.hpp"

namespace kvferry::transfer {
namespace {

using layout::Arrangement;
using layout::Axis;
using layout::LayoutView;
using layout::PackedLayout;
using testing::FailsWith;
using testing::IsOk;

PackedLayout packed(Arrangement arrangement, const layout::BlockAxes& order, std::uint64_t heads) {
  PackedLayout made;
  made.layers = {.origin = 2, .extent = 3, .whole = 8};
  made.heads = {.origin = heads, .extent = heads, .whole = 4 * heads};
  made.order = order;
  made.arrangement = arrangement;
  made.config = {.num_blocks = 3,
                 .num_layers = 3,
                 .outer_dim = 2,
                 .page_size = 5,
                 .inner_dim = heads * 24,
                 .num_heads = heads};
  return made;
}

PhysicalLayoutPtr with_noise(const PackedLayout& of, std::uint32_t seed) {
  const auto built = PhysicalLayout::packed(of).allocate_system().build();
  EXPECT_TRUE(built.has_value()) << built.error().message;
  std::mt19937 random{seed};
  for (std::byte& byte : (*built)->memories()[0]->bytes()) {
    byte = static_cast<std::byte>(random());
  }
  return *built;
}

Digest oracle(const LayoutView& view, std::span<std::byte* const> bases, const DigestBox& box) {
  std::vector<std::byte> bytes;
  layout::Place at;
  at[Axis::kBlock] = box.block.value();
  at[Axis::kLayer] = box.layer - view.axis(Axis::kLayer).origin;
  const std::uint64_t tokens = view.is_opaque() ? 1 : box.tokens;
  for (std::uint64_t outer = 0; outer < view.axis(Axis::kOuter).extent; ++outer) {
    for (std::uint64_t token = 0; token < tokens; ++token) {
      for (std::uint64_t head = 0; head < view.axis(Axis::kHead).extent; ++head) {
        for (std::uint64_t element = 0; element < view.axis(Axis::kElement).extent; ++element) {
          at[Axis::kOuter] = outer;
          at[Axis::kToken] = view.is_opaque() ? 0 : box.first_token + token;
          at[Axis::kHead] = head;
          at[Axis::kElement] = element;
          const layout::Location found = view.locate(at);
          const std::byte* const begin = bases[found.region] + found.offset_bytes;
          bytes.insert(bytes.end(), begin, begin + view.element_bytes());
        }
      }
    }
  }
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {hash.low64, hash.high64};
}

class Digests
    : public ::testing::TestWithParam<std::tuple<Arrangement, const char*, std::uint64_t>> {
 protected:
  [[nodiscard]] static layout::BlockAxes order() {
    return std::string{std::get<1>(GetParam())} == "nhd" ? layout::kNhd : layout::kHnd;
  }
  PhysicalLayoutPtr layout_ =
      with_noise(packed(std::get<0>(GetParam()), order(), std::get<2>(GetParam())), 3);
  Digester digester_;
};

INSTANTIATE_TEST_SUITE_P(
    All, Digests,
    ::testing::Combine(::testing::Values(Arrangement::kFullyContiguous,
                                         Arrangement::kLayerSeparateBlockFirst,
                                         Arrangement::kLayerSeparateBlockSecond),
                       ::testing::Values("nhd", "hnd"), ::testing::Values(1, 2, 40)));

TEST_P(Digests, AreThoseOfAllElementsInTheOrderOfCoordinates) {
  const LayoutView& view = layout_->view();
  for (std::uint64_t block = 0; block < 3; ++block) {
    for (std::uint64_t layer = 2; layer < 5; ++layer) {
      for (std::uint64_t first = 0; first < 5; ++first) {
        for (std::uint64_t tokens = 1; first + tokens <= 5; ++tokens) {
          const DigestBox box{BlockId{block}, layer, first, tokens};
          ASSERT_THAT(check_box(view, box), IsOk());
          EXPECT_EQ(digester_.of(view, layout_->region_bases(), box),
                    oracle(view, layout_->region_bases(), box))
              << block << ' ' << layer << ' ' << first << ' ' << tokens;
        }
      }
    }
  }
}

TEST_P(Digests, OfRangesAreThoseOfTheRanges) {
  const std::uint64_t heads = std::get<2>(GetParam());
  for (std::uint64_t outer = 0; outer < 2; ++outer) {
    const LayoutView half = *layout_->view().slice(Axis::kOuter, outer, 1);
    const LayoutView part = *half.slice(Axis::kHead, heads / 2, heads - heads / 2);
    const DigestBox box{BlockId{1}, 3, 1, 3};
    EXPECT_EQ(digester_.of(part, layout_->region_bases(), box),
              oracle(part, layout_->region_bases(), box));
  }
}

TEST_P(Digests, DifferByEveryBitAndByEveryPlace) {
  const LayoutView& view = layout_->view();
  const DigestBox box{BlockId{1}, 3, 0, 5};
  const Digest before = digester_.of(view, layout_->region_bases(), box);
  for (const DigestBox& other : {DigestBox{BlockId{2}, 3, 0, 5}, DigestBox{BlockId{1}, 4, 0, 5},
                                 DigestBox{BlockId{1}, 3, 0, 4}}) {
    EXPECT_NE(digester_.of(view, layout_->region_bases(), other), before);
  }
  std::size_t seen = 0;
  for (std::byte& byte : layout_->memories()[0]->bytes()) {
    byte ^= std::byte{64};
    seen += digester_.of(view, layout_->region_bases(), box) != before ? 1U : 0U;
    byte ^= std::byte{64};
  }
  EXPECT_EQ(seen, std::get<2>(GetParam()) * 24 * 2 * 5 * 2) << "each byte of the box, and no other";
}

TEST(Digest, IsThatOfTheExample) {
  for (const layout::BlockAxes& order : {layout::kNhd, layout::kHnd}) {
    PackedLayout example;
    example.layers = {.extent = 1, .whole = 1};
    example.heads = {.extent = 2, .whole = 2};
    example.order = order;
    example.config = {.num_blocks = 2,
                      .num_layers = 1,
                      .outer_dim = 2,
                      .page_size = 2,
                      .inner_dim = 4,
                      .dtype_width_bytes = 1,
                      .num_heads = 2};
    const PhysicalLayoutPtr layout = with_noise(example, 1);
    for (unsigned place = 0; place < 32; ++place) {
      layout::Place at;
      at[Axis::kBlock] = place / 16;
      at[Axis::kOuter] = place / 8 % 2;
      at[Axis::kToken] = place / 4 % 2;
      at[Axis::kHead] = place / 2 % 2;
      at[Axis::kElement] = place % 2;
      const unsigned byte =
          place / 16 * 32 + place / 8 % 2 * 16 + place / 4 % 2 * 8 + place / 2 % 2 * 4 + place % 2;
      const layout::Location found = layout->view().locate(at);
      layout->region_bases()[found.region][found.offset_bytes] = static_cast<std::byte>(byte);
    }
    const Digest digest =
        Digester{}.of(layout->view(), layout->region_bases(), {BlockId{1}, 0, 0, 2});
    EXPECT_EQ(to_string(digest), "1b74921c3a4c6626c9a5d04035541671");
  }
}

TEST(Digest, OfOnePieceIsThatOfItsBytes) {
  const PhysicalLayoutPtr layout =
      with_noise(packed(Arrangement::kFullyContiguous, layout::kHnd, 2), 5);
  PackedLayout all = packed(Arrangement::kFullyContiguous, layout::kHnd, 2);
  all.heads = {.extent = 2, .whole = 2};
  const PhysicalLayoutPtr whole = with_noise(all, 5);
  EXPECT_FALSE(layout->view().collapsed().has_value()) << "a part of the heads is no piece";
  const auto piece = whole->view().collapsed();
  ASSERT_TRUE(piece.has_value());
  const DigestBox box{BlockId{2}, 3, 0, 5};
  Digester digester;
  EXPECT_EQ(digester.of(*piece, whole->region_bases(), box),
            oracle(*piece, whole->region_bases(), box));
  EXPECT_NE(digester.of(*piece, whole->region_bases(), box),
            digester.of(whole->view(), whole->region_bases(), box))
      << "HND lies in another order than that of coordinates";
  EXPECT_THAT(check_box(*piece, {BlockId{2}, 3, 0, 4}),
              FailsWith(ErrorCode::kInvalidArgument, "tokens: 4 of a page of 5 that is one piece"));
}

TEST(Digest, RefusesBoxesThatLeaveTheirView) {
  const PhysicalLayoutPtr layout =
      with_noise(packed(Arrangement::kFullyContiguous, layout::kNhd, 2), 5);
  const auto refused = [&](const DigestBox& box, const std::string& why) {
    EXPECT_THAT(check_box(layout->view(), box), FailsWith(ErrorCode::kInvalidArgument, why));
  };
  constexpr std::uint64_t kHuge = ~std::uint64_t{0};
  refused({BlockId{3}, 2, 0, 1}, "block 3 and 1 in all, of 3 from 0");
  refused({BlockId{kHuge}, 2, 0, 1}, "block");
  refused({BlockId{0}, 1, 0, 1}, "layer 1 and 1 in all, of 3 from 2");
  refused({BlockId{0}, 5, 0, 1}, "layer 5");
  refused({BlockId{0}, 2, 0, 0}, "token 0 and 0 in all, of 5 from 0");
  refused({BlockId{0}, 2, 4, 2}, "token 4 and 2 in all");
  refused({BlockId{0}, 2, 0, 6}, "token 0 and 6 in all");
  refused({BlockId{0}, 2, 1, kHuge}, "token");
  refused({BlockId{0}, 2, kHuge, 1}, "token");
}

}  // namespace
}  // namespace kvferry::transfer
