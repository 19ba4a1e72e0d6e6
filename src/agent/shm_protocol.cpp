// SPDX-License-Identifier: Apache-2.0
#include "agent/shm_protocol.hpp"

#include <utility>

#include "agent/shm_blob.hpp"
#include "agent/unix_socket.hpp"
#include "base/bytes.hpp"

namespace kvferry::agent {
namespace {

Error corrupt(std::string message) { return Error{ErrorCode::kCorrupt, std::move(message)}; }

constexpr std::uint16_t kErrorCodeMax = static_cast<std::uint16_t>(ErrorCode::kWrongBytes);

}  // namespace

std::vector<std::byte> encode_packet(const Packet& packet) {
  ByteWriter out;
  out.number(kPacketMagic);
  out.number(kPacketVersion);
  out.number(static_cast<std::uint16_t>(packet.type));
  out.number(packet.sequence);
  out.raw(packet.body);
  return std::move(out).take();
}

std::vector<std::byte> encode_hello(const Hello& hello) {
  ByteWriter out;
  out.raw(hello.instance);
  out.text(hello.name);
  return std::move(out).take();
}

std::vector<std::byte> encode_ids(std::span<const std::uint64_t> ids) {
  ByteWriter out;
  for (const std::uint64_t id : ids) {
    out.number(id);
  }
  return std::move(out).take();
}

std::vector<std::byte> encode_error(const Error& error) {
  ByteWriter out;
  out.number(static_cast<std::uint16_t>(error.code));
  out.text(error.message);
  return std::move(out).take();
}

Result<Packet> decode_packet(std::span<const std::byte> bytes) {
  ByteReader in{bytes};
  const auto magic = in.number<std::uint32_t>();
  const auto version = in.number<std::uint16_t>();
  const auto type = in.number<std::uint16_t>();
  const auto sequence = in.number<std::uint32_t>();
  if (!sequence) {
    return corrupt("packet of " + std::to_string(bytes.size()) + " bytes, header needs " +
                   std::to_string(kPacketHeaderBytes));
  }
  if (*magic != kPacketMagic) {
    return corrupt("packet magic differs");
  }
  if (*version != kPacketVersion) {
    return corrupt("packet version " + std::to_string(*version) + " of " +
                   std::to_string(kPacketVersion));
  }
  constexpr auto kLast = static_cast<std::uint16_t>(PacketType::kError);
  if (*type == 0 || *type > kLast) {
    return corrupt("packet type " + std::to_string(*type) + " of " + std::to_string(kLast));
  }
  return Packet{static_cast<PacketType>(*type), *sequence, *in.raw(in.left())};
}

Result<Hello> decode_hello(std::span<const std::byte> body) {
  ByteReader in{body};
  Hello hello;
  if (!in.fill(hello.instance) || in.left() == 0 || in.left() > kAgentNameBytesMax) {
    return corrupt("hello of " + std::to_string(body.size()) + " bytes");
  }
  hello.name = as_text(*in.raw(in.left()));
  return hello;
}

Result<std::vector<std::uint64_t>> decode_ids(std::span<const std::byte> body) {
  const std::size_t count = body.size() / sizeof(std::uint64_t);
  if (count == 0 || count > kDescriptorsPerPacketMax || body.size() % sizeof(std::uint64_t) != 0) {
    return corrupt("ids of " + std::to_string(body.size()) + " bytes, at most " +
                   std::to_string(kDescriptorsPerPacketMax) + " of 8");
  }
  ByteReader in{body};
  std::vector<std::uint64_t> ids;
  ids.reserve(count);
  while (in.left() > 0) {
    ids.push_back(*in.number<std::uint64_t>());
  }
  return ids;
}

Error decode_error(std::span<const std::byte> body) {
  ByteReader in{body};
  const auto code = in.number<std::uint16_t>();
  if (!code || *code == 0 || *code > kErrorCodeMax) {
    return corrupt("an error that does not decode");
  }
  return Error{static_cast<ErrorCode>(*code), std::string{as_text(*in.raw(in.left()))}};
}

}  // namespace kvferry::agent
