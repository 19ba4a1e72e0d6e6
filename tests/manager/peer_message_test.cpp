// SPDX-License-Identifier: Apache-2.0
// Goal: what a message says, and the caller adds, becomes exactly one peer, or an error that names
//       the layout; what we say of our own layouts reads back as the same view.
// Method: messages made with the wire's writer, read without any agent.
#include "manager/peer_message.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "kvferry/testing/matchers.hpp"
#include "transfer/guarded_cache.hpp"
#include "wire/envelopes.hpp"

namespace kvferry::manager {
namespace {

using layout::Arrangement;
using layout::InnerShape;
using testing::FailsWith;
using testing::GuardedCache;
using testing::IsOk;
using testing::kAllArrangements;
using testing::standard_config;
using wire::SerializedLayout;

const std::vector<std::byte> kBlob{std::byte{1}, std::byte{2}, std::byte{3}};

const layout::Assumptions kAssumed{.order = layout::kNhd, .num_heads = 2};

/// A message of worker 7 with one layout of each arrangement.
class ReadMessage : public ::testing::Test {
 protected:
  ReadMessage() {
    for (const Arrangement arrangement : kAllArrangements) {
      caches_.emplace_back(standard_config(4), arrangement, 1);
      LocalLayout local;
      local.handle = {WorkerId{7}, LayoutId{static_cast<std::uint16_t>(caches_.size())}};
      local.physical = caches_.back().physical();
      said_.push_back(*describe(local, "prefill-7", wire::MessageFormat::kA));
      said_in_b_.push_back(*describe(local, "prefill-7", wire::MessageFormat::kB));
    }
  }

  [[nodiscard]] Result<ToldPeer> read(const layout::Assumptions& assume = {}) const {
    return read_message(message().as_bytes(), {.agent_kind = "shm", .assume = assume});
  }
  [[nodiscard]] SerializedLayout message() const {
    auto packed = SerializedLayout::pack({WorkerId{7}, "prefill-7"}, kBlob, said_);
    EXPECT_THAT(packed, IsOk());
    return *packed;
  }

  std::vector<GuardedCache> caches_;
  [[nodiscard]] Result<ToldPeer> read_in_b(const layout::Assumptions& assume = {}) const {
    const auto packed = SerializedLayout::pack({WorkerId{7}, "prefill-7"}, kBlob, said_in_b_,
                                               wire::MessageFormat::kB);
    EXPECT_THAT(packed, IsOk());
    return read_message(packed->as_bytes(), {.agent_kind = "shm", .assume = assume});
  }
  /// The order that layout `index` is said to have in format B.
  void say_order(std::size_t index, wire::KvBlockLayout::Type type) {
    std::visit(
        [type](auto& details) {
          details.kv_block_layout = wire::KvBlockLayout{type, {}};
        },
        said_in_b_[index].layout.layout_type_details);
  }

  std::vector<wire::LocalLayoutDescriptor> said_;
  std::vector<wire::LocalLayoutDescriptor> said_in_b_;
};

TEST_F(ReadMessage, FormatBMakesTheSameViewAsTheOwnersOwn) {
  for (const layout::Assumptions& assume : {layout::Assumptions{}, kAssumed}) {
    const auto peer = read_in_b(assume);
    ASSERT_THAT(peer, IsOk());
    for (std::size_t i = 0; i < 3; ++i) {
      const ToldLayout& layout = peer->layouts[i];
      EXPECT_EQ(compatible(layout.view, caches_[i].view()).verdict, layout::Verdict::kIdentical);
    }
  }
  EXPECT_EQ(said_in_b_[0].logical_type, wire::LogicalType::kG2);
  EXPECT_THAT(read_in_b({.order = layout::kHnd}),
              FailsWith(ErrorCode::kInvalidArgument, "assumed order HND, the message says NHD"));
  EXPECT_THAT(read_in_b({.num_heads = 4}),
              FailsWith(ErrorCode::kInvalidArgument, "assumed num_heads 4, the message says 2"));
}

TEST_F(ReadMessage, WhatFormatBLeavesUnknownStaysOpaque) {
  for (std::size_t i = 0; i < 3; ++i) {
    say_order(i, wire::KvBlockLayout::Type::kUnknown);  // As the original's builder does.
  }
  const auto peer = read_in_b();
  ASSERT_THAT(peer, IsOk());
  EXPECT_TRUE(peer->layouts[0].view.is_opaque());
  const auto known = read_in_b({.order = layout::kNhd});
  ASSERT_THAT(known, IsOk());
  EXPECT_FALSE(known->layouts[0].view.is_opaque());
}

TEST_F(ReadMessage, TakesOrdersOfOneRegionAndRefusesThemWithoutHeads) {
  // Regions of one layer each cannot have such an order; the original takes it for unknown.
  say_order(1, wire::KvBlockLayout::Type::kUniversalTp);
  say_order(0, wire::KvBlockLayout::Type::kUniversalPp);
  const auto peer = read_in_b();
  ASSERT_THAT(peer, IsOk());
  const auto own = transfer::PhysicalLayout::packed(
                       {.config = standard_config(4), .order = layout::kUniversalPp})
                       .allocate_system()
                       .build();
  ASSERT_THAT(own, IsOk());
  EXPECT_EQ(compatible(peer->layouts[0].view, (*own)->view()).verdict, layout::Verdict::kIdentical);
  EXPECT_TRUE(peer->layouts[1].view.is_opaque());
  said_in_b_[0].layout.layout_config.num_heads.reset();
  EXPECT_THAT(read_in_b(),
              FailsWith(ErrorCode::kIncompatible, "order: UniversalPP needs the number of heads"));
}

TEST_F(ReadMessage, FormatsThatCannotTellAnOrderSaySo) {
  LocalLayout local;
  local.handle = {WorkerId{7}, LayoutId{5}};
  local.physical = *transfer::PhysicalLayout::packed(
                        {.config = standard_config(4), .order = layout::kUniversalTp})
                        .allocate_system()
                        .build();
  EXPECT_THAT(describe(local, "prefill-7", wire::MessageFormat::kA),
              FailsWith(ErrorCode::kIncompatible, "format A cannot tell the order UniversalTP"));
  const auto said = describe(local, "prefill-7", wire::MessageFormat::kB);
  ASSERT_THAT(said, IsOk());
  EXPECT_EQ(wire::kv_block_layout_of(said->layout.layout_type_details)->type,
            wire::KvBlockLayout::Type::kUniversalTp);
}

TEST_F(ReadMessage, RefusesHeadsThatDoNotDivideTheRow) {
  said_in_b_[2].layout.layout_config.num_heads = 3;
  EXPECT_THAT(read_in_b(), FailsWith(ErrorCode::kCorrupt, "num_heads"));
}

TEST_F(ReadMessage, TakesOverWhatTheMessageSays) {
  const auto peer = read();
  ASSERT_THAT(peer, IsOk());
  EXPECT_EQ(peer->identity.worker_id, WorkerId{7});
  EXPECT_EQ(peer->identity.agent_name, "prefill-7");
  EXPECT_EQ(peer->identity.blob, kBlob);
  ASSERT_EQ(peer->layouts.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    const ToldLayout& layout = peer->layouts[i];
    EXPECT_EQ(layout.handle, said_[i].handle);
    EXPECT_TRUE(layout.view.is_opaque()) << "format A tells no heads";
    EXPECT_EQ(layout.view.packing(), "NHD");
    EXPECT_TRUE(std::equal(layout.view.regions().begin(), layout.view.regions().end(),
                           caches_[i].view().regions().begin()));
  }
}

TEST_F(ReadMessage, AssumptionsMakeTheSameViewAsTheOwnersOwn) {
  const auto peer = read(kAssumed);
  ASSERT_THAT(peer, IsOk());
  for (std::size_t i = 0; i < 3; ++i) {
    const ToldLayout& layout = peer->layouts[i];
    EXPECT_EQ(compatible(layout.view, caches_[i].view()).verdict, layout::Verdict::kIdentical);
  }
  EXPECT_EQ(peer->identity.assume, kAssumed);
}

TEST_F(ReadMessage, AssumedOrderAddsToUnknownAndMayNotContradict) {
  EXPECT_THAT(read({.order = layout::kHnd, .num_heads = 2}),
              FailsWith(ErrorCode::kInvalidArgument, "LayoutHandle(worker=7, layout=1): assumed"));
  for (auto& layout : said_) {
    layout.layout.layout_config.inner_shape = InnerShape::kUnknown;
  }
  const auto peer = read({.order = layout::kHnd, .num_heads = 2});
  ASSERT_THAT(peer, IsOk());
  EXPECT_FALSE(peer->layouts[0].view.is_opaque());
  const auto without = read({.num_heads = 2});
  ASSERT_THAT(without, IsOk());
  EXPECT_TRUE(without->layouts[0].view.is_opaque()) << "no order, no guess";
}

TEST_F(ReadMessage, EveryChangeOfTheMessageChangesTheDigest) {
  const auto first = read();
  const auto same = read();
  ASSERT_THAT(first, IsOk());
  EXPECT_EQ(first->identity.digest, same->identity.digest);
  said_[2].layout.layout_config.alignment = 2;
  const auto other = read();
  ASSERT_THAT(other, IsOk());
  EXPECT_NE(first->identity.digest, other->identity.digest);
}

TEST_F(ReadMessage, RefusesWhatBreaksARuleAndNamesIt) {
  said_[1].handle = LayoutHandle{WorkerId{9}, LayoutId{1}};
  EXPECT_THAT(read(), FailsWith(ErrorCode::kCorrupt, "handle_worker_mismatch: "));
  said_[1].handle = said_[0].handle;
  EXPECT_THAT(read(), FailsWith(ErrorCode::kCorrupt, "duplicate_handle: "));
}

TEST_F(ReadMessage, KeepsToTheLimitsOfTheReader) {
  wire::WireLimits limits;
  limits.message_bytes = 10;
  EXPECT_THAT(read_message(message().as_bytes(), {.agent_kind = "shm", .limits = limits}),
              FailsWith(ErrorCode::kCorrupt, ""));
}

TEST_F(ReadMessage, TakesWhatTheReadersOwnLimitsAllow) {
  wire::Envelope said = wire::samples::small_envelope();
  wire::WireLimits limits;
  limits.agents = 64;
  while (said.agents.size() <= wire::WireLimits{}.agents) {
    said.agents.push_back({"kind-" + std::to_string(said.agents.size()), {std::byte{1}}, {}});
  }
  const auto bytes = wire::encode_envelope(said, limits);
  ASSERT_THAT(bytes, IsOk());
  EXPECT_THAT(wire::encode_envelope(said), FailsWith(ErrorCode::kInvalidArgument, "agents"));
  EXPECT_THAT(read_message(*bytes, {.agent_kind = "kind-16", .limits = limits}), IsOk());
}

TEST_F(ReadMessage, TakesElementsOfOneByteWhichTheOriginalDoesNot) {
  layout::LayoutConfig config = standard_config(4);
  config.dtype_width_bytes = 1;
  const GuardedCache cache{config, Arrangement::kFullyContiguous, 1};
  LocalLayout local;
  local.handle = LayoutHandle{WorkerId{7}, LayoutId{0}};
  local.physical = cache.physical();
  said_ = {*describe(local, "prefill-7", wire::MessageFormat::kA)};
  const auto peer = read();
  ASSERT_THAT(peer, IsOk());
  EXPECT_EQ(peer->layouts[0].view.element_bytes(), 1U);
}

}  // namespace
}  // namespace kvferry::manager
