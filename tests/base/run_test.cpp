// SPDX-License-Identifier: Apache-2.0
// Goal: the vocabulary between plan, transfer and agent compares and counts.
// Method: by hand. (Inside TEST, a bare Run would be the function of testing::Test.)
#include "kvferry/base/run.hpp"

#include <gtest/gtest.h>

namespace kvferry {
namespace {

TEST(Run, CountsTheBytesOfAllPieces) {
  const kvferry::Run run{RunEnd{0, 0, 4096}, RunEnd{1, 512, 8192}, 4096, 3};
  EXPECT_EQ(run.total_bytes(), 12288U);
  EXPECT_EQ(kvferry::Run{}.total_bytes(), 0U);
}

TEST(Run, ComparesBothEnds) {
  const kvferry::Run run{RunEnd{0, 0, 4096}, RunEnd{1, 512, 8192}, 4096, 3};
  kvferry::Run other = run;
  EXPECT_EQ(other, run);
  other.destination.region = 2;
  EXPECT_NE(other, run);
}

TEST(Region, ComparesAddressAndSize) {
  EXPECT_EQ((Region{4096, 10}), (Region{4096, 10}));
  EXPECT_NE((Region{4096, 10}), (Region{4096, 11}));
  EXPECT_NE((Region{4096, 10}), (Region{0, 10}));
}

}  // namespace
}  // namespace kvferry
