// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kvferry/base/result.hpp"
#include "kvferry/wire/limits.hpp"
#include "kvferry/wire/metadata.hpp"

namespace kvferry::wire {

/// The bytes of one message of format A or B. They need not be valid: unpack() finds out.
///
/// Source: docs/spec/wire-format.md, sections 1.3 to 1.5 and 1.9.
class SerializedLayout {
 public:
  /// Writes a message; `layouts` keep their order.
  ///
  /// Errors: kInvalidArgument naming the first value that `format` cannot carry: a number of heads,
  ///         a block order or a logical type in A, an inner shape in B, a device ordinal of more
  ///         than 32 bits, an id on memory that has none, a name that is not UTF-8.
  [[nodiscard]] static Result<SerializedLayout> pack(const WorkerAddress& worker_address,
                                                     std::span<const std::byte> nixl_metadata,
                                                     std::span<const LocalLayoutDescriptor> layouts,
                                                     MessageFormat format = MessageFormat::kA);

  /// Takes bytes as they are, without looking at them.
  [[nodiscard]] static SerializedLayout from_bytes(std::vector<std::byte> bytes) {
    return SerializedLayout{std::move(bytes)};
  }

  /// Reads the message, of the format that it is found to be.
  ///
  /// Errors: those of decode_view().
  [[nodiscard]] Result<RdmaLayoutDescriptors> unpack(const WireLimits& limits = WireLimits{}) const;

  [[nodiscard]] std::span<const std::byte> as_bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::size_t len() const noexcept { return bytes_.size(); }
  [[nodiscard]] bool is_empty() const noexcept { return bytes_.empty(); }

  /// "SerializedLayout { size_bytes: 62 }": says nothing of what the bytes hold, because blobs
  /// carry keys to memory and debug text ends up in logs.
  [[nodiscard]] std::string debug_string() const;

  friend bool operator==(const SerializedLayout&, const SerializedLayout&) = default;

 private:
  explicit SerializedLayout(std::vector<std::byte> bytes) : bytes_{std::move(bytes)} {}

  std::vector<std::byte> bytes_;
};

}  // namespace kvferry::wire
