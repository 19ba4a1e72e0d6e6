// SPDX-License-Identifier: Apache-2.0
// Goal: the verdict on two views is right, and each reason names field, both values and what to do.
// Method: pairs of views of small layouts that differ in one thing.
#include "kvferry/layout/compatibility.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "vectors.hpp"

namespace kvferry::layout {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

LayoutConfig base_config() {
  LayoutConfig config;
  config.num_blocks = 3;
  config.num_layers = 4;
  config.outer_dim = 2;
  config.page_size = 4;
  config.inner_dim = 6;
  config.inner_shape = InnerShape::kNhd;
  config.num_heads = 3;
  return config;
}

using Change = std::function<void(LayoutConfig&)>;

LayoutView view_after(const Change& change = {},
                      Arrangement arrangement = Arrangement::kFullyContiguous) {
  LayoutConfig config = base_config();
  if (change) {
    change(config);
  }
  return view_of(
             Layout::create(config, arrangement, test::regions_for(config, arrangement)).value())
      .value();
}

void hnd(LayoutConfig& config) { config.inner_shape = InnerShape::kHnd; }
void no_heads(LayoutConfig& config) { config.num_heads.reset(); }
void hnd_no_heads(LayoutConfig& config) {
  hnd(config);
  no_heads(config);
}
void unknown(LayoutConfig& config) {
  config.inner_shape = InnerShape::kUnknown;
  no_heads(config);
}
void mla(LayoutConfig& config) {
  config.outer_dim = 1;
  config.num_heads = 1;
}

/// The verdict, which must be the same both ways.
Verdict verdict(const LayoutView& left, const LayoutView& right) {
  const Verdict forth = compatible(left, right).verdict;
  EXPECT_EQ(forth, compatible(right, left).verdict);
  return forth;
}

TEST(Compatible, IsIdenticalForTheSameShapeAndStridesWhereverTheyLie) {
  const LayoutView view = view_after();
  EXPECT_EQ(verdict(view, view), Verdict::kIdentical);
  const LayoutView one = view_after(unknown, Arrangement::kLayerSeparateBlockSecond);
  EXPECT_EQ(verdict(one, one), Verdict::kIdentical);
  EXPECT_THAT(compatible(view, view).reasons, IsEmpty());
  EXPECT_EQ(compatible(view, view).summary(), "identical");
}

TEST(Compatible, IsCopyableBetweenArrangements) {
  const LayoutView fc = view_after();
  for (const Arrangement arrangement :
       {Arrangement::kLayerSeparateBlockFirst, Arrangement::kLayerSeparateBlockSecond}) {
    EXPECT_EQ(verdict(fc, view_after({}, arrangement)), Verdict::kCopyable);
  }
  EXPECT_THAT(compatible(fc, view_after({}, Arrangement::kLayerSeparateBlockFirst)).reasons,
              IsEmpty());
}

TEST(Compatible, IsCopyableBetweenNumbersOfBlocksAndPages) {
  const LayoutView view = view_after();
  EXPECT_EQ(verdict(view, view_after([](auto& c) { c.num_blocks = 9; })), Verdict::kCopyable);
  EXPECT_EQ(verdict(view, view_after([](auto& c) { c.page_size = 16; })), Verdict::kCopyable);
}

TEST(Compatible, IsCopyableBetweenPartsOfOneModel) {
  const LayoutView whole = view_after();
  EXPECT_EQ(verdict(whole, whole.slice(Axis::kHead, 1, 1).value()), Verdict::kCopyable);
  EXPECT_EQ(verdict(whole, whole.slice(Axis::kLayer, 2, 2).value()), Verdict::kCopyable);
  EXPECT_EQ(verdict(whole, whole.slice(Axis::kOuter, 1, 1).value()), Verdict::kCopyable);
}

TEST(Compatible, NeedsReorderingBetweenNhdAndHnd) {
  const Compatibility answer = compatible(view_after(), view_after(hnd));
  EXPECT_EQ(answer.verdict, Verdict::kNeedsReordering);
  ASSERT_EQ(answer.reasons.size(), 1U);
  EXPECT_EQ(answer.reasons[0].field, "inner_shape");
  EXPECT_EQ(answer.reasons[0].left, "NHD");
  EXPECT_EQ(answer.reasons[0].right, "HND");
  EXPECT_THAT(answer.reasons[0].advice, HasSubstr("none needed: tokens and heads change places"));
  EXPECT_EQ(verdict(view_after(), view_after(hnd)), Verdict::kNeedsReordering);
}

TEST(Compatible, SeesTheOrderWhereTokensOrHeadsLieInRegionsOfTheirOwn) {
  // One region a head is head outside token, whatever the strides say.
  LayoutView::Parts parts;
  parts.axes = {AxisSpan{3, 16, 0, 3}, AxisSpan{1, 0, 0, 4}, AxisSpan{1, 0, 0, 2},
                AxisSpan{4, 4, 0, 4},  AxisSpan{3, 0, 0, 3}, AxisSpan{2, 2, 0, 2}};
  parts.axes[static_cast<std::size_t>(Axis::kHead)].region_step = 1;
  parts.regions.assign(3, Region{4096, 48});
  parts.element_bytes = 2;
  parts.page_size = 4;
  parts.inner_dim = 6;
  const LayoutView by_head = LayoutView::create(parts).value();
  EXPECT_EQ(verdict(by_head, view_after(hnd)), Verdict::kCopyable);
  EXPECT_EQ(verdict(by_head, view_after()), Verdict::kNeedsReordering);
}

/// That views differing by `change` are impossible for exactly one reason.
void expect_impossible(const Change& change, const Reason& expected) {
  const Compatibility answer = compatible(view_after(), view_after(change));
  EXPECT_EQ(answer.verdict, Verdict::kImpossible);
  ASSERT_EQ(answer.reasons.size(), 1U) << expected.field;
  EXPECT_EQ(answer.reasons[0].field, expected.field);
  EXPECT_EQ(answer.reasons[0].left, expected.left);
  EXPECT_EQ(answer.reasons[0].right, expected.right);
  EXPECT_THAT(answer.reasons[0].advice, HasSubstr(expected.advice));
  EXPECT_EQ(answer.summary(), expected.field + " " + expected.left + " against " + expected.right +
                                  ": " + answer.reasons[0].advice);
  EXPECT_EQ(verdict(view_after(), view_after(change)), Verdict::kImpossible);
}

TEST(Compatible, IsImpossibleBetweenModelsNamingFieldValuesAndAdvice) {
  expect_impossible([](auto& c) { c.num_layers = 5; },
                    {"num_layers", "4", "5", "use layouts of the same model"});
  expect_impossible([](auto& c) { c.outer_dim = 1; },
                    {"outer_dim", "2", "1", "use layouts of the same model"});
  expect_impossible([](auto& c) { c.dtype_width_bytes = 1; },
                    {"dtype_width_bytes", "2", "1", "use the same element type"});
  expect_impossible(
      [](auto& c) {
        c.num_heads = 6;
        c.inner_dim = 12;
      },
      {"num_heads", "3", "6", "use layouts of the same model"});
  expect_impossible([](auto& c) { c.inner_dim = 12; },
                    {"head size", "2", "4", "use layouts of the same model"});
}

TEST(Compatible, NamesEveryDifferenceAndSumsUpTheFirst) {
  const Compatibility answer = compatible(view_after(), view_after([](auto& c) {
                                            c.num_layers = 7;
                                            c.dtype_width_bytes = 8;
                                          }));
  ASSERT_EQ(answer.reasons.size(), 2U);
  EXPECT_EQ(answer.summary(), "num_layers 4 against 7: use layouts of the same model");
}

TEST(Compatible, OpaqueNhdStandsToTransparentNhdAsOnePiece) {
  const LayoutView opaque = view_after(no_heads);
  EXPECT_EQ(verdict(opaque, view_after()), Verdict::kCopyable);
  EXPECT_EQ(verdict(opaque, view_after({}, Arrangement::kLayerSeparateBlockSecond)),
            Verdict::kCopyable);
  EXPECT_EQ(verdict(view_after(hnd_no_heads), view_after(hnd)), Verdict::kCopyable);
  EXPECT_EQ(verdict(opaque, view_after(no_heads)), Verdict::kIdentical);
}

TEST(Compatible, NhdAgainstHndWithoutHeadsIsImpossibleAndSaysThatFormatATellsNone) {
  for (const Change& left : {Change{no_heads}, Change{}}) {
    const Compatibility answer = compatible(view_after(left), view_after(hnd_no_heads));
    EXPECT_EQ(answer.verdict, Verdict::kImpossible);
    ASSERT_EQ(answer.reasons.size(), 1U);
    EXPECT_EQ(answer.reasons[0].field, "inner_shape");
    EXPECT_EQ(answer.reasons[0].left, "NHD");
    EXPECT_EQ(answer.reasons[0].right, "HND");
    EXPECT_THAT(answer.reasons[0].advice, HasSubstr("format A tells no heads"));
    EXPECT_THAT(answer.reasons[0].advice, HasSubstr("order and number of heads"));
  }
}

TEST(Compatible, AnUnknownOrderStandsOnlyToAnUnknownOne) {
  const LayoutView view = view_after(unknown);
  EXPECT_EQ(verdict(view, view_after(unknown, Arrangement::kLayerSeparateBlockFirst)),
            Verdict::kCopyable);
  EXPECT_EQ(verdict(view, view_after(no_heads)), Verdict::kImpossible);
  EXPECT_EQ(verdict(view, view_after()), Verdict::kImpossible);
  EXPECT_EQ(compatible(view, view_after(hnd)).reasons.at(0).left, "Unknown");
  EXPECT_EQ(compatible(view, view_after(hnd)).reasons.at(0).right, "HND");
}

TEST(Compatible, OpaquePiecesMustHaveOnePageAndInnerDimension) {
  const LayoutView opaque = view_after(no_heads);
  const Compatibility page = compatible(opaque, view_after([](auto& c) { c.page_size = 8; }));
  EXPECT_EQ(page.verdict, Verdict::kImpossible);
  ASSERT_EQ(page.reasons.size(), 1U);
  EXPECT_EQ(page.reasons[0].field, "page_size");
  EXPECT_EQ(page.reasons[0].left, "4");
  EXPECT_EQ(page.reasons[0].right, "8");
  EXPECT_THAT(page.reasons[0].advice, HasSubstr("say the number of heads"));
  // The same bytes in a block, and still not the same block.
  const Compatibility inner = compatible(opaque, view_after([](auto& c) {
                                           no_heads(c);
                                           c.page_size = 8;
                                           c.inner_dim = 3;
                                         }));
  EXPECT_EQ(inner.verdict, Verdict::kImpossible);
  ASSERT_EQ(inner.reasons.size(), 2U);
  EXPECT_EQ(inner.reasons[1].field, "inner_dim");
}

TEST(Compatible, APartOfTheHeadsThatIsNotContiguousCannotStandToAnOpaquePiece) {
  const LayoutView part = view_after().slice(Axis::kHead, 1, 2).value();
  const Compatibility answer = compatible(view_after([](auto& c) {
                                            no_heads(c);
                                            c.inner_dim = 4;
                                          }),
                                          part);
  EXPECT_EQ(answer.verdict, Verdict::kImpossible);
  ASSERT_EQ(answer.reasons.size(), 1U);
  EXPECT_EQ(answer.reasons[0].left, "NHD");
  EXPECT_EQ(answer.reasons[0].right, "not one piece");
}

// With one head (MLA), or one token in a block, NHD and HND are the same bytes.
TEST(Compatible, OneHeadOrOneTokenIsInBothOrders) {
  for (const Change& one : {Change{mla}, Change{[](LayoutConfig& c) { c.page_size = 1; }}}) {
    const auto both = [&one](const Change& order) {
      return [&one, order](LayoutConfig& config) {
        one(config);
        order(config);
      };
    };
    const LayoutView nhd_view = view_after(one);
    const LayoutView hnd_view = view_after(both(hnd));
    EXPECT_EQ(verdict(nhd_view, hnd_view), Verdict::kIdentical);
    for (const LayoutView& view : {nhd_view, hnd_view}) {
      EXPECT_EQ(verdict(view, view_after(both(no_heads))), Verdict::kCopyable);
      EXPECT_EQ(verdict(view, view_after(both(hnd_no_heads))), Verdict::kCopyable);
      EXPECT_EQ(verdict(view, view_after(both(unknown))), Verdict::kImpossible);
    }
    // Two opaque pieces do not say that they have one head: not said is not known.
    EXPECT_EQ(verdict(view_after(both(no_heads)), view_after(both(hnd_no_heads))),
              Verdict::kImpossible);
  }
}

TEST(Compatible, OneTokenInABlockStandsToEitherOrderOfMore) {
  const auto one_token = [](LayoutConfig& c) { c.page_size = 1; };
  const LayoutView nhd_view = view_after(one_token);
  const LayoutView hnd_view = view_after(
      [&](LayoutConfig& c) {
        one_token(c);
        hnd(c);
      },
      Arrangement::kLayerSeparateBlockSecond);
  EXPECT_EQ(verdict(nhd_view, hnd_view), Verdict::kCopyable);
  for (const LayoutView& view : {nhd_view, hnd_view}) {
    EXPECT_EQ(verdict(view, view_after()), Verdict::kCopyable);
    EXPECT_EQ(verdict(view, view_after(hnd)), Verdict::kCopyable);
  }
}

/// A plane of numbers of 4 bytes beside `view_after()`, or of another width.
Plane plane_of(std::string name, std::uint64_t width = 4) {
  return {std::move(name), view_after([width](LayoutConfig& config) {
            config.inner_dim = *config.num_heads;
            config.dtype_width_bytes = width;
          })};
}

TEST(ComparedLayouts, OfTwoModelsOrGroupsAreImpossibleWhateverTheirShapes) {
  const LayoutView view = view_after();
  const auto says = [&](const Compared& left, const Compared& right) {
    const Compatibility found = compatible(left, right);
    EXPECT_EQ(found.verdict == Verdict::kImpossible, differing_meaning(left, right).has_value());
    return found.summary();
  };
  const Compared a{.view = view, .model = "a", .group = "full"};
  EXPECT_EQ(says(a, a), "identical");
  EXPECT_EQ(says(a, {.view = view}), "identical") << "what is not told does not differ";
  EXPECT_EQ(says({.view = view}, a), "identical");
  EXPECT_THAT(says(a, {.view = view, .model = "b", .group = "window"}),
              HasSubstr("model \"a\" against \"b\""));
  EXPECT_THAT(says(a, {.view = view, .model = "a", .group = "window"}),
              HasSubstr("group \"full\" against \"window\""));
  const Compatibility both =
      compatible(a, Compared{.view = view_after([](auto& c) { c.num_layers = 3; }), .model = "b"});
  EXPECT_EQ(both.reasons.size(), 2U) << "shapes are compared all the same";
}

TEST(ComparedLayouts, SourcesOfOneGatherAreOfOneModelAndGroup) {
  const LayoutView view = view_after();
  const Compared any{.view = view};
  const auto of = [&](std::string_view model, std::string_view group) {
    return Compared{.view = view, .model = model, .group = group};
  };
  const auto says = [](const std::vector<Compared>& sources) -> std::string {
    const auto found = differing_source(sources);
    return !found ? ""
                  : std::to_string(found->source) + ": " + found->reason.field + " " +
                        found->reason.left + " against " + found->reason.right;
  };
  EXPECT_EQ(says({}), "");
  EXPECT_EQ(says({any, of("a", ""), any, of("a", "full"), of("", "full")}), "");
  EXPECT_EQ(says({any, of("a", ""), any, of("b", "")}), "3: model \"b\" against \"a\" of source 1");
  EXPECT_EQ(says({of("a", "full"), any, of("a", "window"), of("a", "sums")}),
            "2: group \"window\" against \"full\" of source 0");
  EXPECT_EQ(says({of("", "full"), of("a", "window"), of("b", "full")}),
            "2: model \"b\" against \"a\" of source 1");
}

TEST(ComparedLayouts, HaveTheSamePlanesAndTheWorstVerdictOfThem) {
  const LayoutView view = view_after();
  const LayoutView reordered = view_after(hnd);
  const std::vector<Plane> both{plane_of("scales"), plane_of("sums")};
  const std::vector<Plane> turned{plane_of("sums"), plane_of("scales")};
  const std::vector<Plane> one{plane_of("scales")};
  const std::vector<Plane> wide{plane_of("scales", 8), plane_of("sums")};
  const auto against = [&](const LayoutView& data, const std::vector<Plane>& planes) {
    const Compared left{.view = view, .planes = both};
    const Compared right{.view = data, .planes = planes};
    EXPECT_EQ(compatible(left, right).verdict, compatible(right, left).verdict);
    return compatible(left, right);
  };
  EXPECT_EQ(against(view, turned).verdict, Verdict::kIdentical) << "names count, not their order";
  EXPECT_EQ(against(reordered, both).verdict, Verdict::kNeedsReordering);
  EXPECT_THAT(against(view, one).summary(), HasSubstr("plane \"sums\" against no \"sums\""));
  EXPECT_THAT(compatible(Compared{.view = view}, Compared{.view = view, .planes = one}).summary(),
              HasSubstr("plane no \"scales\" against \"scales\""));
  const Compatibility of_width = against(view, wide);
  EXPECT_EQ(of_width.verdict, Verdict::kImpossible);
  EXPECT_EQ(of_width.reasons.front().field, "plane \"scales\": dtype_width_bytes");
}

TEST(Verdict, HasTheNamesOfTheCommandLine) {
  EXPECT_EQ(to_string(Verdict::kIdentical), "identical");
  EXPECT_EQ(to_string(Verdict::kCopyable), "copyable");
  EXPECT_EQ(to_string(Verdict::kNeedsReordering), "needs reordering");
  EXPECT_EQ(to_string(Verdict::kImpossible), "impossible");
  EXPECT_EQ(to_string(static_cast<Verdict>(4)), "invalid");
}

}  // namespace
}  // namespace kvferry::layout
