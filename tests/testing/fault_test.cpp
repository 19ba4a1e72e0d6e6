// SPDX-License-Identifier: Apache-2.0
// Goal: every fault of the command line is read as it is meant, and nothing else is.
// Method: a table of good and bad words.
#include "kvferry/testing/fault.hpp"

#include <gtest/gtest.h>

#include <chrono>

#include "kvferry/testing/matchers.hpp"

namespace kvferry::testing {
namespace {

using std::chrono::milliseconds;

TEST(ParseFault, ReadsEveryFault) {
  EXPECT_EQ(*parse_fault("stop-owner@100"), (Fault{FaultKind::kStopOwner, 100, {}}));
  EXPECT_EQ(*parse_fault("kill-owner@0"), (Fault{FaultKind::kKillOwner, 0, {}}));
  EXPECT_EQ(*parse_fault("kill-self@1"), (Fault{FaultKind::kKillSelf, 1, {}}));
  EXPECT_EQ(*parse_fault("drop@7"), (Fault{FaultKind::kDrop, 7, {}}));
  EXPECT_EQ(*parse_fault("delay@3:500ms"), (Fault{FaultKind::kDelay, 3, milliseconds{500}}));
  EXPECT_EQ(*parse_fault("delay@3:2s"), (Fault{FaultKind::kDelay, 3, milliseconds{2000}}));
  EXPECT_EQ(*parse_fault("corrupt@3"), (Fault{FaultKind::kCorrupt, 3, {}}));
  EXPECT_EQ(*parse_fault("fail@1099511627776"), (Fault{FaultKind::kFail, 1ULL << 40U, {}}));
}

TEST(ParseFault, RefusesEverythingElse) {
  for (const auto& [spec, why] : {
           std::pair{"", "is not NAME@PIECE"},
           std::pair{"drop", "is not NAME@PIECE"},
           std::pair{"explode@1", "no fault has the name \"explode\""},
           std::pair{"drop@", "its piece is not a number"},
           std::pair{"drop@x", "its piece is not a number"},
           std::pair{"drop@-1", "its piece is not a number"},
           std::pair{"drop@1 ", "its piece is not a number"},
           std::pair{"drop@1099511627777", "its piece is not a number"},
           std::pair{"drop@99999999999999999999", "its piece is not a number"},
           std::pair{"drop@1:5ms", "delay, and only delay"},
           std::pair{"delay@1", "delay, and only delay"},
           std::pair{"delay@1:5", "its time is not"},
           std::pair{"delay@1:ms", "its time is not"},
           std::pair{"delay@1:3601s", "its time is not"},
           std::pair{"delay@1:18446744073709551615s", "its time is not"},
       }) {
    EXPECT_THAT(parse_fault(spec), FailsWith(ErrorCode::kInvalidArgument, why)) << spec;
  }
}

}  // namespace
}  // namespace kvferry::testing
