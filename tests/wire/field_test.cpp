// SPDX-License-Identifier: Apache-2.0
// Goal: each field has the path that the JSON form gives it. Method: a few literal paths, and that
// no two fields share one.
#include "wire/field.hpp"

#include <gtest/gtest.h>

#include <set>

namespace kvferry::wire {
namespace {

TEST(FieldPath, NamesFieldsAsTheJsonFormDoes) {
  EXPECT_EQ(to_string(FieldPath{Field::kWorkerAgentName}), "worker_address.nixl_agent_name");
  EXPECT_EQ(to_string(FieldPath{Field::kNumBlocks, 3}),
            "layouts[3].layout.layout_config.num_blocks");
  EXPECT_EQ(to_string(FieldPath{Field::kRegionSize, 12, 34}),
            "layouts[12].layout.memory_descriptors[34].size");
  EXPECT_EQ(to_string(FieldPath{Field::kDevice, 0}), "layouts[0].layout.location.Device");
}

TEST(FieldPath, TellsAllFieldsApart) {
  std::set<std::string> paths;
  for (int i = 0; i <= static_cast<int>(Field::kBlockDim); ++i) {
    const std::string path = to_string(FieldPath{static_cast<Field>(i)});
    EXPECT_NE(path, "unknown");
    EXPECT_TRUE(paths.insert(path).second) << path;
  }
}

}  // namespace
}  // namespace kvferry::wire
