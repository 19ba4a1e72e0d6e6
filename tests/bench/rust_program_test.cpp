// SPDX-License-Identifier: Apache-2.0
// Goal: whatever stands in for the original's side, the suite gets figures or a clear error in
// time. Method: shell scripts that answer rightly, die, hang and talk nonsense.
#include "rust_program.hpp"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "kvferry/testing/matchers.hpp"
#include "scripts.hpp"

namespace kvferry::bench {
namespace {

using std::chrono::milliseconds;
using testing::FailsWith;
using testing::IsOk;

/// Long enough that only what never answers is late; short where that is what is wanted.
constexpr milliseconds kLong{60'000};
constexpr milliseconds kShort{50};

/// What the script answers the message 0A FF with.
Result<void> loading(const std::string& script, milliseconds patience = kLong) {
  const Script program{script};
  auto started = RustProgram::start(program.path(), patience);
  EXPECT_THAT(started, IsOk());
  return started->load(std::array{std::byte{0x0A}, std::byte{0xFF}});
}

TEST(SecondsTold, ReadsNanoseconds) {
  EXPECT_DOUBLE_EQ(seconds_told("ns 1").value(), 1e-9);
  EXPECT_DOUBLE_EQ(seconds_told("ns 2500000000").value(), 2.5);
}

TEST(SecondsTold, RefusesEverythingElse) {
  for (const std::string_view answer :
       {"", "ns", "ns ", "ns 0", "ns -1", "ns 1.5", "ns 1 ", "ns  1", "ns 1e3", "ok", "1",
        "error no message yet", "ns 18446744073709551616"}) {
    EXPECT_THAT(seconds_told(answer), FailsWith(ErrorCode::kCorrupt, answer)) << answer;
  }
}

TEST(RustProgram, GetsTheMessageInHexAndThenCommands) {
  const Script program{
      "read -r line; [ \"$line\" = 'message 0aff' ] && echo ok\n"
      "read -r line; [ \"$line\" = 'unpack 12' ] && echo 'ns 3000'"};
  auto started = RustProgram::start(program.path(), kLong);
  ASSERT_THAT(started, IsOk());
  ASSERT_THAT(started->load(std::array{std::byte{0x0A}, std::byte{0xFF}}), IsOk());
  EXPECT_DOUBLE_EQ(started->seconds_of("unpack", 12).value(), 3e-6);
  EXPECT_THAT(started->seconds_of("unpack", 12), FailsWith(ErrorCode::kUnavailable, "ended"));
}

TEST(RustProgram, IsUnavailableWhereThereIsNoSuchFile) {
  EXPECT_THAT(RustProgram::start("/nowhere/program", kLong),
              FailsWith(ErrorCode::kUnavailable, "/nowhere/program: No such file"));
}

TEST(RustProgram, IsUnavailableWhenItDies) {
  EXPECT_THAT(loading("exit 0"), FailsWith(ErrorCode::kUnavailable, "ended"));
  EXPECT_THAT(loading("read -r line; printf o"), FailsWith(ErrorCode::kUnavailable, "ended"));
  EXPECT_THAT(loading("kill -9 $$"), FailsWith(ErrorCode::kUnavailable, "ended"));
  EXPECT_THAT(loading("exec /nowhere/program 2>&-"), FailsWith(ErrorCode::kUnavailable, "ended"));
}

TEST(RustProgram, IsCorruptWhenItTalksNonsense) {
  EXPECT_THAT(
      loading("echo 'error packed again, these are other bytes'; read -r line; read -r line"),
      FailsWith(ErrorCode::kCorrupt, "packed again, these are other bytes"));
  EXPECT_THAT(loading("printf 'ok\\nok\\n'; read -r line; read -r line"),
              FailsWith(ErrorCode::kCorrupt, "ok\nok"));
  EXPECT_THAT(loading("while true; do printf yes; done"),
              FailsWith(ErrorCode::kCorrupt, "yesyesyes"));
}

TEST(RustProgram, IsLateWhenItNeverAnswers) {
  EXPECT_THAT(loading("while read -r line; do :; done", kShort),
              FailsWith(ErrorCode::kDeadline, "in time"));
}

TEST(RustProgram, IsLateWhenItNeverReads) {
  const Script program{"exec sleep 1000"};
  auto started = RustProgram::start(program.path(), kShort);
  ASSERT_THAT(started, IsOk());
  // More than a socket holds.
  EXPECT_THAT(started->load(std::vector<std::byte>(std::size_t{4} << 20U)),
              FailsWith(ErrorCode::kDeadline, "in time"));
}

}  // namespace
}  // namespace kvferry::bench
