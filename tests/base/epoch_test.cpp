// SPDX-License-Identifier: Apache-2.0
// Goal: epochs differ, and are written in one form.
// Method: one example, and two draws.
#include "kvferry/base/epoch.hpp"

#include <gtest/gtest.h>

namespace kvferry {
namespace {

TEST(Epoch, IsWrittenAs32Digits) {
  EXPECT_EQ(to_string(Epoch{0x0123456789abcdefU, 0xfU}), "0123456789abcdef000000000000000f");
}

TEST(Epoch, IsDrawnAnewEachTime) {
  const Result<Epoch> one = draw_epoch();
  const Result<Epoch> two = draw_epoch();
  ASSERT_TRUE(one && two);
  EXPECT_NE(to_string(*one), to_string(*two));
}

}  // namespace
}  // namespace kvferry
