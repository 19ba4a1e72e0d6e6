// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kvferry/base/result.hpp"
#include "kvferry/memory/memory.hpp"

namespace kvferry::agent {

// The numbers of the socket's packets: docs/spec/shm.md, section 4.
inline constexpr std::uint32_t kPacketMagic = 0x50534B56;  // "VKSP"
inline constexpr std::uint16_t kPacketVersion = 1;
inline constexpr std::size_t kPacketHeaderBytes = 12;
inline constexpr std::size_t kNotificationBytesMax = std::size_t{128} << 10U;
inline constexpr std::size_t kPacketBytesMax = kPacketHeaderBytes + kNotificationBytesMax;

enum class PacketType : std::uint16_t {
  kHello = 1,     ///< caller: the instance it means to call, its own name
  kWelcome = 2,   ///< answer: nothing
  kAsk = 3,       ///< caller: ids of memories
  kMemories = 4,  ///< answer: nothing, but a file for each id, in the same order
  kNotify = 5,    ///< caller: a message
  kAccepted = 6,  ///< answer: nothing
  kError = 7,     ///< answer: code and message
};

struct Packet {
  PacketType type{PacketType::kError};
  std::uint32_t sequence{0};  ///< of the question; an answer repeats it
  std::span<const std::byte> body;
};

struct Hello {
  memory::Nonce instance{};
  std::string name;
};

[[nodiscard]] std::vector<std::byte> encode_packet(const Packet& packet);
[[nodiscard]] std::vector<std::byte> encode_hello(const Hello& hello);
[[nodiscard]] std::vector<std::byte> encode_ids(std::span<const std::uint64_t> ids);
[[nodiscard]] std::vector<std::byte> encode_error(const Error& error);

// All total. Errors: kCorrupt naming the field.
[[nodiscard]] Result<Packet> decode_packet(std::span<const std::byte> bytes);
[[nodiscard]] Result<Hello> decode_hello(std::span<const std::byte> body);
[[nodiscard]] Result<std::vector<std::uint64_t>> decode_ids(std::span<const std::byte> body);
/// The error that a peer sent; kCorrupt when even that does not decode.
[[nodiscard]] Error decode_error(std::span<const std::byte> body);

}  // namespace kvferry::agent
