// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "wire/text.hpp"

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

/// Reads one item after the other and never past the end. Each method returns false when the item
/// is not there as the format wants it; the reader is then done. One that explains says why in
/// failure(). One that does not is for the common case that nothing is wrong: as it hands nothing
/// out, its cursor can stay in a register.
///
/// Lifetime: text and blobs point into the bytes given.
template <bool kExplains>
class BasicReader {
 public:
  static constexpr bool kSaysWhy = kExplains;

  /// Reads `bytes` from `position` on.
  explicit BasicReader(std::span<const std::byte> bytes, std::size_t position = 0) noexcept
      : begin_{bytes.data()}, cursor_{begin_ + position}, end_{begin_ + bytes.size()} {}

  [[nodiscard]] std::size_t position() const noexcept {
    return static_cast<std::size_t>(cursor_ - begin_);
  }
  [[nodiscard]] std::size_t left() const noexcept {
    return static_cast<std::size_t>(end_ - cursor_);
  }
  [[nodiscard]] const Failure& failure() const noexcept requires kExplains { return failure_; }

  [[nodiscard]] bool u64(std::uint64_t& value) noexcept { return integer(kMarkerU64, value); }

  /// Reads one u64 after the other, without a look at the end for each where there is room for the
  /// widest.
  template <class... U64>
  [[nodiscard]] bool u64s(U64&... values) noexcept requires(!kExplains) {
    constexpr std::size_t kWidest = 1 + marker_bytes(kMarkerU64);
    return left() < sizeof...(values) * kWidest ? (u64(values) && ...)
                                                : (u64_that_fits(values) && ...);
  }

  [[nodiscard]] bool u32(std::uint32_t& value) noexcept {
    std::uint64_t wide{0};
    const bool ok = integer(kMarkerU32, wide);
    value = static_cast<std::uint32_t>(wide);
    return ok;
  }
  [[nodiscard]] bool u128(std::uint64_t& high, std::uint64_t& low) noexcept {
    if (cursor_ == end_ || first_byte() != kMarkerU128) {
      high = 0;
      return integer(kMarkerU128, low);
    }
    if (!bytes_are_there(marker_bytes(kMarkerU128))) {
      return false;
    }
    low = load<8>(cursor_ + 1);
    high = load<8>(cursor_ + 9);
    return advance(1 + marker_bytes(kMarkerU128));
  }

  /// Reads pairs of u64s as long as they have this form: the first with 8 bytes behind its marker,
  /// the second with `kBytes`. Gives how many there were of `count`; there may be others behind.
  template <std::size_t kBytes, class Pair>
  [[nodiscard]] std::size_t wide_pairs(Pair* to, std::size_t count) noexcept {
    constexpr std::size_t kFirst = 1 + marker_bytes(kMarkerU64);
    constexpr std::size_t kBoth = kFirst + 1 + kBytes;
    constexpr std::byte kMarker{kSingleByteMax + std::bit_width(kBytes) - 1};
    count = std::min(count, left() / kBoth);
    const std::byte* from = cursor_;
    std::size_t read{0};
    for (; read < count && from[0] == std::byte{kMarkerU64} && from[kFirst] == kMarker; ++read) {
      to[read] = Pair{load<8>(from + 1), load<kBytes>(from + kFirst + 1)};
      from += kBoth;
    }
    cursor_ = from;
    return read;
  }

  /// The index of one of `count` variants.
  [[nodiscard]] bool variant(std::uint32_t count, std::uint32_t& index) noexcept {
    // No enumeration has so many variants that an index takes more than its first byte.
    if (cursor_ != end_ && first_byte() < count) [[likely]] {
      index = first_byte();
      return advance(1);
    }
    const std::size_t start = position();
    return u32(index) && (index < count || fail_at(start, Problem::kVariant, index, count));
  }

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
                           std::size_t& elements) noexcept {
    const std::size_t start = position();
    std::uint64_t announced{0};
    if (!u64(announced)) {
      return false;
    }
    const std::size_t room = left() / element_bytes_min;
    if (announced > room) {
      return fail_at(start, Problem::kCount, announced, room);
    }
    elements = static_cast<std::size_t>(announced);
    return announced <= limit || fail_at(start, Problem::kLimit, announced, limit);
  }

  [[nodiscard]] bool blob(std::uint64_t limit, std::span<const std::byte>& bytes) noexcept {
    const std::size_t start = position();
    std::uint64_t length{0};
    if (!u64(length)) {
      return false;
    }
    if (length > left()) {
      return fail_at(start, Problem::kLength, length, left());
    }
    if (length > limit) {
      return fail_at(start, Problem::kLimit, length, limit);
    }
    bytes = {cursor_, static_cast<std::size_t>(length)};
    return advance(bytes.size());
  }

  [[nodiscard]] bool text(std::uint64_t limit, std::string_view& characters) noexcept {
    const std::size_t start = position();
    std::span<const std::byte> bytes;
    if (!blob(limit, bytes)) {
      return false;
    }
    characters = {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    if (!is_utf8(characters)) [[unlikely]] {
      return fail_at(start, Problem::kText, valid_utf8_prefix(characters), characters.size());
    }
    return true;
  }

  /// Whether everything was read.
  [[nodiscard]] bool finish() noexcept {
    return cursor_ == end_ || fail(Problem::kTrailing, left(), 0);
  }

 private:
  [[nodiscard]] std::uint8_t first_byte() const noexcept {
    return std::to_integer<std::uint8_t>(*cursor_);
  }

  [[nodiscard]] bool integer(std::uint8_t widest, std::uint64_t& value) noexcept {
    if (cursor_ == end_) [[unlikely]] {
      return fail(Problem::kEnd, 1, 0);
    }
    const std::uint8_t first = first_byte();
    if (first <= kSingleByteMax) [[likely]] {
      value = first;
      return advance(1);
    }
    if (first > widest) [[unlikely]] {
      return fail(first > kMarkerU128 ? Problem::kReserved : Problem::kTooWide, first, widest);
    }
    return with_marker_bytes(first, [this, &value](auto bytes) {
      if (!bytes_are_there(bytes)) [[unlikely]] {
        return false;
      }
      value = load<bytes>(cursor_ + 1);
      return advance(1 + bytes);
    });
  }

  /// A u64 behind which the end is far enough.
  [[nodiscard]] bool u64_that_fits(std::uint64_t& value) noexcept {
    const std::uint8_t first = first_byte();
    if (first <= kSingleByteMax) [[likely]] {
      value = first;
      return advance(1);
    }
    return first <= kMarkerU64 && with_marker_bytes(first, [this, &value](auto bytes) {
             value = load<bytes>(cursor_ + 1);
             return advance(1 + bytes);
           });
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
  bool fail_at(std::size_t position, Problem problem, std::uint64_t value,
               std::uint64_t bound) noexcept {
    if constexpr (kExplains) {
      failure_ = Failure{problem, position, value, bound};
    }
    return false;
  }

  const std::byte* begin_;
  const std::byte* cursor_;
  const std::byte* end_;
  Failure failure_{};
};

using Reader = BasicReader<true>;
using QuickReader = BasicReader<false>;

/// Writes items, each integer in its shortest form, to where there is room.
class Writer {
 public:
  explicit Writer(std::byte* cursor) noexcept : cursor_{cursor} {}

  void u64(std::uint64_t value) noexcept {
    if (value > 0xFFFF'FFFF) {  // First, because most numbers are of regions.
      marked<8>(kMarkerU64, value);
    } else if (value <= kSingleByteMax) {
      *cursor_++ = static_cast<std::byte>(value);
    } else if (value <= 0xFFFF) {
      marked<2>(kMarkerU16, value);
    } else {
      marked<4>(kMarkerU32, value);
    }
  }
  /// An index of a variant or a tag: a number of which it is known that one byte holds it.
  template <class Tag>
  void tag(Tag value) noexcept {
    *cursor_++ = static_cast<std::byte>(value);
  }
  void u128(std::uint64_t high, std::uint64_t low) noexcept {
    if (high == 0) {
      u64(low);
      return;
    }
    marked<8>(kMarkerU128, low);
    store<8>(high);
  }
  void raw(std::span<const std::byte> bytes) noexcept {
    if (!bytes.empty()) {
      std::memcpy(cursor_, bytes.data(), bytes.size());
      cursor_ += bytes.size();
    }
  }

  [[nodiscard]] std::byte* cursor() const noexcept { return cursor_; }

 private:
  template <std::size_t kBytes>
  void marked(std::uint8_t marker, std::uint64_t value) noexcept {
    *cursor_++ = static_cast<std::byte>(marker);
    store<kBytes>(value);
  }
  template <std::size_t kBytes>
  void store(std::uint64_t value) noexcept {
    std::memcpy(cursor_, &value, kBytes);
    cursor_ += kBytes;
  }

  std::byte* cursor_;
};

}  // namespace kvferry::wire::bincode
