// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "kvferry/base/result.hpp"

namespace kvferry::disk {

enum class Direction : std::uint8_t { kRead, kWrite };

/// One read or write at a place of a file.
struct Operation {
  Direction direction{Direction::kRead};
  int descriptor{-1};
  std::uint64_t offset{0};
  std::span<std::byte> memory{};
  std::uint64_t tag{0};  ///< comes back with its end
};

/// How an operation ended: as of preadv2(), the bytes moved or minus an errno value.
struct Ended {
  std::uint64_t tag{0};
  std::int64_t result{0};
};

/// What has the kernel carry out operations, many at a time. It neither continues short ones nor
/// repeats failed ones.
///
/// Threads: submit() one at a time, wait() one at a time, both together; wake() any.
class Backend {
 public:
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  virtual ~Backend() = default;

  /// "io_uring", "threads".
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;

  /// Reads as much of the beginning of an operation as lies in the page cache, at once, on the
  /// thread of the caller; says how many bytes. What is left, if only because nobody knows, is for
  /// submit().
  ///
  /// Threads: any.
  [[nodiscard]] virtual std::uint64_t read_cached(const Operation& /*operation*/) { return 0; }

  /// Starts operations. There are never more than the depth it was made for without their end.
  ///
  /// Lifetime: memory and descriptor stay until wait() tells the end.
  virtual void submit(std::span<const Operation> operations) = 0;

  /// Waits until an operation ends or somebody calls wake(), and fills `ended` with as many as
  /// there are; says how many.
  [[nodiscard]] virtual std::size_t wait(std::span<Ended> ended) = 0;
  /// Ends the wait() that there is, or else the next one.
  virtual void wake() = 0;

 protected:
  Backend() = default;
};

/// Through io_uring.
///
/// Errors: kUnavailable where the kernel has not got it or forbids it, with the cause.
[[nodiscard]] Result<std::unique_ptr<Backend>> make_uring_backend(std::size_t depth);

/// Through as many threads as `depth`, with pread() and pwrite(): everywhere.
///
/// Errors: kUnavailable when there are no threads.
[[nodiscard]] Result<std::unique_ptr<Backend>> make_thread_backend(std::size_t depth);

}  // namespace kvferry::disk
