// SPDX-License-Identifier: Apache-2.0
// Goal: several sources together write every byte of the selection that one of them holds, once,
//       from a right byte of one that holds it; what nobody holds is named; replicas share the
//       work.
// Method: random parts of small models from printed seeds, byte by byte against the model of
//         model.hpp for each source; groups of ranks as engines have them.
#include "kvferry/plan/gather.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <set>
#include <tuple>

#include "kvferry/layout/packed.hpp"
#include "model.hpp"

namespace kvferry::plan {
namespace {

using layout::Axis;
using layout::LayoutView;
using test::Model;
using test::Pairs;
using test::Random;
using test::Shape;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

using Byte = std::tuple<std::size_t, std::size_t, std::uint64_t>;  ///< source, region, offset

/// The bytes that each destination byte may come from.
struct Allowed {
  std::map<std::pair<std::size_t, std::uint64_t>, std::set<Byte>> from;
  std::uint64_t wanted{0};  ///< bytes
};

Allowed allowed(const std::vector<LayoutView>& sources, const LayoutView& destination,
                const Pairs& blocks, const LayerRange& layers) {
  Allowed all;
  for (std::size_t source = 0; source < sources.size(); ++source) {
    const auto expected = test::expect_moves(sources[source], destination, blocks, layers);
    const std::uint64_t row = destination.axis(Axis::kElement).extent * destination.element_bytes();
    all.wanted = expected.wanted * row;
    for (const test::Move& move : expected.moves) {
      for (std::uint64_t i = 0; i < move.bytes; ++i) {
        all.from[{move.to.region, move.to.offset_bytes + i}].insert(
            {source, move.from.region, move.from.offset_bytes + i});
      }
    }
  }
  return all;
}

/// Takes every byte that the runs write out of `left`; whether each was there, from a right source.
bool take(const Gather& gather, Allowed& left) {
  for (const GatherPart& part : gather.parts()) {
    RunCursor cursor = part.plan.cursor();
    for (Run run; cursor.next(run);) {
      for (std::uint64_t i = 0; i < run.total_bytes(); ++i) {
        const std::uint64_t piece = i / run.bytes;
        const auto to = left.from.find(
            {run.destination.region,
             run.destination.offset_bytes + piece * run.destination.stride_bytes + i % run.bytes});
        if (to == left.from.end() ||
            !to->second.contains(
                {part.source, run.source.region,
                 run.source.offset_bytes + piece * run.source.stride_bytes + i % run.bytes})) {
          return false;
        }
        left.from.erase(to);
      }
    }
  }
  return true;
}

struct Case {
  std::vector<LayoutView> sources;
  LayoutView destination;
  Pairs blocks;
  LayerRange layers;
};

Pairs some_pairs(std::uint64_t from, std::uint64_t to, const Shape& source,
                 const Shape& destination, Random& random) {
  Pairs pairs;
  for (std::uint64_t i = 0; i < from; ++i) {
    pairs.source.emplace_back(random.between(0, source.blocks - 1));
  }
  std::vector<std::uint64_t> ids(destination.blocks);
  std::iota(ids.begin(), ids.end(), std::uint64_t{0});
  std::shuffle(ids.begin(), ids.end(), random.engine());
  for (std::uint64_t i = 0; i < to; ++i) {
    pairs.destination.emplace_back(ids[i]);
  }
  return pairs;
}

Case random_case(Random& random) {
  Model model;
  model.layers = random.between(1, 4);
  model.heads = random.between(1, 4);
  Shape from;
  Shape to;
  from.page = random.between(1, 4);
  to.page = random.one_in(2) ? from.page : random.between(1, 4);
  const std::uint64_t common = std::lcm(from.page, to.page);
  const std::uint64_t times = random.between(random.one_in(8) ? 0 : 1, 4);
  from.blocks = std::max<std::uint64_t>(times * common / from.page, 1) + random.between(0, 2);
  to.blocks = std::max<std::uint64_t>(times * common / to.page, 1) + random.between(0, 2);
  const auto side = [&](const Shape& shape, std::uint64_t cut) {
    const LayoutView whole = test::adopted_view(model, shape, random);
    return random.one_in(cut)
               ? whole
               : test::random_part(whole, {Axis::kLayer, Axis::kOuter, Axis::kHead}, random);
  };
  Case made{{},
            side(to, 2),
            some_pairs(times * common / from.page, times * common / to.page, from, to, random),
            {}};
  for (std::uint64_t i = random.between(1, 5); i > 0; --i) {
    made.sources.push_back(side(from, 4));
  }
  if (random.one_in(3)) {
    made.layers.first = random.between(0, model.layers);
    made.layers.end = random.between(made.layers.first, model.layers);
  }
  return made;
}

void check_case(std::uint64_t seed) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random{seed};
  const Case c = random_case(random);
  Allowed left = allowed(c.sources, c.destination, c.blocks, c.layers);
  const std::uint64_t covered = left.from.size();
  const auto strict = Gather::create(c.sources, c.destination, c.blocks.view(), {c.layers, false});
  if (!c.blocks.destination.empty()) {
    EXPECT_EQ(strict.has_value(), covered == left.wanted);
  }
  if (!strict) {
    EXPECT_EQ(strict.error().code, ErrorCode::kIncompatible);
    EXPECT_THAT(strict.error().message, HasSubstr("not cover"));
  }
  const auto gather = Gather::create(c.sources, c.destination, c.blocks.view(), {c.layers, true});
  ASSERT_TRUE(gather.has_value()) << gather.error().message;
  const PlanSummary summary = gather->summary();
  EXPECT_EQ(summary.bytes_moved, covered);
  if (left.wanted != 0) {
    EXPECT_DOUBLE_EQ(gather->coverage(),
                     static_cast<double>(covered) / static_cast<double>(left.wanted));
  }
  EXPECT_TRUE(take(*gather, left)) << "a byte that nobody asked for, or from a wrong place";
  EXPECT_TRUE(left.from.empty()) << left.from.size() << " bytes are missing";
}

class GatherProperty : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(GatherProperty, EveryByteComesOnceFromASourceThatHoldsIt) {
  constexpr std::uint64_t kCases = 150;
  for (std::uint64_t i = 0; i < kCases && !HasFailure(); ++i) {
    check_case((GetParam() * kCases) + i);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, GatherProperty, ::testing::Range<std::uint64_t>(0, 8));

/// A rank's share of 4 layers and 4 heads of 2 elements of 2 bytes; 8 blocks of 4 tokens.
LayoutView rank_view(const layout::Rank& tp, const layout::Rank& pp = {}) {
  layout::PackedLayout packed;
  packed.order = layout::kNhd;
  packed.layers = layout::layers_of(pp, 4).value();
  packed.heads = layout::heads_of(tp, 4).value();
  packed.config = {.num_blocks = 8,
                   .num_layers = packed.layers.extent,
                   .outer_dim = 2,
                   .page_size = 4,
                   .inner_dim = packed.heads.extent * 2,
                   .num_heads = packed.heads.extent};
  return layout::packed_view(packed, {Region{4096, packed.config.required_bytes()}}).value();
}

/// Bytes that each of `sources` gives.
std::vector<std::uint64_t> given(const Gather& gather, std::size_t sources) {
  std::vector<std::uint64_t> bytes(sources, 0);
  for (const GatherPart& part : gather.parts()) {
    bytes[part.source] += part.plan.total_bytes();
  }
  return bytes;
}

const Pairs kFourPairs = test::pairs({0, 1, 2, 3}, {4, 5, 6, 7});
constexpr std::uint64_t kBlockBytes = 4 * 2 * 4 * 8 * 2;  ///< of the whole model

TEST(Gather, TakesEachRanksHeads) {
  const std::vector<LayoutView> ranks{rank_view({0, 2}), rank_view({1, 2})};
  const auto gather = Gather::create(ranks, rank_view({}), kFourPairs.view());
  ASSERT_TRUE(gather.has_value()) << gather.error().message;
  EXPECT_THAT(given(*gather, 2), ElementsAre(2 * kBlockBytes, 2 * kBlockBytes));
  EXPECT_EQ(gather->parts().size(), 2U);
  EXPECT_EQ(gather->summary().block_pairs, 4U);
}

TEST(Gather, SharesReplicatedHeadsOutBlockByBlock) {
  // 8 ranks of 4 heads: each head is on two of them, and moves once.
  std::vector<LayoutView> ranks;
  for (std::uint64_t rank = 0; rank < 8; ++rank) {
    ranks.push_back(rank_view({rank, 8}));
  }
  const auto gather = Gather::create(ranks, rank_view({}), kFourPairs.view());
  ASSERT_TRUE(gather.has_value()) << gather.error().message;
  EXPECT_EQ(gather->summary().bytes_moved, 4 * kBlockBytes);
  for (const std::uint64_t bytes : given(*gather, 8)) {
    EXPECT_EQ(bytes, kBlockBytes / 2);
  }
  for (const GatherPart& part : gather->parts()) {
    EXPECT_EQ(part.plan.destination_blocks().size(), 2U) << "a replica feeds its own blocks only";
  }
}

TEST(Gather, JoinsWhatOneSourceGivesIntoOnePlan) {
  // The cuts of the second source's stages do not cut what the first one gives.
  const std::vector<LayoutView> sources{rank_view({0, 2}), rank_view({1, 2}, {0, 2}),
                                        rank_view({1, 2}, {1, 2})};
  const auto gather = Gather::create(sources, rank_view({}), kFourPairs.view());
  ASSERT_TRUE(gather.has_value()) << gather.error().message;
  EXPECT_EQ(gather->parts().size(), 3U);
}

TEST(Gather, NamesWhatNobodyHolds) {
  const auto why = [](const std::vector<LayoutView>& sources) {
    const auto gather = Gather::create(sources, rank_view({}), kFourPairs.view());
    EXPECT_FALSE(gather.has_value());
    return gather ? std::string{} : gather.error().message;
  };
  EXPECT_EQ(why({rank_view({0, 2}), rank_view({0, 4})}),
            "the sources do not cover heads 2:4 of the destination's 0:4");
  EXPECT_EQ(why({rank_view({}, {0, 2}), rank_view({0, 2}, {1, 4})}),
            "the sources do not cover layers 2:4 of the destination's 0:4");
  EXPECT_EQ(why({rank_view({0, 2}, {0, 2}), rank_view({1, 2}, {1, 2})}),
            "the sources do not cover heads 2:4 of the destination's 0:4");
  EXPECT_EQ(why({rank_view({0, 2})}),
            "the source does not cover heads 2:4 of the destination's 0:4");
}

TEST(Gather, TakesOpaqueBlocksWhoseOrderSaysNothing) {
  // One head, as of a latent: NHD and HND are the same bytes, whatever a message calls them.
  const Model latent{.outers = 1, .heads = 1};
  for (const layout::InnerShape order : {layout::InnerShape::kNhd, layout::InnerShape::kHnd}) {
    const LayoutView opaque =
        test::layout_view(latent, {.blocks = 8, .order = order, .tells_heads = false});
    const LayoutView told = test::layout_view(latent, {.blocks = 8});
    for (const auto& [sources, destination] :
         {std::pair{std::vector{opaque}, told}, std::pair{std::vector{told}, opaque},
          std::pair{std::vector{told, opaque}, told}}) {
      const auto gather = Gather::create(sources, destination, kFourPairs.view());
      ASSERT_TRUE(gather.has_value()) << gather.error().message;
      Allowed left = allowed(sources, opaque, kFourPairs, {});
      EXPECT_TRUE(take(*gather, left));
      EXPECT_TRUE(left.from.empty());
    }
  }
}

TEST(Gather, RefusesAPartOfTheHeadsBesideASideThatTellsNone) {
  const LayoutView half = rank_view({0, 2});
  const std::vector<LayoutView> sources{rank_view({}).collapsed().value(), half};
  EXPECT_THAT(Gather::create(sources, rank_view({}), kFourPairs.view()).error().message,
              StartsWith("source 1: it holds a part of the heads"));
}

/// Pages whose common multiple is not in 64 bits: no lists of blocks fit each other, but empty
/// ones.
TEST(Gather, OfNoBlocksIsOneWhateverThePages) {
  const auto paged = [](std::uint64_t page) {
    const layout::PackedLayout packed{.config = {.num_blocks = 1,
                                                 .num_layers = 1,
                                                 .outer_dim = 1,
                                                 .page_size = page,
                                                 .inner_dim = 1,
                                                 .dtype_width_bytes = 1,
                                                 .num_heads = 1},
                                      .order = layout::kNhd};
    return *packed_view(packed, {{4096, page}});
  };
  const std::uint64_t large = std::uint64_t{1} << 40U;
  const std::vector<LayoutView> sources{paged(large), paged(large)};
  const auto none = Gather::create(sources, paged(large - 1), {}, {});
  ASSERT_TRUE(none) << none.error().message;
  EXPECT_EQ(none->summary().bytes_moved, 0U);
  const std::vector<BlockId> one{BlockId{0}};
  EXPECT_FALSE(Gather::create(sources, paged(large - 1), {.source = one, .destination = one}, {}));
}

TEST(Gather, RefusesSourcesThatCannotBe) {
  EXPECT_THAT(Gather::create({}, rank_view({}), kFourPairs.view()).error().message,
              StartsWith("sources: 0, from 1 to 256"));
  layout::PackedLayout other;
  other.order = layout::kNhd;
  other.config = {.num_blocks = 8,
                  .num_layers = 4,
                  .outer_dim = 2,
                  .page_size = 4,
                  .inner_dim = 12,
                  .num_heads = 4};
  const std::vector<LayoutView> sources{
      rank_view({}),
      layout::packed_view(other, {Region{4096, other.config.required_bytes()}}).value()};
  EXPECT_THAT(Gather::create(sources, rank_view({}), kFourPairs.view()).error().message,
              StartsWith("source 1: head size 3 against 2"));
  const Pairs beyond = test::pairs({8}, {0});
  EXPECT_THAT(Gather::create(std::vector{rank_view({0, 2}), rank_view({1, 2})}, rank_view({}),
                             beyond.view())
                  .error()
                  .message,
              HasSubstr("source block 8 of 8"));
}

}  // namespace
}  // namespace kvferry::plan
