// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kvferry/base/access.hpp"
#include "kvferry/base/result.hpp"
#include "kvferry/memory/memory.hpp"

namespace kvferry::agent {

// The numbers of the blob: docs/spec/shm.md, section 2.
inline constexpr std::array<char, 8> kBlobMagic{'K', 'V', 'F', 'Y', 'S', 'H', 'M', '\0'};
inline constexpr std::uint16_t kBlobVersion = 1;
inline constexpr std::size_t kBlobHeaderBytes = 16;
inline constexpr std::size_t kBlobSectionHeaderBytes = 8;
inline constexpr std::size_t kBlobChecksumBytes = 8;
inline constexpr std::size_t kBlobProcessBytes = 40;
inline constexpr std::size_t kBlobMemoriesHeaderBytes = 8;
inline constexpr std::size_t kBlobMemoryBytes = 56;
inline constexpr std::uint16_t kBlobSectionRequired = 1;  ///< flag: who does not know it refuses
inline constexpr std::size_t kAgentNameBytesMax = 255;
inline constexpr std::size_t kSocketPathBytesMax = 107;  ///< sun_path without its final zero

enum class BlobSection : std::uint16_t { kProcess = 1, kName = 2, kSocket = 3, kMemories = 4 };

/// How a memory of a peer is reached.
enum class MemoryKind : std::uint8_t {
  kSharedFile = 1,  ///< by mapping its file
  kProcess = 2,     ///< by process_vm_readv
};

struct BlobMemory {
  std::uint64_t id{0};
  std::uint64_t address{0};  ///< in the owner
  std::uint64_t size_bytes{0};
  Access access{Access::kRead};
  MemoryKind kind{MemoryKind::kSharedFile};
  std::uint64_t control{0};  ///< offset of the control page, or address of the nonce in the owner
  memory::Nonce nonce{};

  friend bool operator==(const BlobMemory&, const BlobMemory&) = default;
};

/// What a ShmAgent tells of itself.
struct ShmBlob {
  std::string name;
  std::string socket_path;
  memory::Nonce instance{};          ///< drawn when the agent was made
  std::array<std::byte, 16> boot{};  ///< boot id of the machine: a hint, not a proof
  std::uint32_t user{0};
  std::uint32_t process{0};          ///< as the owner sees itself
  std::vector<BlobMemory> memories;  ///< ascending by id

  friend bool operator==(const ShmBlob&, const ShmBlob&) = default;
};

[[nodiscard]] std::vector<std::byte> encode_blob(const ShmBlob& blob);

/// Reads a blob with at most `memory_count_max` memories. Total: any bytes give a blob or an error.
///
/// Errors: kCorrupt naming the field, its offset, its value and its bound.
[[nodiscard]] Result<ShmBlob> decode_blob(std::span<const std::byte> bytes,
                                          std::size_t memory_count_max);

}  // namespace kvferry::agent
