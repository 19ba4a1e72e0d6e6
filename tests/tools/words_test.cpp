// SPDX-License-Identifier: Apache-2.0
// Goal: each small language is read exactly, what is no word of it ends with 2, what is a word but
// cannot be ends with 3, and no number is large enough to hang or to fill memory.
// Method: tables of good and bad text.
#include "words.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "outcome_matchers.hpp"

namespace kvferry::tool {
namespace {

using testing::ElementsAre;

constexpr const char* kMax = "18446744073709551615";
constexpr const char* kMaxPlusOne = "18446744073709551616";

TEST(Split, KeepsEmptyPieces) {
  EXPECT_THAT(split("a,b", ','), ElementsAre("a", "b"));
  EXPECT_THAT(split(",a,", ','), ElementsAre("", "a", ""));
  EXPECT_THAT(split("", ','), ElementsAre(""));
}

TEST(ParseNumber, ReadsDigitsUpTo64Bits) {
  EXPECT_EQ(*parse_number("n", "0"), 0U);
  EXPECT_EQ(*parse_number("n", "007"), 7U);
  EXPECT_EQ(*parse_number("n", kMax), ~std::uint64_t{0});
  EXPECT_THAT(parse_number("n", kMaxPlusOne),
              EndsWith(3, "n: 18446744073709551616 is above 18446744073709551615"));
  for (const char* text : {"", "-1", "+1", " 1", "1 ", "0x10", "1e3", "1.0", "a"}) {
    EXPECT_THAT(parse_number("n", text), EndsWith(2, "is not a number")) << text;
  }
}

TEST(ParseDuration, ReadsFourUnitsUpToAYear) {
  using namespace std::chrono_literals;
  EXPECT_EQ(*parse_duration("d", "0s"), 0s);
  EXPECT_EQ(*parse_duration("d", "250us"), 250us);
  EXPECT_EQ(*parse_duration("d", "500ms"), 500ms);
  EXPECT_EQ(*parse_duration("d", "30s"), 30s);
  EXPECT_EQ(*parse_duration("d", "2m"), 2min);
  EXPECT_EQ(*parse_duration("d", "525600m"), 365 * 24h);
  EXPECT_THAT(parse_duration("d", "525601m"), EndsWith(3, "d: '525601m' is more than a year"));
  EXPECT_THAT(parse_duration("d", "31536001s"), EndsWith(3, "is more than a year"));
  EXPECT_THAT(parse_duration("d", "31536000000001us"), EndsWith(3, "is more than a year"));
  EXPECT_THAT(parse_duration("d", "18446744073709551616s"), EndsWith(3, "is above"));
  for (const char* text :
       {"", "s", "ms", "m", "5", "5h", "5M", "-1s", "1.5s", "5 s", "5sm", "5ns"}) {
    EXPECT_THAT(parse_duration("d", text), EndsWith(2, "d: '")) << text;
    EXPECT_THAT(parse_duration("d", text), EndsWith(2, "such as 30s")) << text;
  }
}

TEST(ParseOrder, KnowsTwoAndNamesTheLaterOnes) {
  EXPECT_EQ(*parse_order("nhd"), layout::kNhd);
  EXPECT_EQ(*parse_order("hnd"), layout::kHnd);
  EXPECT_EQ(*parse_order("utp"), layout::kUniversalTp);
  EXPECT_EQ(*parse_order("upp"), layout::kUniversalPp);
  EXPECT_THAT(parse_order("NHD"), EndsWith(2, "'NHD' is not nhd, hnd, utp or upp"));
}

TEST(ParseIds, ReadsIdsAndInclusiveRangesInTheOrderGiven) {
  EXPECT_EQ(*parse_ids("4,9,2"), (IdList{{4, 4}, {9, 9}, {2, 2}}));
  EXPECT_EQ(*parse_ids("0-63"), (IdList{{0, 63}}));
  EXPECT_EQ(*parse_ids("7,0-2,7-7"), (IdList{{7, 7}, {0, 2}, {7, 7}}));
}

TEST(ParseIds, RefusesWhatIsNoList) {
  for (const char* text : {"", ",", "1,", ",1", "a", "1-", "-1", "1-2-3", "3-1", "1;2", "1 ,2"}) {
    EXPECT_THAT(parse_ids(text), EndsWith(2, "")) << text;
  }
  EXPECT_THAT(parse_ids("9-4"), EndsWith(2, "the range '9-4' goes down"));
  EXPECT_THAT(parse_ids(kMaxPlusOne), EndsWith(3, "block: 18446744073709551616 is above"));
}

TEST(ParseIdPairs, NeedsBothSides) {
  const Outcome<IdPairs> pairs = parse_id_pairs("4,9:0-1");
  ASSERT_TRUE(pairs);
  EXPECT_EQ(pairs->source, (IdList{{4, 4}, {9, 9}}));
  EXPECT_EQ(pairs->destination, (IdList{{0, 1}}));
  for (const char* text : {"", "1", "1:", ":1", "1:2:3", ":"}) {
    EXPECT_THAT(parse_id_pairs(text), EndsWith(2, "")) << text;
  }
}

TEST(ExpandIds, GivesEachIdInTheOrderGiven) {
  const Outcome<std::vector<BlockId>> ids = expand_ids({{4, 4}, {1, 3}, {4, 4}}, 5, "source");
  ASSERT_TRUE(ids);
  EXPECT_THAT(*ids, ElementsAre(BlockId{4}, BlockId{1}, BlockId{2}, BlockId{3}, BlockId{4}));
}

TEST(ExpandIds, NamesSideAndIdAndBound) {
  EXPECT_THAT(expand_ids({{0, 4}}, 4, "source"), EndsWith(3, "source block 4 of 4"));
  EXPECT_THAT(expand_ids({{0, ~std::uint64_t{0}}}, 4, "destination"),
              EndsWith(3, "destination block 18446744073709551615 of 4"));
}

TEST(ExpandIds, RefusesMoreIdsThanFitBeforeItMakesAny) {
  constexpr std::uint64_t kMost = ~std::uint64_t{0};
  EXPECT_THAT(expand_ids({{0, kMost - 1}}, kMost, "source"), EndsWith(3, "more than 16777216 ids"));
  EXPECT_THAT(expand_ids({{1, kMost - 1}, {0, 5}}, kMost, "source"), EndsWith(3, "more than"));
  EXPECT_THAT(expand_ids({{0, 16'777'215}, {0, 0}}, kMost, "source"), EndsWith(3, "more than"));
}

TEST(ParseLayers, IsHalfOpen) {
  EXPECT_EQ(*parse_layers("0:16"), (plan::LayerRange{0, 16}));
  EXPECT_EQ(*parse_layers("3:3"), (plan::LayerRange{3, 3}));
  EXPECT_THAT(parse_layers("5:2"), EndsWith(3, "layers: first 5 is above the end 2"));
  for (const char* text : {"", "3", "3:", ":3", "0:1:2", "a:3", "0-3"}) {
    EXPECT_THAT(parse_layers(text), EndsWith(2, "")) << text;
  }
}

TEST(ParseLayers, NeverTakesAHugeEndForAllLayers) {
  EXPECT_THAT(parse_layers("0:18446744073709551615"), EndsWith(3, "layers: end 1844674407370955"));
  EXPECT_THAT(parse_layers("0:18446744073709551616"), EndsWith(3, "layers: 18446744073709551616"));
  EXPECT_EQ(parse_layers("0:18446744073709551614")->end, ~std::uint64_t{0} - 1);
}

TEST(Assumption, IsReadAndWrittenAlike) {
  const Outcome<layout::Assumptions> both = parse_assumption("heads=8,order=hnd");
  ASSERT_TRUE(both);
  EXPECT_EQ(both->order, layout::kHnd);
  EXPECT_EQ(both->num_heads, 8U);
  EXPECT_EQ(to_string(*both), "order=HND,heads=8");
  EXPECT_EQ(to_string(*parse_assumption("heads=3")), "heads=3");
  EXPECT_EQ(to_string(*parse_assumption("order=nhd")), "order=NHD");
  EXPECT_EQ(to_string(layout::Assumptions{}), "");
}

TEST(Assumption, RefusesOtherWords) {
  for (const char* text : {"", "heads", "heads=", "heads=x", "page=16", "order=xyz", "heads=8,"}) {
    EXPECT_THAT(parse_assumption(text), EndsWith(2, "")) << text;
  }
}

}  // namespace
}  // namespace kvferry::tool
