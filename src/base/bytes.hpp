// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace kvferry {

/// Appends fixed-width little-endian numbers, byte by byte.
class ByteWriter {
 public:
  template <std::unsigned_integral T>
  void number(T value) {
    for (std::size_t byte = 0; byte < sizeof(T); ++byte) {
      bytes_.push_back(static_cast<std::byte>(value >> (8U * byte)));
    }
  }
  void raw(std::span<const std::byte> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  void text(std::string_view text) { raw(std::as_bytes(std::span{text})); }

  [[nodiscard]] const std::vector<std::byte>& bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::vector<std::byte> take() && { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

/// Takes fixed-width little-endian numbers off the front; nothing once too few bytes are left.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) noexcept : bytes_{bytes} {}

  template <std::unsigned_integral T>
  [[nodiscard]] std::optional<T> number() noexcept {
    const auto got = raw(sizeof(T));
    if (!got) {
      return std::nullopt;
    }
    std::uint64_t value = 0;
    for (std::size_t byte = 0; byte < sizeof(T); ++byte) {
      value |= std::to_integer<std::uint64_t>((*got)[byte]) << (8U * byte);
    }
    return static_cast<T>(value);
  }
  [[nodiscard]] std::optional<std::span<const std::byte>> raw(std::size_t size) noexcept {
    if (size > left()) {
      return std::nullopt;
    }
    const auto got = bytes_.subspan(at_, size);
    at_ += size;
    return got;
  }
  /// Fills `out`; leaves it and says false where too few bytes are left.
  [[nodiscard]] bool fill(std::span<std::byte> out) noexcept {
    const auto got = raw(out.size());
    if (got && !out.empty()) {
      std::memcpy(out.data(), got->data(), out.size());
    }
    return got.has_value();
  }
  [[nodiscard]] std::size_t at() const noexcept { return at_; }
  [[nodiscard]] std::size_t left() const noexcept { return bytes_.size() - at_; }

 private:
  std::span<const std::byte> bytes_;
  std::size_t at_{0};
};

/// Bytes read as characters.
[[nodiscard]] inline std::string_view as_text(std::span<const std::byte> bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace kvferry
