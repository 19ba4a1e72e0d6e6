// SPDX-License-Identifier: Apache-2.0
#include "agent/shm_blob.hpp"

#include <xxhash.h>

#include <bitset>
#include <string_view>
#include <utility>

#include "base/bytes.hpp"
#include "kvferry/base/checked.hpp"
#include "kvferry/base/try.hpp"
#include "memory/control_page.hpp"

namespace kvferry::agent {
namespace {

constexpr std::size_t kKnownSections = 4;

std::uint64_t checksum(std::span<const std::byte> bytes) noexcept {
  return XXH3_64bits(bytes.data(), bytes.size());
}

void put_section(ByteWriter& out, BlobSection section, std::span<const std::byte> payload) {
  out.number(static_cast<std::uint16_t>(section));
  out.number(kBlobSectionRequired);
  out.number(static_cast<std::uint32_t>(payload.size()));
  out.raw(payload);
}

std::vector<std::byte> process_section(const ShmBlob& blob) {
  ByteWriter out;
  out.raw(blob.instance);
  out.raw(blob.boot);
  out.number(blob.user);
  out.number(blob.process);
  return std::move(out).take();
}

std::vector<std::byte> memories_section(const ShmBlob& blob) {
  ByteWriter out;
  out.number(static_cast<std::uint32_t>(blob.memories.size()));
  out.number(static_cast<std::uint32_t>(kBlobMemoryBytes));
  for (const BlobMemory& memory : blob.memories) {
    out.number(memory.id);
    out.number(memory.address);
    out.number(memory.size_bytes);
    out.number(static_cast<std::uint8_t>(memory.access));
    out.number(static_cast<std::uint8_t>(memory.kind));
    out.raw(std::array<std::byte, 6>{});
    out.number(memory.control);
    out.raw(memory.nonce);
  }
  return std::move(out).take();
}

Error corrupt(std::string_view field, std::size_t at, std::string_view what) {
  return Error{ErrorCode::kCorrupt,
               std::string{field} + " at " + std::to_string(at) + ": " + std::string{what}};
}

std::string of(std::uint64_t value, std::uint64_t bound) {
  return std::to_string(value) + " of " + std::to_string(bound);
}

/// Reads one blob. Offsets in errors are counted from its start.
class Decoder {
 public:
  Decoder(std::span<const std::byte> bytes, std::size_t memory_count_max)
      : bytes_{bytes}, memory_count_max_{memory_count_max} {}

  Result<ShmBlob> decode() {
    KVFERRY_RETURN_IF_ERROR(read_frame());
    ByteReader sections{bytes_.first(bytes_.size() - kBlobChecksumBytes)};
    (void)sections.raw(kBlobHeaderBytes);
    while (sections.left() > 0) {
      KVFERRY_RETURN_IF_ERROR(read_section(sections));
    }
    for (std::size_t section = 1; section <= kKnownSections; ++section) {
      if (!seen_[section]) {
        return corrupt("section " + std::to_string(section), bytes_.size(), "is missing");
      }
    }
    return std::move(blob_);
  }

 private:
  /// Magic, versions, length and checksum: nothing else is looked at before these are right.
  Result<void> read_frame() {
    constexpr std::size_t kLeast = kBlobHeaderBytes + kBlobChecksumBytes;
    if (bytes_.size() < kLeast) {
      return corrupt(
          "header", 0,
          "need " + std::to_string(kLeast) + " bytes, have " + std::to_string(bytes_.size()));
    }
    ByteReader header{bytes_};
    if (as_text(*header.raw(kBlobMagic.size())) !=
        std::string_view{kBlobMagic.data(), kBlobMagic.size()}) {
      return corrupt("magic", 0, "is not that of a shared-memory agent");
    }
    (void)header.number<std::uint16_t>();  // The writer's version: the next one decides.
    if (const auto lowest = *header.number<std::uint16_t>(); lowest > kBlobVersion) {
      return corrupt("lowest reader version", 10, of(lowest, kBlobVersion));
    }
    if (const auto length = *header.number<std::uint32_t>(); length != bytes_.size()) {
      return corrupt("length", 12, of(length, bytes_.size()));
    }
    const std::size_t end = bytes_.size() - kBlobChecksumBytes;
    ByteReader tail{bytes_.subspan(end)};
    if (*tail.number<std::uint64_t>() != checksum(bytes_.first(end))) {
      return corrupt("checksum", end, "differs");
    }
    return {};
  }

  Result<void> read_section(ByteReader& sections) {
    const std::size_t at = sections.at();
    const auto kind = sections.number<std::uint16_t>();
    const auto flags = sections.number<std::uint16_t>();
    const auto size = sections.number<std::uint32_t>();
    if (!size) {
      return corrupt("section header", at, "is cut");
    }
    const auto payload = sections.raw(*size);
    if (!payload) {
      return corrupt("section length", at + 4, of(*size, sections.left()) + " left");
    }
    if (*kind == 0 || *kind > kKnownSections) {
      return (*flags & kBlobSectionRequired) == 0
                 ? Result<void>{}
                 : corrupt("section kind", at, std::to_string(*kind) + " is required and unknown");
    }
    if (seen_[*kind]) {
      return corrupt("section kind", at, std::to_string(*kind) + " is there twice");
    }
    seen_[*kind] = true;
    start_ = at + kBlobSectionHeaderBytes;
    switch (static_cast<BlobSection>(*kind)) {
      case BlobSection::kProcess: return read_process(*payload);
      case BlobSection::kName: return read_text("name", *payload, kAgentNameBytesMax, blob_.name);
      case BlobSection::kSocket:
        return read_text("socket path", *payload, kSocketPathBytesMax, blob_.socket_path);
      case BlobSection::kMemories: return read_memories(*payload);
    }
    return {};
  }

  Result<void> read_process(std::span<const std::byte> payload) {
    ByteReader in{payload};
    if (payload.size() < kBlobProcessBytes) {
      return corrupt("process section", start_, of(payload.size(), kBlobProcessBytes) + " bytes");
    }
    (void)in.fill(blob_.instance);
    (void)in.fill(blob_.boot);
    blob_.user = *in.number<std::uint32_t>();
    blob_.process = *in.number<std::uint32_t>();
    return {};
  }

  Result<void> read_text(std::string_view field, std::span<const std::byte> payload,
                         std::size_t bytes_max, std::string& out) const {
    if (payload.empty() || payload.size() > bytes_max) {
      return corrupt(field, start_, of(payload.size(), bytes_max) + " bytes");
    }
    out = as_text(payload);
    if (out.find('\0') != std::string::npos) {
      return corrupt(field, start_ + out.find('\0'), "holds a zero byte");
    }
    return {};
  }

  Result<void> read_memories(std::span<const std::byte> payload) {
    ByteReader in{payload};
    const auto count = in.number<std::uint32_t>();
    const auto entry_bytes = in.number<std::uint32_t>();
    if (!entry_bytes) {
      return corrupt("memories section", start_, "is cut");
    }
    if (*count > memory_count_max_) {
      return corrupt("memory count", start_, of(*count, memory_count_max_));
    }
    if (*entry_bytes < kBlobMemoryBytes) {
      return corrupt("memory entry size", start_ + 4, of(*entry_bytes, kBlobMemoryBytes));
    }
    if (in.left() != std::uint64_t{*count} * *entry_bytes) {
      return corrupt("memory count", start_,
                     std::to_string(*count) + " entries of " + std::to_string(*entry_bytes) +
                         " bytes, " + std::to_string(in.left()) + " left");
    }
    blob_.memories.reserve(*count);
    for (std::uint32_t index = 0; index < *count; ++index) {
      const std::size_t at = start_ + in.at();
      KVFERRY_ASSIGN_OR_RETURN(const BlobMemory memory, read_memory(*in.raw(*entry_bytes), at));
      if (!blob_.memories.empty() && memory.id <= blob_.memories.back().id) {
        return corrupt("memory id", at,
                       std::to_string(memory.id) + " does not follow " +
                           std::to_string(blob_.memories.back().id));
      }
      blob_.memories.push_back(memory);
    }
    return {};
  }

  static Result<BlobMemory> read_memory(std::span<const std::byte> entry, std::size_t at) {
    ByteReader in{entry};
    BlobMemory memory;
    memory.id = *in.number<std::uint64_t>();
    memory.address = *in.number<std::uint64_t>();
    memory.size_bytes = *in.number<std::uint64_t>();
    const auto access = *in.number<std::uint8_t>();
    const auto kind = *in.number<std::uint8_t>();
    (void)in.raw(6);
    memory.control = *in.number<std::uint64_t>();
    (void)in.fill(memory.nonce);

    if (memory.size_bytes == 0 || !checked_add(memory.address, memory.size_bytes)) {
      return corrupt(
          "memory size", at + 16,
          std::to_string(memory.size_bytes) + " at address " + std::to_string(memory.address));
    }
    if (access != static_cast<std::uint8_t>(Access::kRead) &&
        access != static_cast<std::uint8_t>(Access::kReadWrite)) {
      return corrupt("memory access", at + 24, of(access, 2));
    }
    memory.access = static_cast<Access>(access);
    if (kind == static_cast<std::uint8_t>(MemoryKind::kSharedFile)) {
      if (memory.control % memory::kControlPageBytes != 0 || memory.control < memory.size_bytes ||
          !checked_add(memory.control, std::uint64_t{memory::kControlPageBytes})) {
        return corrupt("control offset", at + 32,
                       std::to_string(memory.control) + " behind a memory of " +
                           std::to_string(memory.size_bytes));
      }
    } else if (kind == static_cast<std::uint8_t>(MemoryKind::kProcess)) {
      if (memory.access != Access::kRead || memory.control == 0) {
        return corrupt("memory kind", at + 25, "memory of a process can only be read");
      }
    } else {
      return corrupt("memory kind", at + 25, of(kind, 2));
    }
    memory.kind = static_cast<MemoryKind>(kind);
    return memory;
  }

  std::span<const std::byte> bytes_;
  std::size_t memory_count_max_;
  std::size_t start_{0};  ///< of the payload being read
  std::bitset<kKnownSections + 1> seen_;
  ShmBlob blob_;
};

}  // namespace

std::vector<std::byte> encode_blob(const ShmBlob& blob) {
  ByteWriter body;
  put_section(body, BlobSection::kProcess, process_section(blob));
  put_section(body, BlobSection::kName, std::as_bytes(std::span{blob.name}));
  put_section(body, BlobSection::kSocket, std::as_bytes(std::span{blob.socket_path}));
  put_section(body, BlobSection::kMemories, memories_section(blob));

  ByteWriter out;
  out.text({kBlobMagic.data(), kBlobMagic.size()});
  out.number(kBlobVersion);
  out.number(kBlobVersion);
  out.number(
      static_cast<std::uint32_t>(kBlobHeaderBytes + body.bytes().size() + kBlobChecksumBytes));
  out.raw(body.bytes());
  out.number(checksum(out.bytes()));
  return std::move(out).take();
}

Result<ShmBlob> decode_blob(std::span<const std::byte> bytes, std::size_t memory_count_max) {
  return Decoder{bytes, memory_count_max}.decode();
}

}  // namespace kvferry::agent
