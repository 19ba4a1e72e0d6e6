// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <liburing.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "kvferry/base/result.hpp"

namespace kvferry::bench {

/// Bytes that move between a file and memory in one operation.
struct FilePiece {
  std::uint64_t offset;
  std::byte* memory;
  std::uint64_t bytes;
};

/// What a raw loop works with.
struct RawRingOptions {
  int descriptor{-1};                 ///< of the file
  std::span<std::byte> registered{};  ///< memory that the kernel is told of beforehand; may be none
  bool is_write{false};
  unsigned depth{64};  ///< operations at a time
};

/// The baseline of suite disk: what a person would write who has nothing but a list of pieces. One
/// thread, one ring that is made before the clock starts, with the file told beforehand.
class RawRing {
 public:
  /// Errors: kUnavailable where there is no io_uring, or `registered` is more than may be locked.
  [[nodiscard]] static Result<RawRing> open(const RawRingOptions& options);

  /// Moves all pieces; they are good when there is no error, the first one's.
  [[nodiscard]] std::optional<Error> move(const std::vector<FilePiece>& pieces);

 private:
  struct Exit {
    void operator()(io_uring* ring) const noexcept {
      io_uring_queue_exit(ring);
      delete ring;  // NOLINT(cppcoreguidelines-owning-memory)
    }
  };

  RawRing(std::unique_ptr<io_uring, Exit> ring, const RawRingOptions& options)
      : ring_{std::move(ring)}, options_{options} {}

  void prepare(const FilePiece& piece);

  std::unique_ptr<io_uring, Exit> ring_;
  RawRingOptions options_;
};

}  // namespace kvferry::bench
