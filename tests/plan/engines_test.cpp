// SPDX-License-Identifier: Apache-2.0
// Goal: blocks go from the cache of any engine into that of any other, whatever the ranks, and
//       every byte is the one that belongs there.
// Method: the pattern of kvferry/testing/pattern.hpp, filled in at the source and looked for at the
//         destination; the model of model.hpp and the reference copier say the same of each pair.
#include "kvferry/layout/engines.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "kvferry/layout/tensor.hpp"
#include "kvferry/plan/gather.hpp"
#include "kvferry/plan/plan.hpp"
#include "kvferry/plan/reference.hpp"
#include "kvferry/testing/pattern.hpp"
#include "model.hpp"

namespace kvferry::plan {
namespace {

namespace engines = layout::engines;

using layout::InnerShape;
using layout::LayoutView;
using test::Memory;
using test::Pairs;
using ::testing::HasSubstr;

constexpr std::uint64_t kSeed = 20;
constexpr std::uint64_t kLayers = 3;
constexpr std::uint64_t kHeads = 4;

std::vector<Region> tensors_of(std::uint64_t count, std::uint64_t bytes) {
  std::vector<Region> regions;
  for (std::uint64_t i = 0; i < count; ++i) {
    regions.push_back(Region{(i + 1) << 32U, bytes});
  }
  return regions;
}

/// 6 blocks of 4 tokens, of rank `tp` of a model of 3 layers and 4 heads of 8 elements of 2 bytes.
engines::Cache cache_of(const layout::Rank& tp) {
  return {.num_blocks = 6,
          .block_size = 4,
          .head_size = 8,
          .layers = {0, kLayers, kLayers},
          .heads = layout::heads_of(tp, kHeads).value()};
}

struct Engine {
  std::string name;
  LayoutView view;
};

/// Every told-apart arrangement of K and V that an engine is known to have.
std::vector<Engine> all_engines(const layout::Rank& tp) {
  const engines::Cache cache = cache_of(tp);
  const std::uint64_t all = 6 * 4 * 8 * cache.heads.extent * 2 * 2 * kLayers;
  std::vector<Engine> made;
  for (const bool outer_first : {true, false}) {
    for (const InnerShape order : {InnerShape::kNhd, InnerShape::kHnd}) {
      for (const bool cross_layers : {true, false}) {
        const std::uint64_t tensors = cross_layers ? 1 : kLayers;
        made.push_back({std::string{"vllm split "} + (outer_first ? "outer" : "blocks") +
                            " first, " + std::string{to_string(order)} +
                            (cross_layers ? ", across layers" : ""),
                        engines::vllm_split(cache, {outer_first, order, cross_layers},
                                            tensors_of(tensors, all / tensors))
                            .value()});
      }
    }
  }
  for (const std::string name : {"LBHNC", "LBNHC", "LHBNC", "BLHNC", "BLNHC", "BHLNC"}) {
    const std::uint64_t tensors = name.front() == 'L' ? kLayers : 1;
    made.push_back({"vllm packed " + name,
                    engines::vllm_packed(cache, name, tensors_of(tensors, all / tensors)).value()});
  }
  made.push_back({"sglang mha",
                  engines::sglang_mha(cache, tensors_of(2 * kLayers, all / 2 / kLayers)).value()});
  return made;
}

/// Source blocks 4, 0 and 5 go to 1, 2 and 5.
Pairs pairs() { return test::pairs({4, 0, 5}, {1, 2, 5}); }

std::vector<testing::PatternBlock> moved() {
  return {{BlockId{1}, BlockId{4}}, {BlockId{2}, BlockId{0}}, {BlockId{5}, BlockId{5}}};
}

Memory filled(const LayoutView& view) {
  Memory memory{view, 1};
  const auto done =
      testing::pattern_fill(view, memory.pointers(), testing::pattern_blocks(6), kSeed);
  EXPECT_TRUE(done.has_value());
  return memory;
}

void expect_moved(const LayoutView& view, Memory& memory) {
  const auto wrong = testing::pattern_check(view, memory.pointers(), moved(), kSeed);
  ASSERT_TRUE(wrong.has_value()) << wrong.error().message;
  EXPECT_TRUE(wrong->empty()) << "block " << wrong->front() << " of the list differs";
}

TEST(Engines, GiveTheirBlocksToEachOther) {
  const std::vector<Engine> all = all_engines({});
  for (const Engine& from : all) {
    for (const Engine& to : all) {
      SCOPED_TRACE(from.name + " to " + to.name);
      const auto shape = PlanTemplate::create(from.view, to.view);
      ASSERT_TRUE(shape.has_value()) << shape.error().message;
      const Pairs blocks = pairs();
      const auto plan = CopyPlan::create(*shape, blocks.view());
      ASSERT_TRUE(plan.has_value()) << plan.error().message;
      const Memory source = filled(from.view);
      Memory destination{to.view, 2};
      Memory reference{to.view, 2};
      const auto expected = test::expect_moves(from.view, to.view, blocks);
      test::apply({*plan, expected, blocks}, source, destination, {1'000'000, 24});
      expect_moved(to.view, destination);
      reference_copy({from.view, source.const_pointers()}, {to.view, reference.pointers()},
                     blocks.view());
      EXPECT_EQ(destination, reference);
    }
  }
}

/// Carries a gather out.
void apply(const Gather& gather, const std::vector<Memory>& sources, Memory& destination) {
  for (const GatherPart& part : gather.parts()) {
    RunCursor cursor = part.plan.cursor();
    for (Run run; cursor.next(run);) {
      for (std::uint64_t i = 0; i < run.count; ++i) {
        std::memcpy(destination.region(run.destination.region) + run.destination.offset_bytes +
                        i * run.destination.stride_bytes,
                    sources[part.source].region(run.source.region) + run.source.offset_bytes +
                        i * run.source.stride_bytes,
                    run.bytes);
      }
    }
  }
}

void expect_gathered(const std::vector<LayoutView>& ranks, const LayoutView& destination,
                     std::uint64_t bytes) {
  const Pairs blocks = pairs();
  const auto gather = Gather::create(ranks, destination, blocks.view());
  ASSERT_TRUE(gather.has_value()) << gather.error().message;
  EXPECT_EQ(gather->summary().bytes_moved, bytes);
  std::vector<Memory> sources;
  for (const LayoutView& rank : ranks) {
    sources.push_back(filled(rank));
  }
  Memory memory{destination, 2};
  apply(*gather, sources, memory);
  expect_moved(destination, memory);
}

TEST(Engines, GatherTheHeadsOfTwoRanks) {
  const std::vector<Engine> first = all_engines({0, 2});
  const std::vector<Engine> second = all_engines({1, 2});
  for (std::size_t i = 0; i < first.size(); ++i) {
    for (const Engine& to : all_engines({})) {
      SCOPED_TRACE("two of " + first[i].name + " to " + to.name);
      expect_gathered({first[i].view, second[i].view}, to.view,
                      3 * kLayers * 2 * 4 * kHeads * 8 * 2);
    }
  }
}

TEST(Engines, TakeALatentFromAnyRankOnce) {
  engines::Cache cache = cache_of({});
  cache.heads = {0, 1, 1};
  cache.head_size = 36;
  const std::vector<Region> regions = tensors_of(kLayers, 6 * 4 * 36 * 2);
  const LayoutView vllm = engines::vllm_mla(cache, regions).value();
  const LayoutView sglang = engines::sglang_mla(cache, regions).value();
  expect_gathered({vllm, vllm}, sglang, 3 * kLayers * 4 * 36 * 2);
  expect_gathered({sglang, sglang, sglang}, vllm, 3 * kLayers * 4 * 36 * 2);
}

TEST(Engines, MoveCpuBlocksWholeOrNotAtAll) {
  const engines::Cache cache = cache_of({1, 2});
  const std::vector<Region> regions = tensors_of(kLayers, 2 * 6 * 4 * 2 * 8 * 2);
  const auto view = [&](std::string_view isa) {
    return engines::vllm_cpu(cache, {isa, "0.11.2"}, regions).value();
  };
  const LayoutView amx = view("amx");
  const Pairs blocks = pairs();
  const auto plan = CopyPlan::create(PlanTemplate::create(amx, amx).value(), blocks.view());
  ASSERT_TRUE(plan.has_value()) << plan.error().message;
  const Memory source{amx, 1};
  Memory destination{amx, 2};
  const auto applied = test::apply({*plan, test::expect_moves(amx, amx, blocks), blocks}, source,
                                   destination, {1'000'000});
  EXPECT_EQ(applied.smallest, 4U * 2 * 8 * 2);
  for (const LayoutView& other : {view("vec16"), all_engines({1, 2}).front().view}) {
    const auto refused = PlanTemplate::create(amx, other);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, ErrorCode::kIncompatible);
    EXPECT_THAT(refused.error().message, HasSubstr("vllm-cpu:amx:0.11.2:heads=2+2/4:head_size=8"));
  }
}

TEST(Engines, MoveStatesWhole) {
  layout::StateLayout states{.name = "mamba2",
                             .num_blocks = 6,
                             .state_bytes = 100,
                             .block_stride_bytes = 128,
                             .layers = {0, 2, 2}};
  const LayoutView from = state_view(states, tensors_of(2, 1000)).value();
  states.block_stride_bytes = 100;
  const LayoutView to = state_view(states, tensors_of(2, 600)).value();
  const Pairs blocks = pairs();
  const auto plan = CopyPlan::create(PlanTemplate::create(from, to).value(), blocks.view());
  ASSERT_TRUE(plan.has_value()) << plan.error().message;
  const Memory source{from, 1};
  Memory destination{to, 2};
  const auto applied = test::apply({*plan, test::expect_moves(from, to, blocks), blocks}, source,
                                   destination, {1'000'000});
  EXPECT_EQ(applied.bytes, 3U * 2 * 100);
}

}  // namespace
}  // namespace kvferry::plan
