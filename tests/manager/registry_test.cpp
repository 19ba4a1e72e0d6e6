// SPDX-License-Identifier: Apache-2.0
// Goal: the registry gives what was put in, in order, and drops lanes with either of their ends.
// Method: single calls; peers and lanes are empty shells, because the registry looks into neither.
#include "manager/registry.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

namespace kvferry::manager {
namespace {

LayoutHandle handle(std::uint64_t worker, std::uint16_t layout) {
  return LayoutHandle{WorkerId{worker}, LayoutId{layout}};
}

LocalLayoutPtr local(LayoutHandle handle) {
  auto made = std::make_shared<LocalLayout>();
  made->handle = handle;
  return made;
}

RemoteLayoutPtr remote(LayoutHandle handle) {
  static const auto view = *view_of(*layout::Layout::create(
      {.num_blocks = 1, .num_layers = 1, .outer_dim = 1, .page_size = 1, .inner_dim = 1},
      layout::Arrangement::kFullyContiguous, {{4096, 2}}));
  return std::make_shared<const RemoteLayout>(
      RemoteLayout{handle, {handle, view, {}, std::nullopt}, nullptr, nullptr, nullptr});
}

PeerPtr peer(std::uint64_t worker, std::vector<RemoteLayoutPtr> layouts = {}) {
  auto made = std::make_shared<Peer>();
  made->identity.worker_id = WorkerId{worker};
  made->layouts = std::move(layouts);
  return made;
}

LaneEntry lane(RemoteLayoutPtr remote = nullptr) {
  return {std::make_shared<const transfer::Lane>(), Sharing::kSameLayout, std::move(remote)};
}

TEST(Registry, GivesLocalLayoutsInAscendingOrder) {
  Registry registry;
  for (const std::uint16_t id : std::vector<std::uint16_t>{300, 2, 65'535, 0, 256}) {
    registry.add_local(local(handle(7, id)));
  }
  std::vector<std::uint16_t> ids;
  for (const LocalLayoutPtr& layout : registry.locals()) {
    ids.push_back(layout->handle.layout_id().value());
  }
  EXPECT_EQ(ids, (std::vector<std::uint16_t>{0, 2, 256, 300, 65'535}));
}

TEST(Registry, RemovesOnceAndFindsNoMore) {
  Registry registry;
  const LocalLayoutPtr added = local(handle(7, 1));
  registry.add_local(added);
  EXPECT_EQ(registry.find_local(handle(7, 1)), added);
  EXPECT_EQ(registry.find_local(handle(7, 2)), nullptr);
  EXPECT_TRUE(registry.remove_local(handle(7, 1)));
  EXPECT_FALSE(registry.remove_local(handle(7, 1)));
  EXPECT_EQ(registry.find_local(handle(7, 1)), nullptr);
}

TEST(Registry, NeverReplacesALayout) {
  Registry registry;
  const LocalLayoutPtr first = local(handle(7, 0));
  registry.add_local(first);
  registry.add_local(local(handle(7, 0)));
  EXPECT_EQ(registry.find_local(handle(7, 0)), first);
}

TEST(Registry, PutsAPeerInThePlaceOfTheOneWithTheSameWorkerId) {
  Registry registry;
  registry.put_peer(peer(8));
  const PeerPtr second = peer(8);
  registry.put_peer(second);
  registry.put_peer(peer(3));
  EXPECT_EQ(registry.find_peer(WorkerId{8}), second);
  EXPECT_EQ(registry.peers().size(), 2U);
  registry.remove_peer(WorkerId{8});
  EXPECT_EQ(registry.find_peer(WorkerId{8}), nullptr);
  EXPECT_EQ(registry.peers().size(), 1U);
}

class RegistryLanes : public ::testing::Test {
 protected:
  RegistryLanes() {
    for (std::uint16_t id = 0; id < 5; ++id) {
      registry_.add_local(local(handle(7, id)));
    }
    registry_.put_peer(peer(8, {first_, second_}));
    registry_.add_lane(local_to_local_, lane());
    registry_.add_lane(peer_to_local_, lane(first_));
    registry_.add_lane(peer_to_other_, lane(second_));
    registry_.add_lane(part_, lane());
  }
  std::vector<bool> known() const {
    std::vector<bool> found;
    for (const LaneKey& key : {local_to_local_, peer_to_local_, peer_to_other_, part_}) {
      found.push_back(registry_.find_lane(key).has_value());
    }
    return found;
  }

  Registry registry_;
  RemoteLayoutPtr first_ = remote(handle(8, 0));
  RemoteLayoutPtr second_ = remote(handle(8, 1));
  LaneKey local_to_local_{handle(7, 0), handle(7, 1), {}};
  LaneKey peer_to_local_{handle(8, 0), handle(7, 1), {}};
  LaneKey peer_to_other_{handle(8, 1), handle(7, 2), {}};
  LaneKey part_{handle(7, 0), handle(7, 1), {0, 1}};
};

TEST_F(RegistryLanes, AreToldApartByBothEndsAndTheLayers) {
  EXPECT_EQ(known(), (std::vector<bool>{true, true, true, true}));
  EXPECT_EQ(registry_.find_lane(part_)->sharing, Sharing::kSameLayout);
  EXPECT_FALSE(registry_.find_lane({handle(7, 1), handle(7, 0), {}}).has_value());
  EXPECT_FALSE(registry_.find_lane({handle(7, 0), handle(7, 1), {1, 2}}).has_value());
}

TEST_F(RegistryLanes, GoWithTheLocalLayoutAtEitherEnd) {
  registry_.remove_local(handle(7, 0));
  EXPECT_EQ(known(), (std::vector<bool>{false, true, true, false}));
  registry_.remove_local(handle(7, 1));
  EXPECT_EQ(known(), (std::vector<bool>{false, false, true, false}));
}

TEST_F(RegistryLanes, GoWithThePeersLayoutsThatAreNotKept) {
  registry_.put_peer(peer(8, {first_, second_}));
  EXPECT_EQ(known(), (std::vector<bool>{true, true, true, true}));
  registry_.put_peer(peer(8, {first_}));
  EXPECT_EQ(known(), (std::vector<bool>{true, true, false, true}));
  const RemoteLayoutPtr anew = remote(handle(8, 0));
  registry_.put_peer(peer(8, {anew}));
  EXPECT_EQ(known(), (std::vector<bool>{true, false, false, true}));
  registry_.add_lane(peer_to_local_, lane(first_));
  EXPECT_EQ(known(), (std::vector<bool>{true, false, false, true})) << "as it was reached before";
  registry_.add_lane(peer_to_local_, lane(anew));
  EXPECT_EQ(known(), (std::vector<bool>{true, true, false, true}));
  registry_.remove_peer(WorkerId{8});
  EXPECT_EQ(known(), (std::vector<bool>{true, false, false, true}));
}

TEST_F(RegistryLanes, AreNotKeptOfALayoutThatHasGoneMeanwhile) {
  registry_.put_peer(peer(8, {first_}));
  registry_.add_lane(peer_to_other_, lane(second_));
  EXPECT_FALSE(registry_.find_lane(peer_to_other_).has_value());
  registry_.remove_local(handle(7, 1));
  registry_.add_lane(peer_to_local_, lane(first_));
  EXPECT_FALSE(registry_.find_lane(peer_to_local_).has_value());
}

TEST(Registry, FindsThePeersLayoutsThatItHasNow) {
  Registry registry;
  const RemoteLayoutPtr first = remote(handle(8, 0));
  const RemoteLayoutPtr second = remote(handle(8, 1));
  const PeerPtr before = peer(8, {first, second});
  registry.put_peer(before);
  EXPECT_EQ(registry.find_remote(handle(8, 1)).layout, second);
  EXPECT_EQ(registry.find_remote(handle(8, 1)).peer, before);
  registry.put_peer(peer(8, {first}));
  EXPECT_EQ(registry.find_remote(handle(8, 0)).layout, first);
  EXPECT_EQ(registry.find_remote(handle(8, 1)).layout, nullptr);
  registry.remove_peer(WorkerId{8});
  EXPECT_EQ(registry.find_remote(handle(8, 0)).layout, nullptr);
}

TEST(Registry, NeverGivesAHandleTwice) {
  Registry registry;
  const LayoutHandle told = handle(8, 3);
  EXPECT_EQ(registry.fresh_handle(told), told);
  const LayoutHandle second = registry.fresh_handle(told);
  const LayoutHandle third = registry.fresh_handle(told);
  EXPECT_NE(second, told);
  EXPECT_NE(third, second);
  EXPECT_EQ(second.worker_id(), told.worker_id());
  EXPECT_EQ(third.layout_id(), told.layout_id());
  // A peer cannot bring it to give one that was given, by bits that no writer sets.
  EXPECT_NE(registry.fresh_handle(second), third);
  EXPECT_EQ(registry.fresh_handle(handle(8, 4)), handle(8, 4));
}

TEST_F(RegistryLanes, AreDroppedWhenThereAreTooMany) {
  for (std::uint64_t layer = 0; layer < 2 * Registry::kMaxLanes; ++layer) {
    const LaneKey key{handle(7, 3), handle(7, 4), {layer, layer + 1}};
    registry_.add_lane(key, lane());
    EXPECT_TRUE(registry_.find_lane(key).has_value());
  }
  EXPECT_EQ(known(), (std::vector<bool>{false, false, false, false}));
}

}  // namespace
}  // namespace kvferry::manager
