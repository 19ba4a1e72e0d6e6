// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kvferry/base/result.hpp"
#include "kvferry/memory/memory.hpp"

namespace kvferry::memory {

/// A range of addresses made by mmap(), unmapped at the end of its life. In a forked child, which
/// does not inherit it (MADV_DONTFORK), the end of its life touches nothing.
class Mapping {
 public:
  Mapping() noexcept = default;
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  ~Mapping();

  /// Maps the first `size_bytes` of a file, shared with everybody who maps it, and keeps it from
  /// forked children.
  ///
  /// Units:  `protection` and `flags` as of mmap(); MAP_SHARED is added.
  /// Errors: kUnavailable with the cause; kRefused where the file does not grant the protection.
  [[nodiscard]] static Result<Mapping> of_file(int descriptor, std::uint64_t size_bytes,
                                               int protection, int flags);

  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return bytes_; }

 private:
  std::span<std::byte> bytes_;
  std::int32_t owner_{0};  ///< process that made it
};

/// An Error that says what was tried and what the system answered: "`what`: No such file".
[[nodiscard]] Error system_error(ErrorCode code, std::string_view what, int error_number);

/// Fills `bytes` from the kernel's random source.
///
/// Errors: kUnavailable when there is none.
[[nodiscard]] Result<void> fill_random(std::span<std::byte> bytes);

}  // namespace kvferry::memory
