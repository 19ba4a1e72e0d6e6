// SPDX-License-Identifier: Apache-2.0
// Goal: the frame of an envelope is taken off exactly as written or refused by name, and a
// signature goes around exactly the body. Method: frames written byte by byte with a right
// checksum, one part of each wrong.
#include "wire/envelope_frame.hpp"

#include <algorithm>

#include "envelopes.hpp"
#include "kvferry/wire/serialized_layout.hpp"

namespace kvferry::wire {
namespace {

using samples::Bytes;
using samples::bytes_of;
using samples::expect_fails;
using samples::Frame;
using samples::to_hex;

void expect_corrupt(const Frame& frame, std::string_view message) {
  expect_fails(open_envelope(frame.bytes()), ErrorCode::kCorrupt, message);
}

EnvelopeSignature signature_of(std::byte first) {
  EnvelopeSignature signature;
  signature.public_key.fill(first);
  signature.signature.fill(static_cast<std::byte>(std::to_integer<int>(first) + 1));
  return signature;
}

TEST(EnvelopeFrame, IsWhatTheSpecificationSays) {
  const Bytes body = bytes_of("any bytes");
  EXPECT_EQ(to_hex(frame_body(body)), to_hex(Frame{.body = "any bytes"}.bytes()));
  EXPECT_EQ(to_hex(frame_body({})), to_hex(Frame{}.bytes()));
}

TEST(EnvelopeFrame, GivesBackTheBodyWithoutACopy) {
  const Bytes bytes = Frame{.body = "any bytes"}.bytes();
  const auto opened = open_envelope(bytes);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->body.data(), bytes.data() + 48);
  EXPECT_EQ(opened->body.size(), 9U);
  EXPECT_FALSE(opened->signature);
  EXPECT_EQ(body_offset(bytes), 48U);
}

TEST(EnvelopeFrame, OfALaterVersionIsReadWhenItSaysSo) {
  const Bytes bytes =
      Frame{.version = 255, .header_bytes = 51, .more_header = "abc", .body = "any"}.bytes();
  const auto opened = open_envelope(bytes);
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->body.data(), bytes.data() + 51);
  EXPECT_EQ(body_offset(bytes), 51U);
  Bytes changed = bytes;
  changed[49] = std::byte{'x'};
  expect_fails(open_envelope(changed), ErrorCode::kCorrupt,
               "checksum at 24: not that of the 38 bytes it covers");
}

TEST(EnvelopeFrame, OfOnlyNewerReadersIsIncompatible) {
  expect_fails(open_envelope(Frame{.version = 3, .reader_min = 2}.bytes()),
               ErrorCode::kIncompatible,
               "reader_min at 6: for readers of version 2 and newer, this is 1");
}

TEST(EnvelopeFrame, OfAnUnknownKindOfSignatureIsIncompatible) {
  for (const std::uint64_t kind : {2UL, 65'535UL}) {
    expect_fails(
        open_envelope(Frame{.signature_kind = kind, .trailer = "??"}.bytes()),
        ErrorCode::kIncompatible,
        "signature_kind at 10: " + std::to_string(kind) + " is not known here, 0 and 1 are");
  }
}

TEST(EnvelopeFrame, RefusesWhatIsTooShortOrTooLong) {
  expect_fails(open_envelope({}), ErrorCode::kCorrupt, "header at 0: 0 bytes of 48");
  const Bytes bytes = Frame{.body = "any"}.bytes();
  expect_fails(open_envelope(std::span{bytes}.first(47)), ErrorCode::kCorrupt,
               "header at 0: 47 bytes of 48");
  expect_fails(open_envelope(bytes, {.message_bytes = 50}), ErrorCode::kCorrupt,
               "message at 0: 51 bytes, limit 50");
  EXPECT_TRUE(open_envelope(bytes, {.message_bytes = 51}));
}

TEST(EnvelopeFrame, RefusesWhatItsHeaderCannotSay) {
  expect_corrupt({.magic = "KVFX"}, "magic at 0: 0x5846564b is not KVFY");
  expect_corrupt({.version = 0}, "version at 4: 0 is not 1 to 255");
  expect_corrupt({.version = 256}, "version at 4: 256 is not 1 to 255");
  expect_corrupt({.reader_min = 0}, "reader_min at 6: 0 is not 1 to the version, 1");
  expect_corrupt({.reader_min = 2}, "reader_min at 6: 2 is not 1 to the version, 1");
  expect_corrupt({.header_bytes = 47}, "header_bytes at 8: 47 is not 48 to 48");
  expect_corrupt({.header_bytes = 49}, "header_bytes at 8: 49 is not 48 to 48");
  expect_corrupt({.reserved = 1}, "reserved at 12 and 40: not zero");
  expect_corrupt({.reserved_too = 1}, "reserved at 12 and 40: not zero");
}

TEST(EnvelopeFrame, RefusesABodyThatDoesNotFit) {
  expect_corrupt({.body_bytes = 4, .body = "any"}, "body_bytes at 16: 4 of 3 left");
  expect_corrupt({.body_bytes = ~std::uint64_t{0}, .body = "any"},
                 "body_bytes at 16: 18446744073709551615 of 3 left");
  expect_corrupt({.body = "any", .trailer = "more"},
                 "message at 51: 4 bytes after the body, signature kind 0 has 0");
  expect_corrupt({.signature_kind = 1, .body = "any", .trailer = std::string(95, 's')},
                 "message at 51: 95 bytes after the body, signature kind 1 has 96");
  expect_corrupt({.signature_kind = 1, .body = "any", .trailer = std::string(97, 's')},
                 "message at 51: 97 bytes after the body, signature kind 1 has 96");
}

TEST(EnvelopeFrame, RefusesAWrongChecksum) {
  Bytes bytes = Frame{.body = "any"}.bytes();
  bytes.back() = std::byte{'x'};
  expect_fails(open_envelope(bytes), ErrorCode::kCorrupt,
               "checksum at 24: not that of the 35 bytes it covers");
}

TEST(EnvelopeFrame, TakesASignatureAndAnother) {
  const Bytes bytes = Frame{.body = "any"}.bytes();
  const auto once = with_signature(bytes, signature_of(std::byte{1}));
  ASSERT_TRUE(once);
  EXPECT_EQ(to_hex(*once), to_hex(Frame{.signature_kind = 1,
                                        .body = "any",
                                        .trailer = std::string(32, '\1') + std::string(64, '\2')}
                                      .bytes()));
  const auto twice = with_signature(*once, signature_of(std::byte{3}));
  ASSERT_TRUE(twice);
  EXPECT_EQ(twice->size(), once->size());
  const auto opened = open_envelope(*twice);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->signature, signature_of(std::byte{3}));
  EXPECT_EQ(to_hex(opened->body), to_hex(bytes_of("any")));
}

TEST(EnvelopeFrame, KeepsTheHeaderOfANewerWriterWhenSigned) {
  const Frame newer{.version = 2, .header_bytes = 52, .more_header = "abcd", .body = "any"};
  const auto signed_bytes = with_signature(newer.bytes(), signature_of(std::byte{1}));
  ASSERT_TRUE(signed_bytes);
  const auto opened = open_envelope(*signed_bytes);
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(to_hex(opened->body), to_hex(bytes_of("any")));
  EXPECT_EQ(to_hex(std::span{*signed_bytes}.subspan(48, 4)), to_hex(bytes_of("abcd")));
}

TEST(EnvelopeFrame, WhatIsNoEnvelopeCannotBeSigned) {
  expect_fails(with_signature(bytes_of("KVFY"), {}), ErrorCode::kCorrupt,
               "header at 0: 4 bytes of 48");
}

TEST(EnvelopeFrame, IsKnownByItsFirstBytes) {
  EXPECT_TRUE(is_envelope(Frame{}.bytes()));
  EXPECT_TRUE(is_envelope(bytes_of("KVFY")));
  EXPECT_FALSE(is_envelope(bytes_of("KVF")));
  EXPECT_FALSE(is_envelope(bytes_of("KVFX")));
  EXPECT_FALSE(is_envelope({}));
}

// Worker 75 whose name has 86 bytes and begins with "FY" begins with the same four bytes.
TEST(EnvelopeFrame, IsNotAMessageOfFormatAThatBeginsAlike) {
  const std::string name = "FY" + std::string(84, 'x');
  const auto message = SerializedLayout::pack({WorkerId{75}, name}, {}, {});
  ASSERT_TRUE(message);
  ASSERT_EQ(to_hex(message->as_bytes().first(4)), to_hex(bytes_of("KVFY")));
  EXPECT_FALSE(is_envelope(message->as_bytes()));
}

}  // namespace
}  // namespace kvferry::wire
