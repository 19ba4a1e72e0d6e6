// SPDX-License-Identifier: Apache-2.0
// Goal: integers, text, blobs and counts of bincode are read as strictly, and written as shortly,
// as section 1.2 of the wire format says. Method: literal bytes, at each boundary.
#include "wire/bincode.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include "samples.hpp"

namespace kvferry::wire::bincode {
namespace {

using samples::Bytes;
using samples::from_hex;
using samples::marked;
using samples::to_hex;

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

struct Integer {
  std::uint64_t value;
  std::string_view hex;
};

const std::vector<Integer>& integers() {
  static const std::vector<Integer> all{
      {0, "00"},
      {1, "01"},
      {250, "fa"},
      {251, "fbfb00"},
      {252, "fbfc00"},
      {255, "fbff00"},
      {256, "fb0001"},
      {65'535, "fbffff"},
      {65'536, "fc00000100"},
      {0xFFFF'FFFF, "fcffffffff"},
      {0x1'0000'0000, "fd0000000001000000"},
      {kMax, "fdffffffffffffffff"},
  };
  return all;
}

Failure failure_of(const Bytes& bytes, bool (*read)(Reader&)) {
  Reader reader{bytes};
  EXPECT_FALSE(read(reader));
  return reader.failure();
}

bool read_u32(Reader& reader) {
  std::uint32_t value{0};
  return reader.u32(value);
}
bool read_u64(Reader& reader) {
  std::uint64_t value{0};
  return reader.u64(value);
}
bool read_u128(Reader& reader) {
  std::uint64_t high{0};
  std::uint64_t low{0};
  return reader.u128(high, low);
}

TEST(BincodeWriter, WritesEachIntegerInItsShortestForm) {
  for (const Integer& integer : integers()) {
    Bytes bytes(1 + marker_bytes(kMarkerU64));
    Writer writer{bytes.data()};
    writer.u64(integer.value);
    EXPECT_EQ(to_hex({bytes.data(), writer.cursor()}), integer.hex);
  }
}

TEST(BincodeWriter, WritesWideHandlesWithAllTheirBits) {
  Bytes bytes(1 + marker_bytes(kMarkerU128));
  Writer writer{bytes.data()};
  writer.u128(0x0102, 0x0304);
  EXPECT_EQ(to_hex(bytes),
            "fe"
            "0403000000000000"
            "0201000000000000");
}

TEST(BincodeReader, ReadsEachInteger) {
  for (const Integer& integer : integers()) {
    const Bytes bytes = from_hex(integer.hex);
    Reader reader{bytes};
    std::uint64_t value{0};
    EXPECT_TRUE(reader.u64(value));
    EXPECT_EQ(value, integer.value);
    EXPECT_TRUE(reader.finish());
  }
}

TEST(BincodeReader, AcceptsWiderFormsUpToTheType) {
  for (const int marker : {251, 252, 253}) {
    const Bytes bytes = marked(5, marker);
    Reader reader{bytes};
    std::uint64_t value{0};
    EXPECT_TRUE(reader.u64(value)) << marker;
    EXPECT_EQ(value, 5U);
    EXPECT_TRUE(reader.finish());
  }
  for (const int marker : {251, 252, 253, 254}) {
    const Bytes bytes = marked(5, marker);
    Reader reader{bytes};
    std::uint64_t high{9};
    std::uint64_t low{9};
    EXPECT_TRUE(reader.u128(high, low)) << marker;
    EXPECT_EQ(high, 0U);
    EXPECT_EQ(low, 5U);
    EXPECT_TRUE(reader.finish());
  }
}

TEST(BincodeReader, RefusesMarkersWiderThanTheTypeWhateverTheValue) {
  for (const auto& [bytes, read] : std::vector<std::pair<Bytes, bool (*)(Reader&)>>{
           {marked(5, 253), &read_u32}, {marked(5, 254), &read_u64}}) {
    EXPECT_EQ(failure_of(bytes, read).problem, Problem::kTooWide);
  }
}

TEST(BincodeReader, RefusesTheReservedMarker) {
  const Bytes bytes(40, std::byte{0xFF});
  for (const auto read : {&read_u32, &read_u64, &read_u128}) {
    const Failure failure = failure_of(bytes, read);
    EXPECT_EQ(failure.problem, Problem::kReserved);
    EXPECT_EQ(failure.value, 255U);
  }
}

TEST(BincodeReader, SaysHowManyBytesAreMissing) {
  const Failure failure = failure_of(from_hex("fd00"), &read_u64);
  EXPECT_EQ(failure.problem, Problem::kEnd);
  EXPECT_EQ(describe(failure), "9 bytes of 2 left");
  EXPECT_EQ(describe(failure_of({}, &read_u64)), "1 bytes of 0 left");
  EXPECT_EQ(describe(failure_of(from_hex("fe00"), &read_u128)), "17 bytes of 2 left");
}

TEST(BincodeReader, NoticesThatOneByteIsMissing) {
  for (const int marker : {251, 252, 253, 254}) {
    Bytes bytes = marked(5, marker);
    const std::string expected =
        std::to_string(bytes.size()) + " bytes of " + std::to_string(bytes.size() - 1) + " left";
    bytes.pop_back();
    EXPECT_EQ(describe(failure_of(bytes, &read_u128)), expected);
    if (marker < 254) {
      EXPECT_EQ(describe(failure_of(bytes, &read_u64)), expected);
    }
    if (marker < 253) {
      EXPECT_EQ(describe(failure_of(bytes, &read_u32)), expected);
    }
  }
}

struct Pair {
  std::uint64_t first{0};
  std::uint64_t second{0};
};

TEST(BincodeReader, ReadsPairsAsLongAsTheyAreThereAndWide) {
  const std::string wide{"fd0807060504030201 fc44332211"};
  const Bytes bytes = from_hex(wide + wide + wide + "05 fc44332211 fd0807060504030201 06");
  for (std::size_t length = 0; length <= bytes.size(); ++length) {
    const Bytes cut{bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length)};
    Reader reader{cut};
    std::array<Pair, 5> pairs{};
    const std::size_t expected = std::min<std::size_t>(3, length / 14);
    ASSERT_EQ(reader.wide_pairs<4>(pairs.data(), pairs.size()), expected) << length;
    EXPECT_EQ(reader.position(), 14 * expected);
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      EXPECT_EQ(pairs[i].first, i < expected ? 0x0102030405060708U : 0U);
      EXPECT_EQ(pairs[i].second, i < expected ? 0x11223344U : 0U);
    }
    Reader other{cut};
    EXPECT_EQ(other.wide_pairs<8>(pairs.data(), pairs.size()), 0U);
    EXPECT_EQ(other.position(), 0U);
  }
  std::array<Pair, 2> few{};
  EXPECT_EQ(Reader{bytes}.wide_pairs<4>(few.data(), few.size()), 2U);
}

/// What `read` makes of the same bytes with both kinds of reader: whether it can, and where it
/// ends.
template <class Read>
void expect_alike(const Bytes& bytes, const Read& read) {
  Reader reader{bytes};
  QuickReader quick{bytes};
  const bool ok = read(reader);
  ASSERT_EQ(read(quick), ok) << to_hex(bytes);
  if (ok) {
    EXPECT_EQ(quick.position(), reader.position()) << to_hex(bytes);
  }
}

TEST(BincodeReader, DecidesAlikeWhetherItExplainsOrNot) {
  for (int first = 0; first < 256; ++first) {
    for (std::size_t length = 0; length < 19; ++length) {
      Bytes bytes(length, std::byte{2});
      if (length != 0) {
        bytes[0] = static_cast<std::byte>(first);
      }
      std::uint64_t high{0};
      std::uint64_t wide{0};
      std::uint32_t narrow{0};
      bool there{false};
      std::string_view text;
      expect_alike(bytes, [&](auto& reader) { return reader.u64(wide); });
      expect_alike(bytes, [&](auto& reader) { return reader.u32(narrow); });
      expect_alike(bytes, [&](auto& reader) { return reader.u128(high, wide); });
      expect_alike(bytes, [&](auto& reader) { return reader.variant(4, narrow); });
      expect_alike(bytes, [&](auto& reader) { return reader.option(there); });
      expect_alike(bytes, [&](auto& reader) { return reader.count(2, 5, wide); });
      expect_alike(bytes, [&](auto& reader) { return reader.text(9, text) && reader.finish(); });
    }
  }
}

TEST(BincodeReader, RefusesVariantsPastTheLast) {
  const Bytes bytes = from_hex("03");
  std::uint32_t index{0};
  Reader last{bytes};
  EXPECT_TRUE(last.variant(4, index));
  EXPECT_EQ(index, 3U);
  Reader past{bytes};
  EXPECT_FALSE(past.variant(3, index));
  EXPECT_EQ(describe(past.failure()), "variant 3 of 3");
}

TEST(BincodeReader, ReadsTheTagOfAnOptionAsARawByte) {
  for (const auto& [hex, there] : {std::pair{"00", false}, std::pair{"01", true}}) {
    const Bytes bytes = from_hex(hex);
    Reader reader{bytes};
    bool told = !there;
    EXPECT_TRUE(reader.option(told));
    EXPECT_EQ(told, there);
    EXPECT_TRUE(reader.finish());
  }
  for (const char* const hex : {"02", "fa", "fb0000", "fb0100", "ff"}) {
    const Bytes bytes = from_hex(hex);
    Reader reader{bytes};
    bool told = false;
    EXPECT_FALSE(reader.option(told));
    EXPECT_EQ(reader.failure().problem, Problem::kOption);
  }
  Reader empty{std::span<const std::byte>{}};
  bool told = false;
  EXPECT_FALSE(empty.option(told));
  EXPECT_EQ(empty.failure().problem, Problem::kEnd);
}

TEST(BincodeReader, ChecksCountsAgainstWhatIsLeftAndTheLimit) {
  const Bytes bytes = from_hex("03 0000 0000 00");
  std::size_t elements{0};
  EXPECT_TRUE(Reader{bytes}.count(1, 3, elements));
  EXPECT_EQ(elements, 3U);
  Reader room{bytes};
  EXPECT_FALSE(room.count(2, 3, elements));
  EXPECT_EQ(describe(room.failure()), "count 3 of at most 2 in what is left");
  Reader limit{bytes};
  EXPECT_FALSE(limit.count(1, 2, elements));
  EXPECT_EQ(describe(limit.failure()), "3 is above the limit of 2");
}

TEST(BincodeReader, ChecksLengthsAgainstWhatIsLeftAndTheLimit) {
  const Bytes bytes = from_hex("02 6162");
  std::span<const std::byte> blob;
  EXPECT_TRUE(Reader{bytes}.blob(2, blob));
  EXPECT_EQ(to_hex(blob), "6162");
  Reader limit{bytes};
  EXPECT_FALSE(limit.blob(1, blob));
  EXPECT_EQ(describe(limit.failure()), "2 is above the limit of 1");
  const Bytes cut = from_hex("02 61");
  Reader left{cut};
  EXPECT_FALSE(left.blob(9, blob));
  EXPECT_EQ(describe(left.failure()), "length 2 of 1 left");
}

TEST(BincodeReader, RefusesTextThatIsNotUtf8) {
  const Bytes bytes = from_hex("02 61ff");
  std::string_view text;
  Reader reader{bytes};
  EXPECT_FALSE(reader.text(9, text));
  EXPECT_EQ(describe(reader.failure()), "not UTF-8 after 1 of 2 bytes");
}

TEST(BincodeReader, RefusesTrailingBytes) {
  const Bytes bytes = from_hex("0102");
  Reader reader{bytes};
  EXPECT_FALSE(reader.finish());
  EXPECT_EQ(describe(reader.failure()), "2 bytes after the end");
}

}  // namespace
}  // namespace kvferry::wire::bincode
