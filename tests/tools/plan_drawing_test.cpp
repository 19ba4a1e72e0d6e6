// SPDX-License-Identifier: Apache-2.0
// Goal: a drawing of a plan names both sides of each copy, and escapes what it is told.
// Method: drawings of small plans, looked at as text; what they look like is measured end to end.
#include "plan_drawing.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "drawn_views.hpp"

namespace kvferry::tool {
namespace {

using layout::LayoutView;
using ::testing::HasSubstr;
using ::testing::Not;

std::string drawing_of(const std::vector<LayoutView>& sources, const LayoutView& destination,
                       bool partial = false, const plan::LayerRange& layers = {}) {
  const auto from = block_ids({2});
  const auto to = block_ids({1});
  const auto gather = plan::Gather::create(sources, destination, {from, to}, {layers, partial});
  EXPECT_TRUE(gather) << gather.error().message;
  const auto drawing =
      draw_plan({sources, destination, *gather, {from, to}, layers},
                {std::vector<std::string>(sources.size(), "<from>"), "<to>", {"<numbers>"}});
  EXPECT_TRUE(drawing) << drawing.error().message;
  return *drawing;
}

std::size_t count_of(const std::string& text, std::string_view what) {
  std::size_t count{0};
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) {
    ++count;
  }
  return count;
}

TEST(PlanDrawing, JoinsEachPieceWithWhereItLands) {
  const std::string drawing =
      drawing_of({view_of_spec("fc,tp=0/3"), view_of_spec("fc,tp=1/3"), view_of_spec("fc,tp=2/3")},
                 view_of_spec("fc"));
  EXPECT_THAT(drawing, HasSubstr("source 2: block 2, layer 0, K"));
  EXPECT_THAT(drawing, HasSubstr("destination: block 1, layer 0, K"));
  EXPECT_EQ(count_of(drawing, "class=\"ribbon source"), 3U * 16U);
  EXPECT_THAT(drawing, HasSubstr("Drawn: 48 of the 48 copies"));
}

TEST(PlanDrawing, EscapesWhatItIsTold) {
  const std::string drawing = drawing_of({view_of_spec("fc")}, view_of_spec("ls"));
  for (const char* text : {"&lt;from&gt;", "&lt;to&gt;", "&lt;numbers&gt;"}) {
    EXPECT_THAT(drawing, HasSubstr(text));
  }
  EXPECT_THAT(drawing, Not(HasSubstr("<from>")));
}

TEST(PlanDrawing, HatchesWhatNobodyGives) {
  EXPECT_THAT(drawing_of({view_of_spec("fc,pp=1/2")}, view_of_spec("ls"), true),
              HasSubstr("no source gives this"));
  EXPECT_THAT(drawing_of({view_of_spec("fc")}, view_of_spec("ls")),
              Not(HasSubstr("no source gives this")));
}

TEST(PlanDrawing, NothingToMoveIsSaid) {
  EXPECT_THAT(drawing_of({view_of_spec("fc")}, view_of_spec("ls"), false, {3, 3}),
              HasSubstr("Nothing moves."));
}

}  // namespace
}  // namespace kvferry::tool
