// SPDX-License-Identifier: Apache-2.0
// Goal: a verification asks for what there is, no more than may be asked at a time, compares each
//       box of both sides once, and names every block that differs and no other.
// Method: plans over small layouts with equal and unequal pages; tellers that answer when the test
//         says so, with digests that name their boxes.
#include "transfer/verification.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kvferry/testing/matchers.hpp"
#include "kvferry/transfer/physical_layout.hpp"

namespace kvferry::transfer {
namespace {

using layout::Axis;
using ::testing::ElementsAre;
using testing::FailsWith;
using ::testing::IsEmpty;
using testing::IsOk;

constexpr std::uint64_t kBlocks = 6;

PhysicalLayoutPtr cache(std::uint64_t page) {
  const auto built = PhysicalLayout::fully_contiguous({.num_blocks = kBlocks * 8 / page,
                                                       .num_layers = 2,
                                                       .outer_dim = 2,
                                                       .page_size = page,
                                                       .inner_dim = 16,
                                                       .inner_shape = layout::InnerShape::kNhd,
                                                       .num_heads = 2})
                         .allocate_system()
                         .build();
  EXPECT_TRUE(built.has_value());
  return *built;
}

/// A digest that says what it is of.
Digest named(const std::string& plane, const DigestBox& box) {
  return {box.block.value() * 1000 + box.layer * 100 + box.first_token * 10 + box.tokens,
          plane.size()};
}

/// What a test knows of a teller, and has it do.
struct Script {
  std::vector<std::vector<DigestBox>> asked;
  std::deque<Digest> ready;  ///< what the next take() gives
  std::size_t most_asked{100};
  std::size_t answered{0};
  std::optional<Error> error;

  /// Has all that was asked told.
  void answer_all(std::uint64_t block_shift = 0) {
    for (; answered < asked.size(); ++answered) {
      for (DigestBox box : asked[answered]) {
        box.block = BlockId{box.block.value() + block_shift};
        ready.push_back(named("", box));
      }
    }
  }
};

class ScriptedTeller final : public DigestTeller {
 public:
  ScriptedTeller(Script& script, std::size_t most_boxes) : script_{script}, most_{most_boxes} {}

  [[nodiscard]] std::size_t most_boxes() const noexcept override { return most_; }
  [[nodiscard]] bool may_ask() const override {
    return script_.asked.size() - script_.answered < script_.most_asked;
  }
  Result<void> ask(const std::string& /*plane*/, const layout::LayoutView& part,
                   std::vector<DigestBox> boxes, const std::weak_ptr<Waker>& /*waker*/) override {
    EXPECT_LE(boxes.size(), most_);
    for (const DigestBox& box : boxes) {
      EXPECT_EQ(box.layer, part.axis(Axis::kLayer).origin);
    }
    script_.asked.push_back(std::move(boxes));
    return {};
  }
  Result<void> take(std::vector<Digest>& to) override {
    if (script_.error) {
      return *script_.error;
    }
    to.insert(to.end(), script_.ready.begin(), script_.ready.end());
    script_.ready.clear();
    return {};
  }

 private:
  Script& script_;
  std::size_t most_;
};

class ScriptedKeeper final : public DigestKeeper {
 public:
  explicit ScriptedKeeper(std::vector<std::pair<DigestBox, Digest>>& kept) : kept_{kept} {}
  Result<void> keep(const std::string& /*plane*/, const DigestBox& box,
                    const Digest& digest) override {
    kept_.emplace_back(box, digest);
    return {};
  }

 private:
  std::vector<std::pair<DigestBox, Digest>>& kept_;
};

class Verifying : public ::testing::Test {
 protected:
  /// All blocks, a plan for each layer; with equal pages block i goes to the last but i.
  void plan(std::uint64_t source_page, std::uint64_t destination_page) {
    source_ = cache(source_page);
    destination_ = cache(destination_page);
    std::vector<BlockId> from;
    std::vector<BlockId> to;
    for (std::uint64_t i = 0; i < source_->config().num_blocks; ++i) {
      from.emplace_back(i);
    }
    for (std::uint64_t i = destination_->config().num_blocks; i-- > 0;) {
      to.emplace_back(i);
    }
    for (std::uint64_t layer = 0; layer < 2; ++layer) {
      auto shape = plan::PlanTemplate::create(source_->view(), destination_->view(),
                                              {.layers = {layer, layer + 1}});
      ASSERT_THAT(shape, IsOk());
      auto made = plan::CopyPlan::create(*shape, {from, to});
      ASSERT_THAT(made, IsOk());
      plans_.push_back({*std::move(made), layer});
    }
  }
  void verify(std::size_t most_boxes = 4) {
    DigestSide source;
    DigestSide destination;
    source.teller = std::make_unique<ScriptedTeller>(theirs_, most_boxes);
    destination.teller = std::make_unique<ScriptedTeller>(ours_, most_boxes);
    verification_ = std::make_unique<Verification>(std::move(source), std::move(destination));
    verification_->begin(plans_, {});
  }

  PhysicalLayoutPtr source_;
  PhysicalLayoutPtr destination_;
  std::vector<LayerPlan> plans_;
  Script theirs_;
  Script ours_;
  std::unique_ptr<Verification> verification_;
};

TEST_F(Verifying, AsksTheSourceAtOnceAndTheDestinationForWhatHasArrived) {
  ASSERT_NO_FATAL_FAILURE(plan(8, 8));
  ASSERT_NO_FATAL_FAILURE(verify());
  EXPECT_THAT(verification_->look(), IsOk());
  ASSERT_EQ(theirs_.asked.size(), 4U) << "six blocks of two layers, four boxes at a time";
  // The pairs are put in the order of their destinations.
  EXPECT_EQ(theirs_.asked[0][0], (DigestBox{BlockId{5}, 0, 0, 8}));
  EXPECT_EQ(theirs_.asked[1].size(), 2U) << "a question is about one layer";
  EXPECT_EQ(theirs_.asked[2][0], (DigestBox{BlockId{5}, 1, 0, 8}));
  EXPECT_THAT(ours_.asked, IsEmpty());
  verification_->arrived(1);
  EXPECT_THAT(verification_->look(), IsOk());
  EXPECT_THAT(ours_.asked, ElementsAre(ElementsAre(DigestBox{BlockId{0}, 0, 0, 8})));
  EXPECT_EQ(verification_->compared(), 0U) << "nothing was told yet";
}

TEST_F(Verifying, AsksNoMoreAtATimeThanItMay) {
  ASSERT_NO_FATAL_FAILURE(plan(8, 8));
  theirs_.most_asked = 2;
  ASSERT_NO_FATAL_FAILURE(verify(1));
  for (std::size_t asked = 2; asked <= 12; ++asked) {
    EXPECT_THAT(verification_->look(), IsOk());
    EXPECT_EQ(theirs_.asked.size(), asked);
    theirs_.ready.push_back(named("", theirs_.asked[theirs_.answered++].front()));
  }
}

TEST_F(Verifying, ComparesInOrderWhateverComesFirst) {
  ASSERT_NO_FATAL_FAILURE(plan(8, 8));
  ASSERT_NO_FATAL_FAILURE(verify());
  verification_->arrived(12);
  EXPECT_THAT(verification_->look(), IsOk());
  ours_.answer_all();
  EXPECT_THAT(verification_->look(), IsOk());
  EXPECT_EQ(verification_->compared(), 0U);
  // Source block s goes to 5 - s: the same digests are made to differ by 0 where both agree.
  for (const std::vector<DigestBox>& boxes : theirs_.asked) {
    for (DigestBox box : boxes) {
      box.block = BlockId{5 - box.block.value()};
      theirs_.ready.push_back(named("", box));
      EXPECT_THAT(verification_->look(), IsOk());
    }
  }
  EXPECT_TRUE(verification_->done());
  EXPECT_THAT(verification_->wrong(), IsEmpty());
  EXPECT_FALSE(verification_->difference().has_value());
  EXPECT_FALSE(verification_->first_wrong_layer().has_value());
}

TEST_F(Verifying, NamesWhatDiffers) {
  ASSERT_NO_FATAL_FAILURE(plan(8, 8));
  plans_[1].plane = "scales";
  ASSERT_NO_FATAL_FAILURE(verify());
  verification_->arrived(12);
  EXPECT_THAT(verification_->look(), IsOk());
  ours_.answer_all();
  std::size_t unit = 0;
  for (const std::vector<DigestBox>& boxes : theirs_.asked) {
    for (DigestBox box : boxes) {
      box.block = BlockId{5 - box.block.value()};
      Digest digest = named("", box);
      digest.high += unit == 8 || unit == 11 ? 1 : 0;  // Blocks 2 and 5 of the second layer.
      theirs_.ready.push_back(digest);
      ++unit;
    }
  }
  EXPECT_THAT(verification_->look(), IsOk());
  EXPECT_TRUE(verification_->done()) << "the others are compared all the same";
  EXPECT_THAT(verification_->wrong(), ElementsAre(BlockId{2}, BlockId{5}));
  EXPECT_EQ(verification_->first_wrong_layer(), 1U);
  EXPECT_EQ(verification_->difference()->code, ErrorCode::kWrongBytes);
  EXPECT_EQ(verification_->difference()->message,
            "block 2, layer 1, plane \"scales\": its bytes have the digest "
            "0000000000000000000000000000083c, those of source block 3 have "
            "0000000000000001000000000000083c");
}

TEST_F(Verifying, CutsBlocksOfOtherPagesIntoWhatEachSourceBlockGives) {
  ASSERT_NO_FATAL_FAILURE(plan(8, 4));
  ASSERT_NO_FATAL_FAILURE(verify(100));
  verification_->arrived(24);
  EXPECT_THAT(verification_->look(), IsOk());
  ASSERT_EQ(theirs_.asked[0].size(), 12U);
  EXPECT_EQ(theirs_.asked[0][0], (DigestBox{BlockId{0}, 0, 0, 4}));
  EXPECT_EQ(theirs_.asked[0][1], (DigestBox{BlockId{0}, 0, 4, 4}));
  EXPECT_EQ(ours_.asked[0][1], (DigestBox{BlockId{10}, 0, 0, 4}));
}

TEST_F(Verifying, TakesSeveralSourceBlocksForALargerPage) {
  ASSERT_NO_FATAL_FAILURE(plan(4, 16));
  ASSERT_NO_FATAL_FAILURE(verify(6));
  verification_->arrived(6);
  EXPECT_THAT(verification_->look(), IsOk());
  EXPECT_EQ(theirs_.asked[0].size(), 4U) << "a unit is never cut: two would be eight";
  EXPECT_EQ(theirs_.asked[0][3], (DigestBox{BlockId{3}, 0, 0, 4}));
  EXPECT_EQ(ours_.asked[0][3], (DigestBox{BlockId{2}, 0, 12, 4}));
}

TEST_F(Verifying, HandsTheSourcesDigestsToAKeeper) {
  ASSERT_NO_FATAL_FAILURE(plan(8, 8));
  std::vector<std::pair<DigestBox, Digest>> kept;
  DigestSide source;
  DigestSide destination;
  source.bases = source_->region_bases();
  destination.keeper = std::make_unique<ScriptedKeeper>(kept);
  Verification verification{std::move(source), std::move(destination)};
  verification.begin(plans_, {});
  EXPECT_TRUE(verification.keeps());
  verification.arrived(3);
  EXPECT_THAT(verification.look(), IsOk());
  EXPECT_EQ(kept.size(), 3U);
  verification.arrived(12);
  EXPECT_THAT(verification.look(), IsOk());
  ASSERT_EQ(kept.size(), 12U);
  EXPECT_TRUE(verification.done());
  EXPECT_EQ(kept[7].first, (DigestBox{BlockId{1}, 1, 0, 8}));
  EXPECT_EQ(kept[7].second,
            Digester{}.of(source_->view(), source_->region_bases(), {BlockId{4}, 1, 0, 8}));
}

TEST_F(Verifying, FailsWithWhoTells) {
  ASSERT_NO_FATAL_FAILURE(plan(8, 8));
  ASSERT_NO_FATAL_FAILURE(verify());
  theirs_.error = Error{ErrorCode::kUnavailable, "the owner has died"};
  EXPECT_THAT(verification_->look(), FailsWith(ErrorCode::kUnavailable, "has died"));
}

}  // namespace
}  // namespace kvferry::transfer
