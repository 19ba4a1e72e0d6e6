// SPDX-License-Identifier: Apache-2.0
// Goal: packets are the bytes of docs/spec/shm.md, section 4; no bytes make a reader fail.
// Method: one packet written by hand; round trips; truncation at every length; forged fields.
#include "agent/shm_protocol.hpp"

#include <gtest/gtest.h>

#include "agent/unix_socket.hpp"
#include "kvferry/testing/matchers.hpp"

namespace kvferry::agent {
namespace {

using kvferry::testing::FailsWith;
using kvferry::testing::IsOk;
using Bytes = std::vector<std::byte>;

Bytes bytes_of(std::initializer_list<unsigned> values) {
  Bytes made;
  for (const unsigned value : values) {
    made.push_back(static_cast<std::byte>(value));
  }
  return made;
}

TEST(ShmProtocol, WritesTheSpecifiedPacket) {
  const Bytes body = encode_ids(std::vector<std::uint64_t>{0x0102});
  EXPECT_EQ(encode_packet({PacketType::kAsk, 5, body}),
            bytes_of({'V', 'K', 'S', 'P', 1, 0, 3, 0, 5, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0}));
}

TEST(ShmProtocol, RefusesEveryOtherHeader) {
  const Bytes good = encode_packet({PacketType::kWelcome, 1, {}});
  ASSERT_THAT(decode_packet(good), IsOk());
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_THAT(decode_packet(std::span{good}.first(size)),
                FailsWith(ErrorCode::kCorrupt, "header needs 12"));
  }
  const auto changed = [&good](std::size_t at, unsigned value) {
    Bytes made = good;
    made[at] = static_cast<std::byte>(value);
    return made;
  };
  EXPECT_THAT(decode_packet(changed(0, 'X')), FailsWith(ErrorCode::kCorrupt, "magic"));
  EXPECT_THAT(decode_packet(changed(4, 2)), FailsWith(ErrorCode::kCorrupt, "version 2 of 1"));
  EXPECT_THAT(decode_packet(changed(6, 0)), FailsWith(ErrorCode::kCorrupt, "type 0 of 7"));
  EXPECT_THAT(decode_packet(changed(6, 8)), FailsWith(ErrorCode::kCorrupt, "type 8 of 7"));
}

TEST(ShmProtocol, HelloRoundTripsAndIsBounded) {
  Hello hello;
  hello.instance[3] = std::byte{9};
  hello.name = std::string(255, 'n');
  const auto decoded = decode_hello(encode_hello(hello));
  ASSERT_THAT(decoded, IsOk());
  EXPECT_EQ(decoded->instance, hello.instance);
  EXPECT_EQ(decoded->name, hello.name);
  hello.name += 'n';
  EXPECT_THAT(decode_hello(encode_hello(hello)), FailsWith(ErrorCode::kCorrupt, "hello of 272"));
  EXPECT_THAT(decode_hello(Bytes(16)), FailsWith(ErrorCode::kCorrupt, "hello of 16"));
  EXPECT_THAT(decode_hello({}), FailsWith(ErrorCode::kCorrupt, "hello of 0"));
}

TEST(ShmProtocol, IdsRoundTripAndAreBounded) {
  const std::vector<std::uint64_t> ids(kDescriptorsPerPacketMax, 77);
  EXPECT_EQ(*decode_ids(encode_ids(ids)), ids);
  const Bytes more = encode_ids(std::vector<std::uint64_t>(kDescriptorsPerPacketMax + 1));
  EXPECT_THAT(decode_ids(more), FailsWith(ErrorCode::kCorrupt, "at most 64 of 8"));
  EXPECT_THAT(decode_ids({}), FailsWith(ErrorCode::kCorrupt, "ids of 0 bytes"));
  EXPECT_THAT(decode_ids(Bytes(12)), FailsWith(ErrorCode::kCorrupt, "ids of 12 bytes"));
}

TEST(ShmProtocol, ErrorsRoundTripAndForgedOnesAreCorrupt) {
  const Error error{ErrorCode::kBusy, "256 of 256"};
  EXPECT_EQ(decode_error(encode_error(error)), error);
  EXPECT_EQ(decode_error({}).code, ErrorCode::kCorrupt);
  EXPECT_EQ(decode_error(bytes_of({0, 0})).code, ErrorCode::kCorrupt);
  EXPECT_EQ(decode_error(bytes_of({11, 0})).code, ErrorCode::kCorrupt);
  EXPECT_EQ(decode_error(bytes_of({10, 0})), (Error{ErrorCode::kWrongBytes, ""}));
}

}  // namespace
}  // namespace kvferry::agent
