// SPDX-License-Identifier: Apache-2.0
// Goal: a blob is exactly the bytes of docs/spec/shm.md, and no other bytes are taken for one.
// Method: the page's example; every truncation, every flipped bit; forged sections with a right
// checksum, so that the checks behind it are reached.
#include "agent/shm_blob.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <random>

#include "base/bytes.hpp"
#include "framed_bytes.hpp"
#include "kvferry/testing/matchers.hpp"

namespace kvferry::agent {
namespace {

using kvferry::testing::FailsWith;
using kvferry::testing::IsOk;
using Bytes = std::vector<std::byte>;

constexpr std::size_t kMany = 65'536;

template <std::size_t kSize>
std::array<std::byte, kSize> counting_from(unsigned first) {
  std::array<std::byte, kSize> made{};
  for (std::size_t index = 0; index < kSize; ++index) {
    made[index] = static_cast<std::byte>(first + index);
  }
  return made;
}

ShmBlob example() {
  ShmBlob blob;
  blob.name = "prefill";
  blob.socket_path = "/run/kv/0a.sock";
  blob.instance = counting_from<16>(0xA0);
  blob.boot = counting_from<16>(0xB0);
  blob.user = 1000;
  blob.process = 4242;
  blob.memories = {
      {1, 0x7F0000000000, 5000, Access::kRead, MemoryKind::kSharedFile, 8192,
       counting_from<16>(0xC0)},
      {3, 0x10000, 256, Access::kRead, MemoryKind::kProcess, 0x20000, counting_from<16>(0xD0)}};
  return blob;
}

/// The blob with length and checksum made right again.
Bytes resealed(const Bytes& bytes) { return testing::resealed(bytes, 12); }

template <class T>
Bytes with_number(Bytes bytes, std::size_t at, T value) {
  testing::put_number(bytes, at, value);
  return resealed(bytes);
}

Bytes with_section(const Bytes& bytes, std::uint16_t kind, std::uint16_t flags) {
  ByteWriter section;
  section.number(kind);
  section.number(flags);
  section.number(std::uint32_t{3});
  section.text("new");
  Bytes made = bytes;
  made.insert(made.end() - kBlobChecksumBytes, section.bytes().begin(), section.bytes().end());
  return resealed(made);
}

// Where things lie in the example.
constexpr std::size_t kProcessAt = 16;
constexpr std::size_t kNameAt = kProcessAt + 8 + 40;
constexpr std::size_t kSocketAt = kNameAt + 8 + 7;
constexpr std::size_t kMemoriesAt = kSocketAt + 8 + 15;
constexpr std::size_t kCountAt = kMemoriesAt + 8;
constexpr std::size_t kFirstAt = kCountAt + 8;
constexpr std::size_t kSecondAt = kFirstAt + kBlobMemoryBytes;

TEST(ShmBlob, IsTheBytesOfTheSpecification) {
  const Bytes golden = testing::specified_bytes(KVFERRY_SOURCE_DIR "/docs/spec/shm.md");
  ASSERT_EQ(golden.size(), 238U);
  EXPECT_EQ(encode_blob(example()), golden);
  const auto decoded = decode_blob(golden, kMany);
  ASSERT_THAT(decoded, IsOk());
  EXPECT_EQ(*decoded, example());
}

TEST(ShmBlob, RoundTripsWithoutAndWithManyMemories) {
  ShmBlob blob = example();
  blob.memories.clear();
  EXPECT_EQ(*decode_blob(encode_blob(blob), 0), blob);
  for (std::uint64_t id = 1; id <= 1000; ++id) {
    blob.memories.push_back({id * id, id << 32U, id, Access::kReadWrite, MemoryKind::kSharedFile,
                             4096 * id, counting_from<16>(static_cast<unsigned>(id))});
  }
  EXPECT_EQ(*decode_blob(encode_blob(blob), 1000), blob);
  EXPECT_THAT(decode_blob(encode_blob(blob), 999),
              FailsWith(ErrorCode::kCorrupt, "memory count at 110: 1000 of 999"));
}

TEST(ShmBlob, RefusesEveryTruncationAndTrailingBytes) {
  Bytes bytes = encode_blob(example());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const Bytes cut{bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)};
    EXPECT_THAT(decode_blob(cut, kMany), FailsWith(ErrorCode::kCorrupt, "")) << size;
    if (size >= kBlobHeaderBytes + kBlobChecksumBytes) {
      EXPECT_THAT(decode_blob(resealed(cut), kMany), FailsWith(ErrorCode::kCorrupt, "")) << size;
    }
  }
  bytes.push_back(std::byte{0});
  EXPECT_THAT(decode_blob(bytes, kMany),
              FailsWith(ErrorCode::kCorrupt, "length at 12: 238 of 239"));
  EXPECT_THAT(decode_blob(resealed(bytes), kMany), FailsWith(ErrorCode::kCorrupt, ""));
}

TEST(ShmBlob, RefusesEveryFlippedBit) {
  const Bytes bytes = encode_blob(example());
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    Bytes flipped = bytes;
    flipped[bit / 8] ^= std::byte{1} << (bit % 8);
    const auto decoded = decode_blob(flipped, kMany);
    // The writer's own version is told, not judged; the checksum finds it like every other bit.
    EXPECT_THAT(decoded, FailsWith(ErrorCode::kCorrupt, "")) << "bit " << bit;
  }
}

TEST(ShmBlob, SurvivesForgedBytesWithARightChecksum) {
  constexpr std::uint32_t kSeed = 7;
  RecordProperty("seed", static_cast<int>(kSeed));
  std::mt19937 random{kSeed};
  const Bytes bytes = encode_blob(example());
  for (int round = 0; round < 20'000; ++round) {
    Bytes forged = bytes;
    for (unsigned change = 1 + random() % 4; change > 0; --change) {
      forged[random() % forged.size()] = static_cast<std::byte>(random());
    }
    const auto decoded = decode_blob(resealed(forged), 4);
    ASSERT_TRUE(decoded || decoded.error().code == ErrorCode::kCorrupt) << kSeed << ' ' << round;
  }
}

TEST(ShmBlob, SkipsWhatItNeedNotKnow) {
  const Bytes bytes = encode_blob(example());
  EXPECT_EQ(*decode_blob(with_section(bytes, 900, 0), kMany), example());
  EXPECT_THAT(decode_blob(with_section(bytes, 900, 1), kMany),
              FailsWith(ErrorCode::kCorrupt, "section kind at 230: 900 is required and unknown"));
  EXPECT_EQ(*decode_blob(with_number(bytes, 8, std::uint16_t{9}), kMany), example());
  EXPECT_THAT(decode_blob(with_number(bytes, 10, std::uint16_t{2}), kMany),
              FailsWith(ErrorCode::kCorrupt, "lowest reader version at 10: 2 of 1"));
}

TEST(ShmBlob, SkipsTheTailOfLongerEntries) {
  Bytes bytes = encode_blob(example());
  const Bytes tail(4, std::byte{0xEE});
  bytes.insert(bytes.end() - kBlobChecksumBytes, tail.begin(), tail.end());
  bytes.insert(bytes.begin() + kSecondAt, tail.begin(), tail.end());
  bytes = with_number(std::move(bytes), kCountAt + 4, std::uint32_t{60});
  EXPECT_EQ(*decode_blob(with_number(std::move(bytes), kMemoriesAt + 4, std::uint32_t{128}), kMany),
            example());
}

TEST(ShmBlob, RefusesSectionsThatAreThereTwiceOrNot) {
  const Bytes bytes = encode_blob(example());
  EXPECT_THAT(decode_blob(with_section(bytes, 2, 1), kMany),
              FailsWith(ErrorCode::kCorrupt, "section kind at 230: 2 is there twice"));
  for (const auto& [at, name] : {std::pair{kProcessAt, "1"}, std::pair{kNameAt, "2"},
                                 std::pair{kSocketAt, "3"}, std::pair{kMemoriesAt, "4"}}) {
    Bytes without = with_number(bytes, at + 2, std::uint16_t{0});
    without = with_number(std::move(without), at, std::uint16_t{77});
    EXPECT_THAT(
        decode_blob(without, kMany),
        FailsWith(ErrorCode::kCorrupt, "section " + std::string{name} + " at 238: is missing"));
  }
}

TEST(ShmBlob, RefusesForgedSizesAndCounts) {
  const Bytes bytes = encode_blob(example());
  constexpr auto kHuge = std::numeric_limits<std::uint32_t>::max();
  for (const std::size_t at : {kProcessAt + 4, kNameAt + 4, kSocketAt + 4, kMemoriesAt + 4}) {
    EXPECT_THAT(decode_blob(with_number(bytes, at, kHuge), kMany),
                FailsWith(ErrorCode::kCorrupt, "section length at " + std::to_string(at)));
    EXPECT_THAT(decode_blob(with_number(bytes, at, std::uint32_t{0}), kMany),
                FailsWith(ErrorCode::kCorrupt, ""));
  }
  EXPECT_THAT(decode_blob(with_number(bytes, kCountAt, kHuge), kHuge),
              FailsWith(ErrorCode::kCorrupt, "4294967295 entries of 56 bytes, 112 left"));
  EXPECT_THAT(decode_blob(with_number(bytes, kCountAt, std::uint32_t{1}), kMany),
              FailsWith(ErrorCode::kCorrupt, "1 entries of 56 bytes, 112 left"));
  EXPECT_THAT(decode_blob(with_number(bytes, kCountAt + 4, std::uint32_t{55}), kMany),
              FailsWith(ErrorCode::kCorrupt, "memory entry size"));
  EXPECT_THAT(decode_blob(with_number(bytes, kNameAt + 8, std::uint8_t{0}), kMany),
              FailsWith(ErrorCode::kCorrupt, "name at 72: holds a zero byte"));
}

TEST(ShmBlob, RefusesForgedMemories) {
  const Bytes bytes = encode_blob(example());
  constexpr auto kHuge = std::numeric_limits<std::uint64_t>::max();
  const auto refused = [](const Bytes& forged, const std::string& why) {
    EXPECT_THAT(decode_blob(forged, kMany), FailsWith(ErrorCode::kCorrupt, why));
  };
  refused(with_number(bytes, kFirstAt, std::uint64_t{3}), "memory id at 174: 3 does not follow 3");
  refused(with_number(bytes, kFirstAt + 8, kHuge), "memory size at 134");
  refused(with_number(bytes, kFirstAt + 16, kHuge), "memory size at 134");
  refused(with_number(bytes, kFirstAt + 16, std::uint64_t{0}), "memory size at 134: 0");
  refused(with_number(bytes, kFirstAt + 24, std::uint8_t{0}), "memory access at 142: 0 of 2");
  refused(with_number(bytes, kFirstAt + 24, std::uint8_t{3}), "memory access at 142: 3 of 2");
  refused(with_number(bytes, kFirstAt + 25, std::uint8_t{0}), "memory kind at 143: 0 of 2");
  refused(with_number(bytes, kFirstAt + 25, std::uint8_t{3}), "memory kind at 143: 3 of 2");
  refused(with_number(bytes, kFirstAt + 32, std::uint64_t{4096}), "control offset at 150: 4096");
  refused(with_number(bytes, kFirstAt + 32, std::uint64_t{8193}), "control offset at 150: 8193");
  refused(with_number(bytes, kFirstAt + 32, kHuge - 4095), "control offset at 150");
  refused(with_number(bytes, kSecondAt + 24, std::uint8_t{2}), "memory kind at 199: memory of a");
  refused(with_number(bytes, kSecondAt + 32, std::uint64_t{0}), "memory kind at 199");
}

}  // namespace
}  // namespace kvferry::agent
