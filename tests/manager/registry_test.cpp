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

PeerPtr peer(std::uint64_t worker) {
  auto made = std::make_shared<Peer>();
  made->worker_id = WorkerId{worker};
  return made;
}

LaneEntry lane() { return {std::make_shared<const transfer::Lane>(), Sharing::kSameLayout}; }

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
    for (const LaneKey& key : {local_to_local_, peer_to_local_, peer_to_other_, part_}) {
      registry_.add_lane(key, lane());
    }
  }
  std::vector<bool> known() const {
    std::vector<bool> found;
    for (const LaneKey& key : {local_to_local_, peer_to_local_, peer_to_other_, part_}) {
      found.push_back(registry_.find_lane(key).has_value());
    }
    return found;
  }

  Registry registry_;
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

TEST_F(RegistryLanes, GoWithTheirPeerAndWithItsReplacement) {
  registry_.put_peer(peer(8));
  EXPECT_EQ(known(), (std::vector<bool>{true, false, false, true}));
  registry_.add_lane(peer_to_local_, lane());
  registry_.remove_peer(WorkerId{8});
  EXPECT_EQ(known(), (std::vector<bool>{true, false, false, true}));
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
