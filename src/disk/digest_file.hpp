// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/digest.hpp"
#include "base/mutex.hpp"
#include "base/unique_fd.hpp"
#include "kvferry/base/result.hpp"

namespace kvferry::disk {

/// The digests of what a file holds, in a file beside it, so that whoever reads it later can tell.
/// Each is there whole or not at all: one that was torn, or is of bytes that are being written, is
/// none.
///
/// Threads: any.
/// Source:  docs/spec/digests.md, section 2.
class DigestFile {
 public:
  /// Reads what is there of `count` digests about `subject`; none where that is something else. The
  /// file itself is made by the first put().
  ///
  /// Errors: kRefused for a file of something else; kUnavailable when the system refuses, with the
  ///         cause.
  [[nodiscard]] static Result<std::shared_ptr<DigestFile>> open(const std::string& path,
                                                                const Digest& subject,
                                                                std::uint64_t count);

  [[nodiscard]] const std::string& path() const noexcept { return path_; }

  [[nodiscard]] std::optional<Digest> get(std::uint64_t index) const;

  /// Keeps a digest, in place of the one there was.
  ///
  /// Errors: kUnavailable and kBusy (no room) when the system refuses; there is none then.
  [[nodiscard]] Result<void> put(std::uint64_t index, const Digest& digest);

  /// Drops `count` digests from `first` on: their bytes are about to change.
  ///
  /// Errors: as put(); then some may still be there.
  [[nodiscard]] Result<void> drop(std::uint64_t first, std::uint64_t count);

 private:
  DigestFile(std::string path, const Digest& subject, std::uint64_t count)
      : path_{std::move(path)}, subject_{subject}, known_(count) {}

  [[nodiscard]] Result<void> load();
  [[nodiscard]] Result<void> make() KVFERRY_REQUIRES(mutex_);
  [[nodiscard]] Result<void> write(std::uint64_t index, std::span<const std::byte> bytes)
      KVFERRY_REQUIRES(mutex_);

  const std::string path_;
  const Digest subject_;
  mutable Mutex mutex_;
  UniqueFd descriptor_ KVFERRY_GUARDED_BY(mutex_);
  std::vector<std::optional<Digest>> known_ KVFERRY_GUARDED_BY(mutex_);
};

}  // namespace kvferry::disk
