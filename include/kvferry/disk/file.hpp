// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "kvferry/base/result.hpp"

namespace kvferry::disk {

/// Whether reads and writes go past the page cache (O_DIRECT).
enum class Direct : std::uint8_t {
  kAuto,  ///< where the file system takes it
  kNever,
  kAlways,  ///< or the file is refused
};

struct FileOptions {
  /// A regular file. It is made, for its user only, when it is not there; one that is there is
  /// empty or has exactly the size that is needed, as one from before has. It is never deleted.
  std::string path{};
  Direct direct{Direct::kAuto};
};

/// What was had of a file, and why not more.
struct FileFacts {
  std::uint64_t direct_alignment{0};   ///< of offsets, lengths and addresses; 0: not direct
  std::string why_not_direct{};        ///< empty where it is direct
  std::string why_not_preallocated{};  ///< empty where its space is reserved
};

/// A file of a fixed size in which blocks lie, for one worker at a time.
///
/// Threads: immutable; its bytes are the caller's to synchronize.
class File {
 public:
  /// Opens or makes the file, locks it against other workers, sees to its size and its space.
  ///
  /// Errors: kInvalidArgument for no path or no bytes; kRefused for what is no regular file, has
  ///         another size, or cannot be direct though it has to; kBusy when another worker has it
  ///         or the disk has no room; kUnavailable when the system refuses, with the cause. A file
  ///         that was made is removed then; one that was there is as it was.
  [[nodiscard]] static Result<std::shared_ptr<const File>> open(const FileOptions& options,
                                                                std::uint64_t size_bytes);
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File();

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] std::uint64_t size_bytes() const noexcept { return size_bytes_; }
  [[nodiscard]] const FileFacts& facts() const noexcept { return facts_; }

  /// Through the page cache, for any offset and length.
  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }
  /// Past it, for what is aligned; -1 where there is none.
  [[nodiscard]] int direct_descriptor() const noexcept { return direct_descriptor_; }

 private:
  File() = default;

  std::string path_;
  std::uint64_t size_bytes_{0};
  FileFacts facts_;
  int descriptor_{-1};
  int direct_descriptor_{-1};
};

// Shared: layouts that lie in it and transfers in flight.
using FilePtr = std::shared_ptr<const File>;

}  // namespace kvferry::disk
