// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "kvferry/base/result.hpp"
#include "kvferry/base/storage_kind.hpp"

namespace kvferry::memory {

/// Alignment of allocated memory, and of the regions cut from it: a page, which direct file I/O
/// accepts everywhere.
inline constexpr std::uint64_t kAlignmentBytes = 4096;

/// Random bytes that prove that a mapping is the memory it is said to be.
using Nonce = std::array<std::byte, 16>;

/// How memory can be mapped by another process: an open file whose first bytes are the memory's,
/// followed by a control page that begins with a nonce (docs/spec/shm.md, section 3).
struct SharedFile {
  int descriptor{-1};               ///< owned by the memory
  std::uint64_t file_bytes{0};      ///< memory, rounded up to pages, and the control page
  std::uint64_t control_offset{0};  ///< of the control page
  Nonce nonce{};
};

/// A range of memory that stays where it is as long as this object lives.
///
/// Threads: any, all methods; the bytes themselves are the caller's to synchronize.
class Memory {
 public:
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  virtual ~Memory() = default;

  [[nodiscard]] virtual std::span<std::byte> bytes() const noexcept = 0;
  [[nodiscard]] virtual StorageKind storage_kind() const noexcept = 0;

  /// The file behind it, or null where there is none that others could map.
  [[nodiscard]] virtual const SharedFile* shared_file() const noexcept = 0;

  /// Makes it impossible, for good, for anybody to make a new writable mapping of the shared file.
  ///
  /// Errors: kUnavailable when the kernel refuses; nothing to do and fine without a shared file.
  [[nodiscard]] virtual Result<void> seal_against_writers() const = 0;

  /// Whether seal_against_writers() was called.
  [[nodiscard]] virtual bool sealed_against_writers() const noexcept = 0;

 protected:
  Memory() = default;
};

// Shared: a physical layout, the agent it is registered with and every transfer in flight keep
// memory alive; any of them may be the last.
using MemoryPtr = std::shared_ptr<const Memory>;

/// Allocates zeroed system memory, aligned to kAlignmentBytes, in a memfd sealed against growing
/// and shrinking, so that workers on this machine can map it. Forked children do not inherit it.
///
/// Errors: kInvalidArgument for 0 bytes or a size that does not fit; kUnavailable when the system
///         has not got it, with the cause.
[[nodiscard]] Result<MemoryPtr> allocate_system(std::uint64_t size_bytes);

/// Takes memory of the caller as it is: neither zeroed, nor freed, nor shareable by mapping.
///
/// Errors:   kInvalidArgument for an empty range.
/// Lifetime: the bytes outlive the result; `keep_alive`, if any, is held as long.
[[nodiscard]] Result<MemoryPtr> adopt(std::span<std::byte> bytes,
                                      std::shared_ptr<const void> keep_alive = nullptr);

}  // namespace kvferry::memory
