// SPDX-License-Identifier: Apache-2.0
// Goal: a SPEC names exactly the layout that its text says, or says what is wrong with it.
// Method: every key of a geometry, good and bad; files from the vectors, and files that are none.
#include "spec.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "outcome_matchers.hpp"

namespace kvferry::tool {
namespace {

using layout::Arrangement;
using layout::Axis;
using layout::InnerShape;

const std::string kVectors = KVFERRY_SOURCE_DIR "/vectors/";

GeometrySpec geometry(std::string_view text) {
  const Outcome<Spec> spec = parse_spec(text);
  EXPECT_TRUE(spec) << spec.error().message;
  return std::get<GeometrySpec>(*spec);
}

Outcome<layout::LayoutView> view(std::string_view text,
                                 const layout::Assumptions& assumption = {}) {
  const Outcome<Spec> spec = parse_spec(text);
  if (!spec) {
    return spec.error();
  }
  auto found = layout_of(*spec, assumption);
  return found ? Outcome<layout::LayoutView>{std::move(found->view)} : found.error();
}

TEST(GeometrySpec, HasTheDefaultsOfItsModel) {
  const GeometrySpec spec = geometry("geometry:deepseek-v3");
  EXPECT_EQ(spec.arrangement, Arrangement::kFullyContiguous);
  const layout::LayoutConfig expected{.num_blocks = 64,
                                      .num_layers = 61,
                                      .outer_dim = 1,
                                      .page_size = 64,
                                      .inner_dim = 576,
                                      .dtype_width_bytes = 2,
                                      .num_heads = 1};
  const auto packed = spec.packed();
  ASSERT_TRUE(packed) << packed.error().message;
  EXPECT_EQ(packed->config, expected);
  EXPECT_EQ(packed->order, layout::kNhd);
}

TEST(GeometrySpec, TakesItsKeysInAnyOrder) {
  const GeometrySpec spec =
      geometry("geometry:smollm2-135m,page=32,dtype=1,order=hnd,layout=ls2,blocks=5");
  EXPECT_EQ(spec.arrangement, Arrangement::kLayerSeparateBlockSecond);
  EXPECT_EQ(spec.order, layout::kHnd);
  EXPECT_EQ(spec.page_size, 32U);
  EXPECT_EQ(spec.dtype_width_bytes, 1U);
  EXPECT_EQ(spec.blocks, 5U);
  EXPECT_EQ(geometry("geometry:smollm2-135m,layout=ls").arrangement,
            Arrangement::kLayerSeparateBlockFirst);
  EXPECT_EQ(geometry("geometry:smollm2-135m,layout=fc").arrangement, Arrangement::kFullyContiguous);
}

TEST(GeometrySpec, RefusesWhatIsNoWordOfItAsUsage) {
  for (const char* keys :
       {"colour=red", "blocks", "blocks=", "blocks=x", "layout=xyz", "order=", "page=-1",
        "dtype=two", "", "Blocks=3", "tp=1", "tp=1/2/3", "pp=/2", "tp=a/b"}) {
    EXPECT_THAT(parse_spec(std::string{"geometry:llama-3.1-8b,"} + keys), EndsWith(2, "")) << keys;
  }
}

TEST(GeometrySpec, OfARankIsThePartThatItHolds) {
  const auto made = view("geometry:smollm2-135m,tp=1/2,pp=3/4,order=utp");
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->axis(Axis::kHead).origin, 1U);
  EXPECT_EQ(made->axis(Axis::kHead).extent, 2U);
  EXPECT_EQ(made->axis(Axis::kHead).whole, 3U);
  EXPECT_EQ(made->axis(Axis::kLayer).origin, 22U);
  EXPECT_EQ(made->axis(Axis::kLayer).extent, 8U);
  EXPECT_EQ(made->axis(Axis::kLayer).whole, 30U);
  EXPECT_EQ(made->inner_dim(), 128U);
  // A latent is whole on every rank.
  const auto latent = view("geometry:deepseek-v3,tp=5/7");
  ASSERT_TRUE(latent) << latent.error().message;
  EXPECT_EQ(latent->axis(Axis::kHead).extent, 1U);
  EXPECT_EQ(latent->axis(Axis::kHead).whole, 1U);
}

TEST(GeometrySpec, OfAnUnknownModelNamesTheKnownOnes) {
  EXPECT_THAT(parse_spec("geometry:gpt-2"),
              EndsWith(3, "'gpt-2' is none of llama-3.1-8b, llama-3.3-70b"));
  EXPECT_THAT(parse_spec("geometry:"), EndsWith(3, "'' is none of"));
}

TEST(GeometrySpec, WithValuesThatCannotBeIsInvalid) {
  struct Row {
    const char* keys;
    const char* message;
  };
  for (const Row& row : {Row{"blocks=0", "num_blocks: 0 is not at least 1"},
                         Row{"page=0", "page_size: 0 is not at least 1"},
                         Row{"dtype=3", "dtype_width_bytes: 3 is not 1, 2, 4 or 8"},
                         Row{"blocks=18446744073709551615", "does not fit into 64 bits"},
                         Row{"blocks=18446744073709551616", "is above 18446744073709551615"},
                         Row{"page=9999999999999999,blocks=9999999999", "does not fit"},
                         Row{"tp=0/0", "tp 0/0: there is at least 1 rank"},
                         Row{"tp=2/2", "tp 2/2: the first of the two is a rank below 2"},
                         Row{"tp=0/12", "12 ranks are more than the 8 heads, and no multiple"},
                         Row{"pp=0/33", "33 ranks are more than the 32 layers"},
                         Row{"tp=0/18446744073709551616", "is above 18446744073709551615"},
                         Row{"layout=ls,order=upp", "needs one region"}}) {
    EXPECT_THAT(view(std::string{"geometry:llama-3.1-8b,"} + row.keys), EndsWith(3, row.message))
        << row.keys;
  }
}

TEST(GeometrySpec, IsAViewWithAllAxesToldApart) {
  const auto made = view("geometry:llama-3.1-8b,layout=ls,order=hnd,blocks=3");
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_FALSE(made->is_opaque());
  EXPECT_EQ(made->regions().size(), 32U);
  EXPECT_EQ(made->axis(Axis::kBlock).extent, 3U);
  EXPECT_EQ(made->axis(Axis::kHead).extent, 8U);
  EXPECT_EQ(made->axis(Axis::kToken).stride_bytes, 256U);
}

TEST(FileSpec, IsSplitAtTheLastColonWhenOnlyDigitsFollow) {
  struct Row {
    const char* text;
    const char* path;
    std::optional<std::uint64_t> layout_id;
  };
  for (const Row& row : {Row{"file", "file", {}}, Row{"file:3", "file", 3}, Row{"a:7:3", "a:7", 3},
                         Row{"file:", "file:", {}}, Row{"file:3a", "file:3a", {}},
                         Row{"C:dir/file", "C:dir/file", {}}, Row{"file:99999", "file", 99999}}) {
    const Outcome<Spec> spec = parse_spec(row.text);
    ASSERT_TRUE(spec) << row.text;
    const FileSpec& file = std::get<FileSpec>(*spec);
    EXPECT_EQ(file.path, row.path);
    EXPECT_EQ(file.layout_id, row.layout_id) << row.text;
  }
  EXPECT_THAT(parse_spec("file:18446744073709551616"), EndsWith(3, "layout: 18446744073709551616"));
}

TEST(FileSpec, IsTheOnlyLayoutOfAMessageOrTheOneWithItsId) {
  const std::string one = kVectors + "a_model_llama_3_1_8b_fc.bin";
  const auto only = view(one);
  ASSERT_TRUE(only) << only.error().message;
  EXPECT_EQ(only->axis(Axis::kBlock).extent, 4096U);
  EXPECT_TRUE(only->is_opaque()) << "a message tells no heads";
  EXPECT_TRUE(view(one + ":0"));
  EXPECT_THAT(view(one + ":1"), EndsWith(3, "layout 1 is none of its 1"));
  EXPECT_THAT(view(one + ":65536"), EndsWith(3, "layout 65536 is none of its 1"));

  const std::string three = kVectors + "a_model_llama_3_1_8b_tiers.bin";
  EXPECT_THAT(view(three), EndsWith(3, "holds 3 layouts: say which one, FILE:LAYOUT_ID"));
  const auto second = view(three + ":1");
  ASSERT_TRUE(second);
  EXPECT_EQ(second->axis(Axis::kBlock).extent, 16'384U);
}

TEST(FileSpec, IsALayoutWithItsPlanesAndWhatTheyMean) {
  const std::string file = KVFERRY_SOURCE_DIR "/tests/golden/envelope/planes.kvfy";
  const auto named = parse_spec(file + ":2");
  ASSERT_TRUE(named);
  const auto found = layout_of(*named, layout::Assumptions{});
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_EQ(found->planes.size(), 2U);
  EXPECT_EQ(found->planes[0].name, "scales");
  EXPECT_EQ(found->planes[1].name, "sums");
  EXPECT_EQ(found->planes[1].view.regions().size(), 3U);
  EXPECT_EQ(found->compared().model, "model-a@1");
  EXPECT_EQ(found->compared().group, "full");
  EXPECT_EQ(found->compared().planes.size(), 2U);
  EXPECT_THAT(view(file), EndsWith(3, "holds 2 layouts: say which one, FILE:LAYOUT_ID"))
      << "planes are none";
  EXPECT_THAT(view(file + ":3"), EndsWith(3, "layout 3 is none of its 2"));
}

TEST(FileSpec, IsToldApartByWhatTheCallerAssumes) {
  const std::string file = kVectors + "a_model_llama_3_1_8b_fc.bin";
  const auto assumed = view(file, *parse_assumption("order=nhd,heads=8"));
  ASSERT_TRUE(assumed) << assumed.error().message;
  EXPECT_FALSE(assumed->is_opaque());
  EXPECT_EQ(assumed->axis(Axis::kHead).extent, 8U);
  EXPECT_THAT(view(file, *parse_assumption("heads=7")),
              EndsWith(3, "num_heads: 7 is not a divisor of inner_dim 1024"));
  EXPECT_THAT(view(file, *parse_assumption("order=hnd")), EndsWith(3, "the message says NHD"));
}

TEST(FileSpec, ThatCannotBeReadIsNotThere) {
  EXPECT_THAT(view("/no/such/file"), EndsWith(4, "/no/such/file"));
  EXPECT_THAT(view(kVectors), EndsWith(4, "directory"));
}

TEST(FileSpec, ThatIsNoMessageIsInvalid) {
  EXPECT_THAT(view(kVectors + "README.md"), EndsWith(3, "README.md: "));
}

}  // namespace
}  // namespace kvferry::tool
