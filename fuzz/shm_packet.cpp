// SPDX-License-Identifier: Apache-2.0
// Any bytes are a packet, and any body a hello, ids or an error, or refused with kCorrupt; what is
// read is written back as the same bytes. The input is looked at as a packet and as a body.
#include <algorithm>

#include "agent/shm_protocol.hpp"
#include "fuzz/fuzz.hpp"

namespace kvferry::fuzz {
namespace {

using Bytes = std::span<const std::byte>;

void is_corrupt(const Error& error) {
  must(error.code == ErrorCode::kCorrupt && !error.message.empty(), "a refusal is kCorrupt");
}

void check_body(Bytes body) {
  if (const auto hello = agent::decode_hello(body)) {
    must(!hello->name.empty(), "who says hello has a name");
    must(std::ranges::equal(agent::encode_hello(*hello), body), "a hello is written back");
  } else {
    is_corrupt(hello.error());
  }
  if (const auto ids = agent::decode_ids(body)) {
    must(!ids->empty(), "who asks wants something");
    must(std::ranges::equal(agent::encode_ids(*ids), body), "ids are written back");
  } else {
    is_corrupt(ids.error());
  }
  const Error error = agent::decode_error(body);
  if (!std::ranges::equal(agent::encode_error(error), body)) {
    is_corrupt(error);
  }
}

}  // namespace

void one_input(Bytes input) {
  check_body(input);
  const auto packet = agent::decode_packet(input);
  if (!packet) {
    is_corrupt(packet.error());
    return;
  }
  must(std::ranges::equal(agent::encode_packet(*packet), input), "a packet is written back");
  check_body(packet->body);
}

}  // namespace kvferry::fuzz
