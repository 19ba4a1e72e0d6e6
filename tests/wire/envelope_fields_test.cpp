// SPDX-License-Identifier: Apache-2.0
// Goal: before Protocol Buffers sees a body, all is refused by name that it would cut, print about,
// or allocate for; what is not known is kept as it came. Method: bodies written byte by byte, one
// thing wrong in each, at a known offset.
#include "wire/envelope_fields.hpp"

#include "envelopes.hpp"

namespace kvferry::wire {
namespace {

using samples::body_with;
using samples::Bytes;
using samples::bytes_field;
using samples::bytes_of;
using samples::expect_fails;
using samples::fixed_field;
using samples::number_field;
using samples::to_hex;
using samples::varint;

constexpr std::size_t kOffset = 48;

Result<UnknownFields> check(std::string_view body, const WireLimits& limits = WireLimits{}) {
  const Bytes bytes = bytes_of(body);
  return check_fields({bytes, kOffset}, limits);
}

void expect_corrupt(std::string_view body, std::string_view message) {
  expect_fails(check(body), ErrorCode::kCorrupt, message);
}

std::string agent(std::string_view fields) { return bytes_field(9, fields); }
std::string layout(std::string_view fields) { return bytes_field(10, fields); }

TEST(EnvelopeFields, OfAnEmptyBodyAreFine) { EXPECT_TRUE(check("")); }

TEST(EnvelopeFields, RefuseWhatIsNoMessage) {
  expect_corrupt("\x08", "body at 49: the message ends inside a number");
  expect_corrupt("\xff", "body at 48: the message ends inside a number");
  expect_corrupt(std::string(10, '\xff') + '\1', "body at 48: a number of more than 64 bits");
  expect_corrupt(std::string(9, '\xff') + '\2', "body at 48: a number of more than 64 bits");
  expect_corrupt(number_field(0, 1), "body at 48: 0 is no field");
  expect_corrupt(varint(std::uint64_t{1} << 32U) + '\1', "body at 48: 4294967296 is no field");
  expect_corrupt(varint(9) + "1234567", "body at 48: length 8 of 7 left");
  expect_corrupt(varint(100U << 3U | 5U) + "123", "body at 48: length 4 of 3 left");
  expect_corrupt(varint(100U << 3U | 2U) + varint(~std::uint64_t{0}) + "x",
                 "body at 48: length 18446744073709551615 of 1 left");
}

// Protocol Buffers has given them up; they are the only fields that nest without a length.
TEST(EnvelopeFields, RefuseGroups) {
  for (const unsigned type : {3U, 4U, 6U, 7U}) {
    expect_corrupt(
        varint(100U << 3U | type),
        "body at 48: field 100 of wire type " + std::to_string(type) + ", which is not known here");
  }
}

TEST(EnvelopeFields, RefuseAnotherTypeThanTheirOwn) {
  expect_corrupt(number_field(1, 7), "worker_id at 48: wire type 0 is not its own");
  expect_corrupt(number_field(2, 7), "name at 48: wire type 0 is not its own");
  expect_corrupt(fixed_field(4, 7), "generation at 48: wire type 1 is not its own");
  expect_corrupt(layout(bytes_field(1, "7")), "layouts[0].id at 50: wire type 2 is not its own");
  expect_corrupt(layout(number_field(16, 7)),
                 "layouts[0].addresses at 50: wire type 0 is not its own");
  expect_corrupt(agent(number_field(2, 7)), "agents[0].blob at 50: wire type 0 is not its own");
}

TEST(EnvelopeFields, RefuseNumbersThatWouldBeCut) {
  const std::uint64_t wide = std::uint64_t{1} << 32U;
  expect_corrupt(layout(number_field(1, wide)),
                 "layouts[0].id at 50: 4294967296 has more than 32 bits");
  expect_corrupt(layout("") + layout(number_field(4, wide + 1)),
                 "layouts[1].access at 52: 4294967297 has more than 32 bits");
}

TEST(EnvelopeFields, RefuseTextThatIsNone) {
  expect_corrupt(bytes_field(2, "a\xff"), "name at 48: not UTF-8 at byte 1 of 2");
  expect_corrupt(bytes_field(7, "a\nb"), "audience at 48: \"a\\u000ab\" holds a control character");
  expect_corrupt(bytes_field(8, "\x7f"), "required_features at 48: \"\\u007f\" holds a control");
  expect_corrupt(agent(bytes_field(1, "\xc3")), "agents[0].kind at 50: not UTF-8 at byte 0 of 1");
}

TEST(EnvelopeFields, KeepTheirLengths) {
  expect_corrupt(bytes_field(3, std::string(17, 'e')), "epoch at 48: length 17, limit 16");
  expect_corrupt(bytes_field(2, std::string(4097, 'n')), "name at 48: length 4097, limit 4096");
  EXPECT_TRUE(check(bytes_field(2, std::string(4096, 'n'))));
  expect_corrupt(bytes_field(8, std::string(65, 'f')),
                 "required_features at 48: length 65, limit 64");
  expect_corrupt(agent(bytes_field(1, std::string(65, 'k'))),
                 "agents[0].kind at 50: length 65, limit 64");
  expect_fails(check(agent(bytes_field(2, "123")), {.nixl_metadata_bytes = 2}), ErrorCode::kCorrupt,
               "agents[0].blob at 50: length 3, limit 2");
  expect_corrupt(layout(bytes_field(16, "1234567")),
                 "layouts[0].addresses at 50: 7 bytes are no multiple of 8");
}

TEST(EnvelopeFields, KeepTheirCounts) {
  const WireLimits limits{
      .layouts = 1, .descriptors_per_layout = 2, .agents = 1, .required_features = 1};
  expect_fails(check(layout("") + layout(""), limits), ErrorCode::kCorrupt,
               "layouts at 50: 2 and more, limit 1");
  expect_fails(check(agent("") + agent(""), limits), ErrorCode::kCorrupt,
               "agents at 50: 2 and more, limit 1");
  expect_fails(check(bytes_field(8, "") + bytes_field(8, ""), limits), ErrorCode::kCorrupt,
               "required_features at 50: 2 and more, limit 1");
  const std::string two = fixed_field(16, 1) + fixed_field(16, 2);
  EXPECT_TRUE(check(layout(two), limits));
  expect_fails(check(layout(two + fixed_field(16, 3)), limits), ErrorCode::kCorrupt,
               "layouts[0].addresses at 70: 3 and more, limit 2");
  expect_fails(check(layout(bytes_field(17, std::string(24, '\0'))), limits), ErrorCode::kCorrupt,
               "layouts[0].sizes at 50: 3 and more, limit 2");
}

// Many empty layouts in few bytes are counted before anything is made of them.
TEST(EnvelopeFields, OfMoreLayoutsThanIdsAreRefused) {
  std::string body;
  for (int i = 0; i < 65'537; ++i) {
    body += layout("");
  }
  expect_corrupt(body, "layouts at 131120: 65537 and more, limit 65536");
}

TEST(EnvelopeFields, ThatAreNotKnownAreKeptAsTheyCame) {
  const std::string unknown = number_field(100, 1) + bytes_field(101, "later");
  const std::string wide = varint(102U << 3U) + "\x81\x80" + std::string(1, '\0');
  const std::string in_layout = fixed_field(20, 1);
  const std::string in_agent = varint(3U << 3U | 5U) + "1234";
  const auto found =
      check(unknown + agent("") + agent(in_agent) + layout(in_layout) + body_with(wide));
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(to_hex(found->worker), to_hex(bytes_of(unknown + wide)));
  ASSERT_EQ(found->agents.size(), 2U);
  EXPECT_TRUE(found->agents[0].empty());
  EXPECT_EQ(to_hex(found->agents[1]), to_hex(bytes_of(in_agent)));
  ASSERT_EQ(found->layouts.size(), 1U);
  EXPECT_EQ(to_hex(found->layouts[0]), to_hex(bytes_of(in_layout)));
}

TEST(EnvelopeFields, ThatArePutInMustNotBeKnown) {
  EXPECT_TRUE(check_unknown({}, BodyMessage::kWorker));
  EXPECT_TRUE(check_unknown(bytes_of(number_field(11, 1)), BodyMessage::kWorker));
  expect_fails(
      check_unknown(bytes_of(number_field(11, 1) + number_field(4, 9)), BodyMessage::kWorker),
      ErrorCode::kInvalidArgument, "unknown_fields at 2: field 4 is known, as generation");
  expect_fails(check_unknown(bytes_of(number_field(19, 1)), BodyMessage::kLayout),
               ErrorCode::kInvalidArgument,
               "unknown_fields at 0: field 19 is known, as guards_bytes");
  expect_fails(check_unknown(bytes_of("\xff"), BodyMessage::kAgent), ErrorCode::kInvalidArgument,
               "unknown_fields at 0: the message ends inside a number");
}

TEST(EnvelopeFields, NameTheFeaturesThatAreNotKnown) {
  const auto features = [](std::string_view body) {
    const Bytes bytes = bytes_of(body);
    return check_features({bytes, kOffset}, WireLimits{.required_features = 3});
  };
  EXPECT_TRUE(features(body_with("")));
  EXPECT_TRUE(features("\xff")) << "what is no message is for check_fields() to say";
  expect_fails(features(bytes_field(8, "groups")), ErrorCode::kIncompatible,
               "required_features: \"groups\" not known here");
  expect_fails(features(bytes_field(8, "a\n") + bytes_field(2, "w") + bytes_field(8, "b\xff")),
               ErrorCode::kIncompatible, "required_features: \"a\\u000a\", \"b\" not known here");
  std::string many;
  for (const char c : {'a', 'b', 'c', 'd'}) {
    many += bytes_field(8, std::string(1, c));
  }
  expect_fails(features(many), ErrorCode::kIncompatible,
               "required_features: \"a\", \"b\", \"c\" not known here");
}

TEST(EnvelopeFields, AreFoundAgainForAnError) {
  const Bytes bytes = bytes_of(
      number_field(4, 1) + agent("") + layout(number_field(1, 7)) +
      layout(number_field(1, 7) + number_field(4, 1) + number_field(4, 2)) + number_field(4, 2));
  const BodyBytes body{bytes, kOffset};
  EXPECT_EQ(at_place(body, {BodyMessage::kWorker, 0, 4}, "why"), "generation at 64: why");
  EXPECT_EQ(at_place(body, {BodyMessage::kWorker, 0, 2}, "why"), "name at 48: why");
  EXPECT_EQ(at_place(body, {BodyMessage::kAgent, 0, 1}, "why"), "agents[0].kind at 52: why");
  EXPECT_EQ(at_place(body, {BodyMessage::kLayout, 1, 4}, "why"), "layouts[1].access at 62: why");
  EXPECT_EQ(at_place(body, {BodyMessage::kLayout, 1, 2}, "why"), "layouts[1].storage at 58: why");
}

}  // namespace
}  // namespace kvferry::wire
