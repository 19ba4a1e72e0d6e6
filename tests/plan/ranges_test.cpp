// SPDX-License-Identifier: Apache-2.0
// Goal: what a view holds and what is wanted of it are places of the whole model, and cutting keeps
//       to them. Method: a rank's view, whose parts begin in the middle.
#include "plan/ranges.hpp"

#include <gtest/gtest.h>

#include "kvferry/layout/packed.hpp"

namespace kvferry::plan::detail {
namespace {

using layout::Axis;
using layout::LayoutView;

/// Layers 2 to 3 of 4, heads 3 to 5 of 6; 2 outers, 3 blocks of 4 tokens.
LayoutView part() {
  layout::PackedLayout packed;
  packed.order = layout::kNhd;
  packed.layers = {2, 2, 4};
  packed.heads = {3, 3, 6};
  packed.config = {.num_blocks = 3,
                   .num_layers = 2,
                   .outer_dim = 2,
                   .page_size = 4,
                   .inner_dim = 6,
                   .num_heads = 3};
  return layout::packed_view(packed, {Region{4096, packed.config.required_bytes()}}).value();
}

TEST(Ranges, AreWhatAViewHoldsOfTheModel) {
  EXPECT_EQ(held_box(part()), (Box{Range{2, 4}, Range{0, 2}, Range{3, 6}}));
  EXPECT_EQ(wanted_box(part(), {}).value(), held_box(part()));
  EXPECT_EQ(wanted_box(part(), {3, 4}).value()[0], (Range{3, 4}));
  EXPECT_TRUE(is_empty(wanted_box(part(), {0, 2}).value()));
  EXPECT_EQ(wanted_box(part(), {0, 5}).error().message, "layers 0:5: the model has 4");
  EXPECT_EQ(wanted_box(part(), {3, 2}).error().message, "layers 3:2: the model has 4");
}

TEST(Ranges, CutAViewInTheModelsPlaces) {
  const LayoutView cut_out = cut(part(), {Range{3, 4}, Range{1, 2}, Range{4, 6}}).value();
  EXPECT_EQ(held_box(cut_out), (Box{Range{3, 4}, Range{1, 2}, Range{4, 6}}));
  layout::Place first;
  layout::Place same;
  same[Axis::kLayer] = 1;
  same[Axis::kOuter] = 1;
  same[Axis::kHead] = 1;
  EXPECT_EQ(cut_out.locate(first), part().locate(same));
  EXPECT_FALSE(cut(part(), {Range{1, 3}, Range{0, 2}, Range{3, 6}}).has_value());
}

TEST(Ranges, PairBlocksOnlyOfEqualTokens) {
  const std::vector<BlockId> two = block_ids({0, 2});
  const std::vector<BlockId> one = block_ids({1});
  const std::vector<BlockId> beyond = block_ids({3});
  const std::vector<BlockId> twice = block_ids({1, 1});
  const auto why = [](const BlockPairs& blocks) {
    const auto checked = check_pairs(blocks, part(), part());
    return checked ? std::string{} : checked.error().message;
  };
  EXPECT_EQ(why({two, two}), "");
  EXPECT_EQ(why({twice, two}), "");
  EXPECT_EQ(why({two, one}), "2 source blocks against 1 destination blocks");
  EXPECT_EQ(why({beyond, one}), "source block 3 of 3");
  EXPECT_EQ(why({one, beyond}), "destination block 3 of 3");
  EXPECT_EQ(why({two, twice}), "destination block 1 is named twice");
}

}  // namespace
}  // namespace kvferry::plan::detail
