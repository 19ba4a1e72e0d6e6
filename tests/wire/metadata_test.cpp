// SPDX-License-Identifier: Apache-2.0
// Goal: the vocabulary of a message has the original's names and pairs. Method: literal tables.
#include "kvferry/wire/metadata.hpp"

#include <gtest/gtest.h>

namespace kvferry::wire {
namespace {

// The seed's test "worker address".
TEST(WorkerAddress, HoldsWorkerAndAgentName) {
  const WorkerAddress address{WorkerId{42}, "test_agent"};
  EXPECT_EQ(address.worker_id, WorkerId{42});
  EXPECT_EQ(address.nixl_agent_name, "test_agent");
  EXPECT_EQ(address, (WorkerAddress{WorkerId{42}, "test_agent"}));
  EXPECT_NE(address, (WorkerAddress{WorkerId{43}, "test_agent"}));
  EXPECT_NE(address, (WorkerAddress{WorkerId{42}, "other"}));
}

TEST(MemType, HasTheOriginalsNames) {
  EXPECT_EQ(to_string(MemType::kDram), "Dram");
  EXPECT_EQ(to_string(MemType::kVram), "Vram");
  EXPECT_EQ(to_string(MemType::kBlock), "Block");
  EXPECT_EQ(to_string(MemType::kObject), "Object");
  EXPECT_EQ(to_string(MemType::kFile), "File");
  EXPECT_EQ(to_string(MemType::kUnknown), "Unknown");
}

TEST(MemType, PairsWithStorageKindsAsWritersDo) {
  EXPECT_EQ(mem_type_of(StorageKind::system()), MemType::kDram);
  EXPECT_EQ(mem_type_of(StorageKind::pinned()), MemType::kDram);
  EXPECT_EQ(mem_type_of(StorageKind::device(2)), MemType::kVram);
  EXPECT_EQ(mem_type_of(StorageKind::disk(5)), MemType::kFile);
}

TEST(LayoutTypeDetails, StandForArrangementsBothWays) {
  using layout::Arrangement;
  for (const Arrangement arrangement :
       {Arrangement::kFullyContiguous, Arrangement::kLayerSeparateBlockFirst,
        Arrangement::kLayerSeparateBlockSecond}) {
    EXPECT_EQ(arrangement_of(details_of(arrangement)), arrangement);
  }
  EXPECT_EQ(arrangement_of(FullyContiguousDetails{}), Arrangement::kFullyContiguous);
  EXPECT_EQ(arrangement_of(LayerSeparateDetails{layout::BlockDimension::kBlockIsSecondDim}),
            Arrangement::kLayerSeparateBlockSecond);
}

TEST(LayoutTypeDetails, HaveTheOriginalsNames) {
  EXPECT_EQ(to_string(BlockFormat::kOperational), "Operational");
  EXPECT_EQ(variant_name(layout::BlockDimension::kBlockIsFirstDim), "BlockIsFirstDim");
  EXPECT_EQ(variant_name(layout::BlockDimension::kBlockIsSecondDim), "BlockIsSecondDim");
}

}  // namespace
}  // namespace kvferry::wire
