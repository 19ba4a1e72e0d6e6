// SPDX-License-Identifier: Apache-2.0
// Goal: what a caller knows of a layout is added to what a message says, and contradicts nothing.
// Method: each assumption beside a description that says nothing, the same, and something else.
#include "kvferry/layout/assumptions.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kvferry/testing/matchers.hpp"

namespace kvferry::layout {
namespace {

using testing::FailsWith;
using testing::IsOk;

const PackedLayout kTold{
    .config = {.num_blocks = 4, .num_layers = 2, .outer_dim = 2, .page_size = 16, .inner_dim = 64}};

TEST(Assumptions, AddWhatIsNotTold) {
  const auto known = with_assumptions(
      kTold, {.order = kHnd, .num_heads = 4, .layers = {2, 2, 8}, .heads = {4, 4, 8}});
  ASSERT_THAT(known, IsOk());
  const auto& packed = std::get<PackedLayout>(*known);
  EXPECT_EQ(packed.order, kHnd);
  EXPECT_EQ(packed.config.num_heads, 4U);
  EXPECT_EQ(packed.layers, (Part{2, 2, 8}));
  EXPECT_EQ(packed.heads, (Part{4, 4, 8}));
  EXPECT_THAT(with_assumptions(*known, {.order = kHnd, .num_heads = 4}), IsOk()) << "the same";
  EXPECT_EQ(*with_assumptions(kTold, {}), Description{kTold});
}

TEST(Assumptions, ContradictNothing) {
  PackedLayout told = kTold;
  told.order = kNhd;
  told.config.num_heads = 8;
  told.layers = {0, 2, 8};
  const auto refused = [&told](const Assumptions& assume, const std::string& message) {
    EXPECT_THAT(with_assumptions(told, assume), FailsWith(ErrorCode::kInvalidArgument, message));
  };
  refused({.order = kUniversalTp}, "assumed order UniversalTP, the message says NHD");
  refused({.num_heads = 4}, "assumed num_heads 4, the message says 8");
  refused({.layers = {2, 2, 8}}, "assumed layers 2 to 4 of 8, the message says 0 to 2 of 8");
  told.config.num_heads.reset();
  refused({.num_heads = 3}, "num_heads");
}

TEST(Assumptions, DoNotChangeStrides) {
  LayoutConfig config = kTold.config;
  config.num_heads = 4;
  const Description strided = strided_layout(config, {});
  EXPECT_THAT(with_assumptions(strided, {.num_heads = 8}),
              FailsWith(ErrorCode::kInvalidArgument, "assumed heads=8, the message says every"));
  EXPECT_THAT(with_assumptions(strided, {}), IsOk());
}

TEST(Assumptions, AreToldInReports) {
  EXPECT_EQ(to_string(Assumptions{}), "");
  EXPECT_EQ(to_string(Assumptions{.order = kNhd, .num_heads = 8}), "order=NHD,heads=8");
  EXPECT_EQ(to_string(Assumptions{.layers = {4, 2, 8}, .heads = {0, 1, 3}}),
            "layers=4 to 6 of 8,heads=0 to 1 of 3");
}

}  // namespace
}  // namespace kvferry::layout
