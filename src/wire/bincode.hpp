// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

// bincode 2 in its standard() configuration: what of it formats A and B need.
// Source: docs/spec/wire-format.md, section 1.2.

namespace kvferry::wire::bincode {

inline constexpr std::uint8_t kSingleByteMax = 250;  // a first byte up to here is the value
inline constexpr std::uint8_t kMarkerU16 = 251;
inline constexpr std::uint8_t kMarkerU32 = 252;
inline constexpr std::uint8_t kMarkerU64 = 253;
inline constexpr std::uint8_t kMarkerU128 = 254;

/// How many bytes follow `marker`, which is one of the four above.
[[nodiscard]] constexpr std::size_t marker_bytes(std::uint8_t marker) noexcept {
  return std::size_t{1} << (marker - kSingleByteMax);
}
static_assert(marker_bytes(kMarkerU16) == 2 && marker_bytes(kMarkerU128) == 16);

// Numbers are copied as they lie in the message, whose byte order this is.
static_assert(std::endian::native == std::endian::little);

template <std::size_t kBytes>
[[nodiscard]] std::uint64_t load(const std::byte* from) noexcept {
  std::uint64_t value{0};
  std::memcpy(&value, from, kBytes);
  return value;
}

/// Calls `then` with the number of bytes after `marker`, which is not that of a u128, as a
/// constant. A message repeats its pattern of markers, so these branches are foreseen, and the next
/// item need not wait until the length of this one is known.
template <class Then>
decltype(auto) with_marker_bytes(std::uint8_t marker, const Then& then) {
  if (marker == kMarkerU64) {
    return then(std::integral_constant<std::size_t, 8>{});
  }
  if (marker == kMarkerU32) {
    return then(std::integral_constant<std::size_t, 4>{});
  }
  return then(std::integral_constant<std::size_t, 2>{});
}

/// Why a Reader stopped.
enum class Problem : std::uint8_t {
  kNone,
  kEnd,       ///< `value` bytes needed of `bound` left
  kReserved,  ///< marker `value`, which no integer begins with
  kTooWide,   ///< marker `value` of an integer of at most marker `bound`
  kLength,    ///< length `value` of `bound` bytes left
  kCount,     ///< `value` elements announced, room for `bound`
  kLimit,     ///< `value` of at most `bound`
  kVariant,   ///< variant `value` of `bound`
  kOption,    ///< tag `value` of an option, neither 0 nor 1
  kText,      ///< not UTF-8 after `value` of `bound` bytes
  kTrailing,  ///< `value` bytes after the end
};

/// Where and why a Reader stopped.
struct Failure {
  Problem problem{Problem::kNone};
  std::size_t position{0};  ///< of the first byte of the item that could not be read
  std::uint64_t value{0};
  std::uint64_t bound{0};
};

/// "length 8589934592 of 15 left".
[[nodiscard]] std::string describe(const Failure& failure);

/// Reads one item after the other and never past the end. Each method returns false, and says why
/// in failure(), when the item is not there as the format wants it; the reader is then done.
///
/// Lifetime: text and blobs point into the bytes given.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) noexcept
      : begin_{bytes.data()}, cursor_{begin_}, end_{begin_ + bytes.size()} {}

  [[nodiscard]] std::size_t position() const noexcept {
    return static_cast<std::size_t>(cursor_ - begin_);
  }
  [[nodiscard]] std::size_t left() const noexcept {
    return static_cast<std::size_t>(end_ - cursor_);
  }
  [[nodiscard]] const Failure& failure() const noexcept { return failure_; }

  [[nodiscard]] bool u64(std::uint64_t& value) noexcept { return integer(kMarkerU64, value); }
  [[nodiscard]] bool u32(std::uint32_t& value) noexcept {
    std::uint64_t wide{0};
    if (!integer(kMarkerU32, wide)) {
      return false;
    }
    value = static_cast<std::uint32_t>(wide);
    return true;
  }
  [[nodiscard]] bool u128(std::uint64_t& high, std::uint64_t& low) noexcept;

  /// Passes over one u64, as strictly as reading it.
  [[nodiscard]] bool skip_u64() noexcept {
    if (cursor_ != end_ && first_byte() <= kSingleByteMax) [[likely]] {
      ++cursor_;
      return true;
    }
    return marker_fits(kMarkerU64) && with_marker_bytes(first_byte(), [this](auto bytes) {
             return bytes_are_there(bytes) && advance(1 + bytes);
           });
  }

  /// Passes over `count` u64s as skip_u64() does; `passed` is how many there were.
  [[nodiscard]] bool skip_u64s(std::size_t count, std::size_t& passed) noexcept;

  /// The index of one of `count` variants.
  [[nodiscard]] bool variant(std::uint32_t count, std::uint32_t& index) noexcept;

  /// The tag of an option, which is a raw byte: whether a value follows.
  [[nodiscard]] bool option(bool& there) noexcept {
    if (cursor_ == end_) [[unlikely]] {
      return fail(Problem::kEnd, 1, 0);
    }
    if (first_byte() > 1) [[unlikely]] {
      return fail(Problem::kOption, first_byte(), 1);
    }
    there = first_byte() == 1;
    return advance(1);
  }

  /// The number of elements that follow, each of at least `element_bytes_min`.
  [[nodiscard]] bool count(std::size_t element_bytes_min, std::uint64_t limit,
                           std::size_t& elements) noexcept;

  [[nodiscard]] bool blob(std::uint64_t limit, std::span<const std::byte>& bytes) noexcept;
  [[nodiscard]] bool text(std::uint64_t limit, std::string_view& characters) noexcept;

  /// Whether everything was read.
  [[nodiscard]] bool finish() noexcept;

 private:
  [[nodiscard]] std::uint8_t first_byte() const noexcept {
    return std::to_integer<std::uint8_t>(*cursor_);
  }

  [[nodiscard]] bool integer(std::uint8_t widest, std::uint64_t& value) noexcept {
    if (cursor_ != end_ && first_byte() <= kSingleByteMax) [[likely]] {
      value = first_byte();
      ++cursor_;
      return true;
    }
    return marker_fits(widest) && with_marker_bytes(first_byte(), [this, &value](auto bytes) {
             if (!bytes_are_there(bytes)) {
               return false;
             }
             value = load<bytes>(cursor_ + 1);
             return advance(1 + bytes);
           });
  }

  /// Whether there is a marker under the cursor, not wider than `widest`.
  [[nodiscard]] bool marker_fits(std::uint8_t widest) noexcept {
    if (cursor_ == end_) [[unlikely]] {
      return fail(Problem::kEnd, 1, 0);
    }
    if (first_byte() > widest) [[unlikely]] {
      return fail(first_byte() > kMarkerU128 ? Problem::kReserved : Problem::kTooWide, first_byte(),
                  widest);
    }
    return true;
  }

  /// Whether `bytes` follow the marker under the cursor.
  [[nodiscard]] bool bytes_are_there(std::size_t bytes) noexcept {
    return left() > bytes || fail(Problem::kEnd, 1 + bytes, left());
  }

  bool advance(std::size_t bytes) noexcept {
    cursor_ += bytes;
    return true;
  }

  bool fail(Problem problem, std::uint64_t value, std::uint64_t bound) noexcept {
    return fail_at(position(), problem, value, bound);
  }
  [[gnu::cold]] bool fail_at(std::size_t position, Problem problem, std::uint64_t value,
                             std::uint64_t bound) noexcept;

  const std::byte* begin_;
  const std::byte* cursor_;
  const std::byte* end_;
  Failure failure_{};
};

/// Reads a u64 that a Reader has passed over before, and moves `cursor` behind it.
[[nodiscard]] inline std::uint64_t read_checked_u64(const std::byte*& cursor) noexcept {
  const auto first = std::to_integer<std::uint8_t>(*cursor);
  ++cursor;
  if (first <= kSingleByteMax) {
    return first;
  }
  return with_marker_bytes(first, [&cursor](auto bytes) {
    const std::uint64_t value = load<bytes>(cursor);
    cursor += bytes;
    return value;
  });
}

/// Counts the bytes that a Writer would write.
class Sizer {
 public:
  void u64(std::uint64_t value) noexcept {
    size_ += 1 + (value > kSingleByteMax ? 2U : 0U) + (value > 0xFFFF ? 2U : 0U) +
             (value > 0xFFFF'FFFF ? 4U : 0U);
  }
  void u128(std::uint64_t high, std::uint64_t low) noexcept {
    if (high == 0) {
      u64(low);
    } else {
      size_ += 1 + marker_bytes(kMarkerU128);
    }
  }
  void raw(std::span<const std::byte> bytes) noexcept { size_ += bytes.size(); }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  std::size_t size_{0};
};

/// Writes items, each integer in its shortest form, to where a Sizer found that there is room.
class Writer {
 public:
  explicit Writer(std::byte* cursor) noexcept : cursor_{cursor} {}

  void u64(std::uint64_t value) noexcept {
    if (value <= kSingleByteMax) {
      *cursor_++ = static_cast<std::byte>(value);
    } else if (value <= 0xFFFF) {
      marked(kMarkerU16, value);
    } else if (value <= 0xFFFF'FFFF) {
      marked(kMarkerU32, value);
    } else {
      marked(kMarkerU64, value);
    }
  }
  void u128(std::uint64_t high, std::uint64_t low) noexcept {
    if (high == 0) {
      u64(low);
      return;
    }
    *cursor_++ = std::byte{kMarkerU128};
    store(low, 8);
    store(high, 8);
  }
  void raw(std::span<const std::byte> bytes) noexcept {
    if (!bytes.empty()) {
      std::memcpy(cursor_, bytes.data(), bytes.size());
      cursor_ += bytes.size();
    }
  }

  [[nodiscard]] const std::byte* cursor() const noexcept { return cursor_; }

 private:
  void marked(std::uint8_t marker, std::uint64_t value) noexcept {
    *cursor_++ = static_cast<std::byte>(marker);
    store(value, marker_bytes(marker));
  }
  void store(std::uint64_t value, std::size_t count) noexcept {
    switch (count) {
      case 2: std::memcpy(cursor_, &value, 2); break;
      case 4: std::memcpy(cursor_, &value, 4); break;
      default: std::memcpy(cursor_, &value, 8); break;
    }
    cursor_ += count;
  }

  std::byte* cursor_;
};

}  // namespace kvferry::wire::bincode
