// SPDX-License-Identifier: Apache-2.0
// Goal: what is kept beside a layout on disk is told for the same blocks, layers and planes, for a
//       layout of the same shape only, and is gone before bytes change.
// Method: plans into and out of layouts on disk, without moving a byte.
#include "transfer/disk_digests.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "disk/digest_file.hpp"
#include "kvferry/testing/matchers.hpp"
#include "kvferry/testing/temporary_directory.hpp"

namespace kvferry::transfer {
namespace {

using ::testing::ElementsAre;
using testing::FailsWith;
using testing::IsOk;

layout::LayoutConfig config(std::uint64_t page, std::uint64_t inner = 64) {
  return {.num_blocks = 8,
          .num_layers = 3,
          .outer_dim = 2,
          .page_size = page,
          .inner_dim = inner,
          .inner_shape = layout::InnerShape::kNhd,
          .num_heads = 2};
}

class KeptBesideFiles : public ::testing::Test {
 protected:
  [[nodiscard]] PhysicalLayoutPtr on_disk(const std::string& name, std::uint64_t page = 16,
                                          std::uint64_t inner = 64) const {
    const auto made = PhysicalLayout::fully_contiguous(config(page, inner))
                          .allocate_disk({directory_.path() + "/" + name})
                          .build();
    EXPECT_TRUE(made.has_value()) << made.error().message;
    return *made;
  }
  /// A plan for each layer.
  [[nodiscard]] static std::vector<LayerPlan> plans(const layout::LayoutView& from,
                                                    const layout::LayoutView& to,
                                                    const std::vector<BlockId>& source,
                                                    const std::vector<BlockId>& destination,
                                                    const std::string& plane = "") {
    std::vector<LayerPlan> made;
    for (std::uint64_t layer = 0; layer < 3; ++layer) {
      const auto shape = plan::PlanTemplate::create(from, to, {.layers = {layer, layer + 1}});
      EXPECT_TRUE(shape.has_value());
      made.push_back({*plan::CopyPlan::create(*shape, {source, destination}), layer, plane});
    }
    return made;
  }
  [[nodiscard]] static Result<std::vector<Digest>> told(DigestTeller& teller,
                                                        const layout::LayoutView& part,
                                                        std::vector<DigestBox> boxes,
                                                        const std::string& plane = "") {
    std::vector<Digest> digests;
    if (auto asked = teller.ask(plane, part, std::move(boxes), {}); !asked) {
      return std::move(asked).error();
    }
    if (auto taken = teller.take(digests); !taken) {
      return std::move(taken).error();
    }
    return digests;
  }

  testing::TemporaryDirectory directory_;
  PhysicalLayoutPtr memory_ =
      *PhysicalLayout::layer_separate(config(16), layout::BlockDimension::kBlockIsFirstDim)
           .allocate_system()
           .build();
};

TEST_F(KeptBesideFiles, AreToldForTheSameBlocksAndLayersAlsoInALaterLife) {
  const auto blocks = block_ids({2, 5});
  {
    const PhysicalLayoutPtr disk = on_disk("tier");
    auto keeper =
        make_disk_keeper(disk, plans(memory_->view(), disk->view(), block_ids({0, 1}), blocks));
    ASSERT_THAT(keeper, IsOk());
    for (std::uint64_t layer = 0; layer < 3; ++layer) {
      for (const BlockId block : blocks) {
        EXPECT_THAT((*keeper)->keep("", {block, layer, 0, 16}, {block.value(), layer}), IsOk());
      }
    }
  }
  const PhysicalLayoutPtr disk = on_disk("tier");
  auto teller =
      make_disk_teller(disk, plans(disk->view(), memory_->view(), blocks, block_ids({0, 1})));
  ASSERT_THAT(teller, IsOk());
  const auto digests =
      told(**teller, disk->view(), {{BlockId{5}, 1, 0, 16}, {BlockId{2}, 0, 0, 16}});
  ASSERT_THAT(digests, IsOk());
  EXPECT_THAT(*digests, ElementsAre(Digest{5, 1}, Digest{2, 0}));
  EXPECT_THAT(
      told(**teller, disk->view(), {{BlockId{3}, 1, 0, 16}}),
      FailsWith(ErrorCode::kUnavailable, "tier.digests: nothing is kept of block 3, layer 1"));
}

TEST_F(KeptBesideFiles, AreDroppedInTheLayersThatAreWritten) {
  const PhysicalLayoutPtr disk = on_disk("tier");
  for (std::uint64_t i = 0; i < 24; ++i) {
    ASSERT_THAT(disk->digest_file()->put(i, {i, i}), IsOk());
  }
  std::vector<LayerPlan> some =
      plans(memory_->view(), disk->view(), block_ids({0, 1}), block_ids({2, 5}));
  some.erase(some.begin());  // Not the first layer.
  ASSERT_THAT(drop_digests(*disk, some), IsOk());
  for (std::uint64_t i = 0; i < 24; ++i) {
    const bool dropped = (i / 3 == 2 || i / 3 == 5) && i % 3 != 0;
    EXPECT_EQ(disk->digest_file()->get(i).has_value(), !dropped) << i;
  }
}

TEST_F(KeptBesideFiles, OfPlanesAreApart) {
  const PhysicalLayoutPtr data = on_disk("data");
  const PhysicalLayoutPtr scales = on_disk("scales", 16, 2);
  const auto both = PhysicalLayout::with_planes(data, {{"scales", scales, false}});
  ASSERT_THAT(both, IsOk());
  const auto keeper = make_disk_keeper(*both, {});
  ASSERT_THAT(keeper, IsOk());
  EXPECT_THAT((*keeper)->keep("scales", {BlockId{4}, 2, 0, 16}, {1, 2}), IsOk());
  EXPECT_EQ(scales->digest_file()->get(14), (Digest{1, 2}));
  EXPECT_FALSE(data->digest_file()->get(14).has_value());
  const auto teller = make_disk_teller(*both, {});
  ASSERT_THAT(teller, IsOk());
  EXPECT_THAT(told(**teller, scales->view(), {{BlockId{4}, 2, 0, 16}}, "scales"), IsOk());
  EXPECT_THAT(told(**teller, data->view(), {{BlockId{4}, 2, 0, 16}}),
              FailsWith(ErrorCode::kUnavailable, "data.digests"));
}

TEST_F(KeptBesideFiles, AreOfTheLayoutsShape) {
  const PhysicalLayoutPtr disk = on_disk("tier");
  EXPECT_EQ(digest_subject(disk->view()), digest_subject(on_disk("other")->view()));
  EXPECT_NE(digest_subject(disk->view()), digest_subject(on_disk("paged", 8)->view()));
  EXPECT_NE(digest_subject(disk->view()), digest_subject(on_disk("wide", 16, 128)->view()));
  EXPECT_NE(digest_subject(disk->view()),
            digest_subject(*disk->view().slice(layout::Axis::kLayer, 1, 2)));
}

TEST_F(KeptBesideFiles, AreOfWholeBlocks) {
  const PhysicalLayoutPtr disk = on_disk("tier");
  const layout::LayoutView half = *memory_->view().slice(layout::Axis::kHead, 1, 1);
  const auto part =
      plan::PlanTemplate::create(half, disk->view(), {.layers = {0, 1}, .partial = true});
  ASSERT_THAT(part, IsOk());
  const auto plan = plan::CopyPlan::create(*part, {block_ids({0}), block_ids({0})});
  ASSERT_THAT(plan, IsOk());
  const std::vector<LayerPlan> plans{{*plan, 0}};
  EXPECT_THAT(make_disk_keeper(disk, plans),
              FailsWith(ErrorCode::kIncompatible, "1 of 2 on axis head move"));
}

}  // namespace
}  // namespace kvferry::transfer
