// SPDX-License-Identifier: Apache-2.0
// Goal: whatever the two views and the selection, the runs of a plan write every byte of the
//       selection once, from the right source byte, and touch nothing else.
// Method: random pairs of small views from printed seeds, against a model written apart from the
//         planner (model.hpp) and, where it applies, against the reference copier.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "kvferry/plan/plan.hpp"
#include "kvferry/plan/reference.hpp"
#include "model.hpp"

namespace kvferry::plan {
namespace {

using layout::Axis;
using layout::LayoutView;
using test::Applied;
using test::Expected;
using test::Memory;
using test::Model;
using test::Pairs;
using test::Random;
using test::Shape;

constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();

struct Case {
  LayoutView source;
  LayoutView destination;
  Pairs blocks;
  LayerRange layers;
};

Shape random_shape(Random& random) {
  Shape shape;
  shape.page = random.between(1, 6);
  shape.order = random.one_in(2) ? layout::InnerShape::kNhd : layout::InnerShape::kHnd;
  shape.arrangement = static_cast<layout::Arrangement>(random.between(0, 2));
  return shape;
}

/// `count` of `blocks` ids: neighbours, or any; each once unless they may repeat.
std::vector<BlockId> random_ids(std::uint64_t count, std::uint64_t blocks, bool repeat,
                                Random& random) {
  std::vector<std::uint64_t> ids(blocks);
  std::iota(ids.begin(), ids.end(), std::uint64_t{0});
  if (random.one_in(2)) {
    std::shuffle(ids.begin(), ids.end(), random.engine());
  } else if (count < blocks) {
    const std::uint64_t first = random.between(0, blocks - count);
    std::rotate(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(first), ids.end());
  }
  if (random.one_in(3) && count > 1) {  // Neighbours, but for one pair that is swapped.
    std::swap(ids[0], ids[count - 1]);
  }
  std::vector<BlockId> chosen;
  for (std::uint64_t i = 0; i < count; ++i) {
    chosen.emplace_back(repeat && random.one_in(3) ? random.between(0, blocks - 1) : ids[i]);
  }
  return chosen;
}

LayoutView random_view(const Model& model, const Shape& shape, bool opaque, Random& random) {
  if (opaque) {  // A block is one piece then: nothing inside of it can be cut or moved.
    return test::random_part(test::layout_view(model, shape), {Axis::kLayer, Axis::kOuter}, random);
  }
  return test::random_part(
      random.one_in(2) ? test::adopted_view(model, shape, random) : test::layout_view(model, shape),
      {Axis::kLayer, Axis::kOuter, Axis::kHead}, random);
}

Case random_case(Random& random) {
  Model model;
  model.layers = random.between(1, 4);
  model.outers = random.between(1, 2);
  model.heads = random.between(1, 4);
  model.head_elements = random.between(1, 3);
  model.element_bytes = std::uint64_t{1} << random.between(0, 3);
  Shape from = random_shape(random);
  Shape to = random_shape(random);
  if (random.one_in(2)) {
    to.page = from.page;
  }
  if (random.one_in(4)) {  // An opaque side, or two.
    to.page = from.page;
    to.order = from.order;
    from.tells_heads = random.one_in(2);
    to.tells_heads = from.tells_heads && random.one_in(2);
  }
  const std::uint64_t common = std::lcm(from.page, to.page);
  const std::uint64_t times =
      random.between(random.one_in(8) ? 0 : 1, from.page == to.page ? 5 : 2);
  const std::uint64_t from_count = times * common / from.page;
  const std::uint64_t to_count = times * common / to.page;
  from.blocks = std::max<std::uint64_t>(from_count, 1) + random.between(0, 2);
  to.blocks = std::max<std::uint64_t>(to_count, 1) + random.between(0, 2);
  const bool opaque = !from.tells_heads || !to.tells_heads;
  Case made{random_view(model, from, opaque, random),
            random_view(model, to, opaque, random),
            {random_ids(from_count, from.blocks, true, random),
             random_ids(to_count, to.blocks, false, random)},
            {}};
  if (random.one_in(3)) {
    made.layers.first = random.between(0, model.layers);
    made.layers.end =
        random.one_in(3) ? LayerRange::kAll : random.between(made.layers.first, model.layers);
  }
  return made;
}

/// That the figures of the summary are those of the runs and of the model.
void check_summary(const CopyPlan& plan, const Expected& expected, const Applied& applied) {
  const PlanSummary summary = plan.summary();
  EXPECT_EQ(summary.block_pairs, plan.destination_blocks().size());
  EXPECT_EQ(summary.bytes_moved, applied.bytes);
  EXPECT_EQ(summary.bytes_useful, applied.bytes);
  EXPECT_EQ(plan.total_bytes(), applied.bytes);
  EXPECT_EQ(summary.runs, applied.runs);
  EXPECT_EQ(summary.smallest_run, applied.smallest);
  EXPECT_EQ(summary.largest_run, applied.largest);
  EXPECT_EQ(summary.runs_before, test::contiguous_pieces(expected.moves, true));
  EXPECT_LE(summary.runs, summary.runs_before);
  EXPECT_GE(summary.runs, test::contiguous_pieces(expected.moves, false));
  if (expected.wanted != 0) {
    EXPECT_DOUBLE_EQ(summary.coverage, static_cast<double>(expected.moves.size()) /
                                           static_cast<double>(expected.wanted));
  }
  EXPECT_EQ(summary.coverage, plan.shape().coverage());
}

/// Applies the plan of `c` with each limit of bytes, and compares with the model.
void check_bytes(const Case& c, const CopyPlan& plan, const Expected& expected, Random& random) {
  const Memory source{c.source, random.between(1, kUnlimited)};
  const Memory before{c.destination, random.between(1, kUnlimited)};
  Memory wanted{before};
  for (const test::Move& move : expected.moves) {
    std::copy_n(source.region(move.from.region) + move.from.offset_bytes, move.bytes,
                wanted.region(move.to.region) + move.to.offset_bytes);
  }
  Memory after{before};
  const Applied applied = test::apply({plan, expected, c.blocks}, source, after, {kUnlimited});
  EXPECT_TRUE(after == wanted);
  check_summary(plan, expected, applied);
  for (const std::vector<std::uint64_t>& limits :
       {std::vector<std::uint64_t>{1}, {3}, {7}, {64}, {5, kUnlimited, 1, 16, 2}}) {
    Memory again{before};
    EXPECT_EQ(test::apply({plan, expected, c.blocks}, source, again, limits).bytes, applied.bytes);
    EXPECT_TRUE(again == wanted);
  }
}

/// The reference copier is for views of the same layers, outers and heads.
void check_reference(const Case& c, const Expected& expected, Random& random) {
  for (const Axis axis : {Axis::kLayer, Axis::kOuter, Axis::kHead, Axis::kElement}) {
    if (c.source.axis(axis).origin != c.destination.axis(axis).origin ||
        c.source.axis(axis).extent != c.destination.axis(axis).extent) {
      return;
    }
  }
  if (c.source.is_opaque() != c.destination.is_opaque()) {
    return;
  }
  const Memory source{c.source, random.between(1, kUnlimited)};
  Memory copied{c.destination, 1};
  Memory wanted{copied};
  const std::vector<const std::byte*> from = source.const_pointers();
  const std::vector<std::byte*> to = copied.pointers();
  reference_copy({c.source, from}, {c.destination, to}, c.blocks.view(), c.layers);
  for (const test::Move& move : expected.moves) {
    std::copy_n(source.region(move.from.region) + move.from.offset_bytes, move.bytes,
                wanted.region(move.to.region) + move.to.offset_bytes);
  }
  EXPECT_TRUE(copied == wanted);
}

void check_case(std::uint64_t seed) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random{seed};
  const Case c = random_case(random);
  const Expected expected = test::expect_moves(c.source, c.destination, c.blocks, c.layers);
  const auto strict = PlanTemplate::create(c.source, c.destination, {c.layers, false});
  // Coverage does not depend on the blocks; without blocks the model cannot see it.
  if (!c.blocks.destination.empty()) {
    EXPECT_EQ(strict.has_value(), expected.moves.size() == expected.wanted);
  }
  if (!strict) {
    EXPECT_EQ(strict.error().code, ErrorCode::kIncompatible);
  }
  const auto shape = PlanTemplate::create(c.source, c.destination, {c.layers, true});
  ASSERT_TRUE(shape.has_value()) << shape.error().message;
  const auto plan = CopyPlan::create(*shape, c.blocks.view());
  ASSERT_TRUE(plan.has_value()) << plan.error().message;
  if (!expected.moves.empty()) {
    std::vector<BlockId> named{plan->destination_blocks().begin(),
                               plan->destination_blocks().end()};
    EXPECT_TRUE(std::is_permutation(named.begin(), named.end(), c.blocks.destination.begin(),
                                    c.blocks.destination.end()));
  }
  check_bytes(c, *plan, expected, random);
  check_reference(c, expected, random);
}

class PlanProperty : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(PlanProperty, EveryByteOfTheSelectionIsWrittenOnceAndNothingElse) {
  constexpr std::uint64_t kCases = 250;
  for (std::uint64_t i = 0; i < kCases && !HasFailure(); ++i) {
    check_case((GetParam() * kCases) + i);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, PlanProperty, ::testing::Range<std::uint64_t>(0, 12));

}  // namespace
}  // namespace kvferry::plan
