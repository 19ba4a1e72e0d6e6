// SPDX-License-Identifier: Apache-2.0
// Goal: a message is read in the format that it is in, and what could be either is said to.
// Method: messages made to fit one format, the other, both or none, written down byte by byte.
#include <gtest/gtest.h>

#include "kvferry/wire/lint.hpp"
#include "kvferry/wire/message_view.hpp"
#include "samples.hpp"

namespace kvferry::wire {
namespace {

using samples::Bytes;
using samples::expect_fails;
using samples::from_hex;
using samples::Pieces;

constexpr MessageFormat kA = MessageFormat::kA;
constexpr MessageFormat kB = MessageFormat::kB;

/// E5 of the specification: the seed's message in format B.
Bytes seed_in_b() {
  return from_hex(
      "640a776f726b65725f31303005010203040501fe64000000000000000100000000000000"
      "01010202020408010200000474657374000001fb0010fb0010000003");
}

bool breaks_no_rule(const MessageView& view) {
  for (const Lint& broken : lint(view)) {
    if (broken.refuses_import) {
      return false;
    }
  }
  return true;
}

/// One block in one-byte regions of one byte: a message of A that breaks no rule, and whose bytes
/// format B takes for a layout with a name of 97 bytes.
Bytes clean_in_a_and_readable_in_b() {
  Bytes bytes = from_hex("07 01 61 00 01 07 01 01 32 01 01 01 01 01 00 00 01 61 00 00 32");
  const auto region = [&bytes](int address) {
    bytes.push_back(static_cast<std::byte>(address));
    bytes.push_back(std::byte{1});
  };
  for (int address = 10; address < 57; ++address) {
    region(address);  // The rest of B's name, after three bytes.
  }
  region(2);  // B's mem type and device.
  region(1);  // B's number of regions, and the address of the only one.
  region(3);  // Its size, and B's layer separate.
  bytes.push_back(std::byte{1});
  bytes.push_back(std::byte{0});
  return bytes;
}

/// Fits both formats, and breaks rules of import in both: the agents have no names.
Bytes ambiguous() {
  return from_hex("07 00 00 01 07 01 01 01 01 01 01 01 01 00 00 00 00 00 01 00 00 00 00");
}

TEST(Recognition, ReadsWhatFitsOneFormat) {
  const auto a = decode_view(Pieces{}.bytes());
  ASSERT_TRUE(a) << a.error().message;
  EXPECT_EQ(a->format, kA);
  EXPECT_FALSE(a->is_ambiguous);

  const auto b = decode_view(seed_in_b());
  ASSERT_TRUE(b) << b.error().message;
  EXPECT_EQ(b->format, kB);
  EXPECT_FALSE(b->is_ambiguous);
  const LocalLayoutView& layout = b->layouts().front();
  EXPECT_EQ(layout.logical_type, LogicalType::kG2);
  EXPECT_EQ(layout.layout_config.num_heads, std::nullopt);
  EXPECT_EQ(kv_block_layout_of(layout.layout_type_details),
            (KvBlockLayout{KvBlockLayout::Type::kOperationalNhd, {}}));
}

TEST(Recognition, ReadsVersionsOfAThatNothingWrites) {
  for (const char* const version : {"00", "02", "07"}) {
    const auto view = decode_view(Pieces{}.with("version", from_hex(version)).bytes());
    ASSERT_TRUE(view) << view.error().message;
    EXPECT_EQ(view->format, kA);
  }
}

TEST(Recognition, ReadsWhatHasNoLayoutsAsPreferred) {
  const Bytes bytes = from_hex("2a 04 74657374 03 010203 00");
  for (const MessageFormat preferred : {kA, kB}) {
    const auto view = decode_view(bytes, {}, preferred);
    ASSERT_TRUE(view);
    EXPECT_EQ(view->format, preferred);
    EXPECT_TRUE(view->is_ambiguous);
  }
}

TEST(Recognition, ChoosesTheReadingThatBreaksNoRule) {
  const Bytes bytes = clean_in_a_and_readable_in_b();
  const auto a = decode_view_as(kA, bytes);
  const auto b = decode_view_as(kB, bytes);
  ASSERT_TRUE(a) << a.error().message;
  ASSERT_TRUE(b) << b.error().message;
  ASSERT_TRUE(breaks_no_rule(*a));
  ASSERT_FALSE(breaks_no_rule(*b));
  for (const MessageFormat preferred : {kA, kB}) {
    const auto view = decode_view(bytes, {}, preferred);
    ASSERT_TRUE(view);
    EXPECT_EQ(view->format, kA);
    EXPECT_FALSE(view->is_ambiguous);
    EXPECT_EQ(encode(*view), bytes);
  }
}

TEST(Recognition, PrefersAndSaysSoWhereNothingDecides) {
  const Bytes bytes = ambiguous();
  for (const MessageFormat preferred : {kA, kB}) {
    const auto view = decode_view(bytes, {}, preferred);
    ASSERT_TRUE(view) << view.error().message;
    EXPECT_FALSE(breaks_no_rule(*view));
    EXPECT_EQ(view->format, preferred);
    EXPECT_TRUE(view->is_ambiguous);
    EXPECT_EQ(encode(*view), bytes);
  }
}

TEST(Recognition, TellsTheErrorOfTheFormatThatGoesFurther) {
  const Bytes whole = Pieces{}.bytes();
  const Bytes cut{whole.begin(), whole.end() - 1};
  expect_fails(decode_view(cut), ErrorCode::kCorrupt,
               "layouts[0].layout.layout_type_details.FullyContiguous.block_format at 61: ");
  const Bytes whole_b = seed_in_b();
  const Bytes cut_b{whole_b.begin(), whole_b.end() - 1};
  for (const MessageFormat preferred : {kA, kB}) {
    expect_fails(decode_view(cut_b, {}, preferred), ErrorCode::kCorrupt,
                 "layouts[0].layout.layout_type_details.FullyContiguous.kv_block_layout at 63: ");
  }
  expect_fails(decode_view({}), ErrorCode::kCorrupt, "worker_address.worker_id at 0: ");
}

TEST(Recognition, TakesNoFormatForTheOtherWhenItIsSaid) {
  expect_fails(decode_view_as(kB, Pieces{}.bytes()), ErrorCode::kCorrupt, " at ");
  expect_fails(decode_view_as(kA, seed_in_b()), ErrorCode::kCorrupt, " at ");
}

}  // namespace
}  // namespace kvferry::wire
