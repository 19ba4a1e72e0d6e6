// SPDX-License-Identifier: Apache-2.0
#include "wire/bincode.hpp"

#include <fmt/format.h>

#include "wire/text.hpp"

namespace kvferry::wire::bincode {

std::string describe(const Failure& failure) {
  const std::uint64_t value = failure.value;
  const std::uint64_t bound = failure.bound;
  switch (failure.problem) {
    case Problem::kNone: return "nothing";
    case Problem::kEnd: return fmt::format("{} bytes of {} left", value, bound);
    case Problem::kReserved: return fmt::format("integer marker {} of at most {}", value, bound);
    case Problem::kTooWide: return fmt::format("integer marker {} of at most {}", value, bound);
    case Problem::kLength: return fmt::format("length {} of {} left", value, bound);
    case Problem::kCount:
      return fmt::format("count {} of at most {} in what is left", value, bound);
    case Problem::kLimit: return fmt::format("{} is above the limit of {}", value, bound);
    case Problem::kVariant: return fmt::format("variant {} of {}", value, bound);
    case Problem::kOption: return fmt::format("option tag {} of at most {}", value, bound);
    case Problem::kText: return fmt::format("not UTF-8 after {} of {} bytes", value, bound);
    case Problem::kTrailing: return fmt::format("{} bytes after the end", value);
  }
  return "unknown";
}

bool Reader::fail_at(std::size_t position, Problem problem, std::uint64_t value,
                     std::uint64_t bound) noexcept {
  failure_ = Failure{problem, position, value, bound};
  return false;
}

bool Reader::skip_u64s(std::size_t count, std::size_t& passed) noexcept {
  constexpr std::size_t kLongest = 1 + marker_bytes(kMarkerU64);
  const std::byte* cursor = cursor_;
  for (passed = 0; passed < count; ++passed) {
    const bool any_form_fits = static_cast<std::size_t>(end_ - cursor) >= kLongest;
    if (any_form_fits && std::to_integer<std::uint8_t>(*cursor) <= kMarkerU64) [[likely]] {
      static_cast<void>(read_checked_u64(cursor));
      continue;
    }
    cursor_ = cursor;
    if (!skip_u64()) {
      return false;
    }
    cursor = cursor_;
  }
  cursor_ = cursor;
  return true;
}

bool Reader::u128(std::uint64_t& high, std::uint64_t& low) noexcept {
  if (cursor_ == end_ || first_byte() != kMarkerU128) {
    high = 0;
    return integer(kMarkerU128, low);
  }
  if (left() <= marker_bytes(kMarkerU128)) {
    return fail(Problem::kEnd, 1 + marker_bytes(kMarkerU128), left());
  }
  low = load<8>(cursor_ + 1);
  high = load<8>(cursor_ + 9);
  cursor_ += 1 + marker_bytes(kMarkerU128);
  return true;
}

bool Reader::variant(std::uint32_t count, std::uint32_t& index) noexcept {
  const std::size_t start = position();
  if (!u32(index)) {
    return false;
  }
  return index < count || fail_at(start, Problem::kVariant, index, count);
}

bool Reader::count(std::size_t element_bytes_min, std::uint64_t limit,
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

bool Reader::blob(std::uint64_t limit, std::span<const std::byte>& bytes) noexcept {
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
  cursor_ += length;
  return true;
}

bool Reader::text(std::uint64_t limit, std::string_view& characters) noexcept {
  const std::size_t start = position();
  std::span<const std::byte> bytes;
  if (!blob(limit, bytes)) {
    return false;
  }
  characters = {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  const std::size_t valid = valid_utf8_prefix(characters);
  return valid == characters.size() || fail_at(start, Problem::kText, valid, characters.size());
}

bool Reader::finish() noexcept { return cursor_ == end_ || fail(Problem::kTrailing, left(), 0); }

}  // namespace kvferry::wire::bincode
