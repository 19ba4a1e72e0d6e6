// SPDX-License-Identifier: Apache-2.0
// Goal: a control message is exactly the bytes of docs/spec/control.md, and no other bytes are
// taken for one; what is from a newer version can still be answered.
// Method: the page's example; every truncation and every flipped bit of every type; forged
// fields with a right checksum, so that the checks behind it are reached.
#include "wire/control.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <sstream>

#include "framed_bytes.hpp"
#include "kvferry/base/try.hpp"
#include "kvferry/testing/matchers.hpp"

namespace kvferry::wire {
namespace {

using kvferry::testing::FailsWith;
using kvferry::testing::IsOk;
using Bytes = std::vector<std::byte>;
using std::chrono::milliseconds;

constexpr ControlRequest kRequest{{0x0102030405060708, 0x1112131415161718}, 7};

Bytes bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span{text});
  return {bytes.begin(), bytes.end()};
}

ControlMessage message(ControlBody body) { return {kRequest, std::nullopt, std::move(body)}; }

ControlMessage example() {
  Hold hold;
  hold.layout = LayoutHandle{WorkerId{7}, LayoutId{3}};
  hold.duration = milliseconds{2000};
  hold.blocks = block_ids({4, 9});
  hold.sequences = {10, 12};
  return {kRequest, ControlContact{WorkerId{8}, bytes_of("contact")}, std::move(hold)};
}

ControlMessage question() {
  AskDigests ask;
  ask.layout = LayoutHandle{WorkerId{7}, LayoutId{3}};
  ask.plane = "scales";
  ask.duration = milliseconds{500};
  ask.outers = 2;
  ask.first_head = 4;
  ask.heads = 2;
  ask.boxes = {{BlockId{9}, 3, 0, 16}, {BlockId{4}, 3, 8, 8}};
  return {kRequest, ControlContact{WorkerId{8}, bytes_of("contact")}, std::move(ask)};
}

/// One message of every type, and of every form of it.
std::vector<ControlMessage> samples() {
  ControlMessage plain = example();
  std::get<Hold>(plain.body).sequences.clear();
  plain.contact.reset();
  ControlMessage unnamed = question();
  std::get<AskDigests>(unnamed.body).plane.clear();
  return {question(),
          unnamed,
          message(ToldDigests{{{1, 2}, {~std::uint64_t{0}, 0}}}),
          example(),
          plain,
          message(Held{}),
          message(Refused{{ErrorCode::kRefused, "not now"}}),
          message(Refused{{ErrorCode::kBusy, ""}}),
          message(Release{}),
          message(Release{Error{ErrorCode::kDeadline, "3 of 4 bytes"}})};
}

Result<ControlMessage> decode(std::span<const std::byte> bytes) {
  KVFERRY_ASSIGN_OR_RETURN(const ControlFrame frame, open_control(bytes));
  return read_control(frame);
}

/// The message with length and checksum made right again.
Bytes resealed(const Bytes& bytes) { return testing::resealed(bytes, 8); }

Bytes specified_bytes() {
  return testing::specified_bytes(KVFERRY_SOURCE_DIR "/docs/spec/control.md");
}

template <class T>
Bytes with_number(Bytes bytes, std::size_t at, T value) {
  testing::put_number(bytes, at, value);
  return resealed(bytes);
}

// Where things lie in the example.
constexpr std::size_t kContactLengthAt = 12;
constexpr std::size_t kBodyAt = 40 + 8 + 7;

TEST(Control, IsTheBytesOfTheSpecification) {
  const auto written = encode_control(example());
  ASSERT_THAT(written, IsOk());
  std::ostringstream shown;
  for (const std::byte byte : *written) {
    shown << std::hex << (byte < std::byte{16} ? "0" : "") << std::to_integer<unsigned>(byte)
          << ' ';
  }
  EXPECT_EQ(*written, specified_bytes()) << shown.str();
  const auto decoded = decode(specified_bytes());
  ASSERT_THAT(decoded, IsOk());
  EXPECT_EQ(*decoded, example());
  EXPECT_EQ(specified_bytes().size(), 127U);
}

TEST(Control, RoundTripsEveryType) {
  for (const ControlMessage& sample : samples()) {
    const auto bytes = encode_control(sample);
    ASSERT_THAT(bytes, IsOk());
    EXPECT_TRUE(is_control(*bytes));
    const auto decoded = decode(*bytes);
    ASSERT_THAT(decoded, IsOk());
    EXPECT_EQ(*decoded, sample);
  }
  EXPECT_FALSE(is_control({}));
  EXPECT_FALSE(is_control(bytes_of("KVFX and more")));
}

TEST(Control, RefusesEveryTruncationAndTrailingBytes) {
  for (const ControlMessage& sample : samples()) {
    Bytes bytes = *encode_control(sample);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      const Bytes cut{bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)};
      EXPECT_THAT(decode(cut), FailsWith(ErrorCode::kCorrupt, "")) << size;
    }
    bytes.push_back(std::byte{0});
    EXPECT_THAT(decode(bytes), FailsWith(ErrorCode::kCorrupt, "length at 8"));
  }
}

TEST(Control, RefusesEveryFlippedBit) {
  for (const ControlMessage& sample : samples()) {
    const Bytes bytes = *encode_control(sample);
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      Bytes flipped = bytes;
      flipped[bit / 8] ^= std::byte{1} << (bit % 8);
      EXPECT_THAT(decode(flipped), FailsWith(ErrorCode::kCorrupt, "")) << "bit " << bit;
    }
  }
}

TEST(Control, SurvivesForgedBytesWithARightChecksum) {
  constexpr std::uint32_t kSeed = 7;
  RecordProperty("seed", static_cast<int>(kSeed));
  std::mt19937 random{kSeed};
  for (const ControlMessage& sample : samples()) {
    const Bytes bytes = *encode_control(sample);
    for (int round = 0; round < 20'000; ++round) {
      Bytes forged = bytes;
      for (unsigned change = 1 + random() % 4; change > 0; --change) {
        forged[random() % forged.size()] = static_cast<std::byte>(random());
      }
      forged = resealed(forged);
      const auto decoded = decode(forged);
      if (decoded) {
        ASSERT_EQ(*encode_control(*decoded), forged) << kSeed << ' ' << round;
      } else {
        ASSERT_TRUE(decoded.error().code == ErrorCode::kCorrupt ||
                    decoded.error().code == ErrorCode::kIncompatible)
            << kSeed << ' ' << round;
      }
    }
  }
}

TEST(Control, WhatIsNewerCanStillBeAnswered) {
  const Bytes bytes = *encode_control(example());
  const std::vector<std::pair<Bytes, std::string>> newer{
      {with_number(bytes, 4, std::uint16_t{2}), "of version 2 are not known here"},
      {with_number(bytes, 4, std::uint16_t{0}), "of version 0"},
      {with_number(bytes, 6, std::uint16_t{7}), "of type 7 are not known here, only 1 to 6"},
      {with_number(bytes, 6, std::uint16_t{0}), "of type 0"}};
  for (const auto& [forged, why] : newer) {
    const auto frame = open_control(forged);
    ASSERT_THAT(frame, IsOk());
    EXPECT_EQ(frame->request, kRequest);
    EXPECT_EQ(frame->contact, example().contact);
    EXPECT_THAT(read_control(*frame), FailsWith(ErrorCode::kIncompatible, why));
  }
}

TEST(Control, RefusesForgedContacts) {
  const Bytes bytes = *encode_control(example());
  const auto refused = [&bytes](std::uint32_t length, const std::string& why) {
    EXPECT_THAT(decode(with_number(bytes, kContactLengthAt, length)),
                FailsWith(ErrorCode::kCorrupt, why));
  };
  refused(8, "contact length at 12: 8 of 79");
  refused(80, "contact length at 12: 80 of 79");
  refused(std::numeric_limits<std::uint32_t>::max(), "contact length at 12: 4294967295 of 79");
  Bytes longer = bytes;
  longer.insert(longer.begin() + 50, 5000, std::byte{1});
  EXPECT_THAT(decode(with_number(longer, kContactLengthAt, std::uint32_t{4097})),
              FailsWith(ErrorCode::kCorrupt, "contact length at 12: 4097 of 4096"));
}

TEST(Control, RefusesForgedHolds) {
  const Bytes bytes = *encode_control(example());
  const auto refused = [](const Bytes& forged, const std::string& why) {
    EXPECT_THAT(decode(forged), FailsWith(ErrorCode::kCorrupt, why));
  };
  constexpr auto kHuge = std::numeric_limits<std::uint32_t>::max();
  refused(with_number(bytes, kBodyAt + 16, std::uint64_t{0}), "duration at 16: 0 of 864000000000");
  refused(with_number(bytes, kBodyAt + 16, std::uint64_t{864'000'000'001}), "duration at 16");
  refused(with_number(bytes, kBodyAt + 24, std::uint32_t{0}), "block count at 24: 2 of 7168");
  refused(with_number(bytes, kBodyAt + 24, kHuge), "block count at 24: 4294967297 of 7168");
  refused(with_number(bytes, kBodyAt + 24, std::uint32_t{3}), "sequence count at 28: 2 of 3");
  refused(with_number(bytes, kBodyAt + 28, std::uint32_t{0}), "2 numbers in 32 bytes");
  refused(with_number(bytes, kBodyAt + 28, std::uint32_t{1}), "sequence count at 28: 1 of 2");
}

TEST(Control, RefusesForgedQuestions) {
  const Bytes bytes = *encode_control(question());
  const auto refused = [](const Bytes& forged, const std::string& why) {
    EXPECT_THAT(decode(forged), FailsWith(ErrorCode::kCorrupt, why));
  };
  constexpr auto kHuge = std::numeric_limits<std::uint32_t>::max();
  refused(with_number(bytes, kBodyAt + 16, std::uint64_t{0}), "duration at 16: 0 of 864000000000");
  refused(with_number(bytes, kBodyAt + 56, std::uint32_t{0}), "box count at 56: 0 of 2048");
  refused(with_number(bytes, kBodyAt + 56, kHuge), "box count at 56: 4294967295 of 2048");
  refused(with_number(bytes, kBodyAt + 56, std::uint32_t{3}),
          "boxes at 64: 3 boxes and a name of 6 in 46 bytes");
  refused(with_number(bytes, kBodyAt + 60, std::uint32_t{65}), "plane length at 60: 65 of 64");
  refused(with_number(bytes, kBodyAt + 60, std::uint32_t{7}),
          "boxes at 64: 2 boxes and a name of 7 in 46 bytes");
  const Bytes told = *encode_control(message(ToldDigests{{{1, 2}}}));
  refused(with_number(told, 40, std::uint32_t{0}), "digests at 0: 0 of 2048 in 16 bytes");
  refused(with_number(told, 40, std::uint32_t{2}), "digests at 0: 2 of 2048 in 16 bytes");
  refused(with_number(told, 40, kHuge), "digests at 0: 4294967295 of 2048");
}

TEST(Control, WritesNoQuestionAboveItsLimits) {
  ControlMessage asking = question();
  auto& ask = std::get<AskDigests>(asking.body);
  const auto refused = [&asking](const std::string& why) {
    EXPECT_THAT(encode_control(asking), FailsWith(ErrorCode::kInvalidArgument, why));
  };
  ask.plane.assign(kControlPlaneBytesMax, 'p');
  ask.boxes.assign(kDigestsMax, {BlockId{1}, 2, 3, 4});
  asking.contact->blob.assign(kControlContactBytesMax - 8, std::byte{1});
  const auto longest = encode_control(asking);
  ASSERT_THAT(longest, IsOk());
  EXPECT_LE(longest->size(), kControlBytesMax);
  EXPECT_EQ(*decode(*longest), asking);
  ask.boxes.push_back({});
  refused("boxes: 2049, 1 to 2048");
  ask.boxes.clear();
  refused("boxes: 0, 1 to 2048");
  ask.boxes = {{BlockId{1}, std::uint64_t{1} << 32U, 0, 1}};
  refused("box: 4294967296 of 4294967295");
  ask.boxes = {{BlockId{1}, 0, 0, 1}};
  ask.plane += 'p';
  refused("plane: 65 of 64 bytes");
  ask.plane.clear();
  ask.duration = milliseconds{0};
  refused("a duration of 0 ms");
  EXPECT_THAT(encode_control(message(ToldDigests{})),
              FailsWith(ErrorCode::kInvalidArgument, "digests: 0, 1 to 2048"));
  const auto answer = encode_control(message(ToldDigests{std::vector<Digest>(kDigestsMax)}));
  ASSERT_THAT(answer, IsOk());
  EXPECT_LE(answer->size(), kControlBytesMax);
}

TEST(Control, RefusesForgedAnswers) {
  const auto refused = [](const Bytes& forged, const std::string& why) {
    EXPECT_THAT(decode(forged), FailsWith(ErrorCode::kCorrupt, why));
  };
  const Bytes refusal = *encode_control(message(Refused{{ErrorCode::kBusy, "x"}}));
  refused(with_number(refusal, 40, std::uint16_t{0}), "error text at 2: 1 of 0 bytes");
  refused(with_number(refusal, 40, std::uint16_t{11}), "error code at 0: 11 of 10");
  const Bytes silent = *encode_control(message(Refused{{ErrorCode::kBusy, ""}}));
  refused(with_number(silent, 40, std::uint16_t{0}), "error code at 0: 0 refuses nothing");
  const Bytes held = *encode_control(message(Held{}));
  refused(with_number(held, 32, std::uint64_t{0}), "request number at 32: 0 is not at least 1");
  refused(with_number(held, 6, std::uint16_t{4}), "error code at 0: 0 of 2 bytes");
  refused(with_number(held, 6, std::uint16_t{5}), "digests asked at 0: 0 of 64 bytes");
  Bytes longer = held;
  longer.insert(longer.begin() + 40, std::byte{1});
  refused(resealed(longer), "held at 0: 1 of 0 bytes");
  longer = refusal;
  longer.insert(longer.begin() + 42, 1024, std::byte{'a'});
  refused(resealed(longer), "error text at 2: 1025 of 1024 bytes");
}

TEST(Control, WritesNothingAboveItsLimits) {
  ControlMessage hold = example();
  auto& asked = std::get<Hold>(hold.body);
  asked.sequences.pop_back();
  EXPECT_THAT(encode_control(hold),
              FailsWith(ErrorCode::kInvalidArgument, "1 sequences for 2 blocks"));
  asked.sequences.clear();
  asked.blocks.assign(kHoldNumbersMax, BlockId{1});
  hold.contact->blob.assign(kControlContactBytesMax - 8, std::byte{1});
  const auto longest = encode_control(hold);
  ASSERT_THAT(longest, IsOk());
  EXPECT_LE(longest->size(), kControlBytesMax);
  EXPECT_EQ(*decode(*longest), hold);
  asked.blocks.push_back(BlockId{1});
  EXPECT_THAT(encode_control(hold),
              FailsWith(ErrorCode::kInvalidArgument, "7169 block ids and sequences, 1 to 7168"));
  asked.blocks.clear();
  EXPECT_THAT(encode_control(hold), FailsWith(ErrorCode::kInvalidArgument, "0 block ids"));
  asked.blocks = block_ids({1});
  asked.duration = milliseconds{0};
  EXPECT_THAT(encode_control(hold), FailsWith(ErrorCode::kInvalidArgument, "duration of 0 ms"));
  asked.duration = milliseconds::max();
  EXPECT_THAT(encode_control(hold),
              FailsWith(ErrorCode::kInvalidArgument, "ms, from 1 to 864000000000"));
  asked.duration = milliseconds{1};
  hold.request.number = 0;
  EXPECT_THAT(encode_control(hold), FailsWith(ErrorCode::kInvalidArgument, "request number: 0"));
  hold.request.number = 7;
  hold.contact->blob.push_back(std::byte{1});
  EXPECT_THAT(encode_control(hold),
              FailsWith(ErrorCode::kInvalidArgument, "contact of 4097 of 4096 bytes"));
  hold.contact->blob.clear();
  EXPECT_THAT(encode_control(hold), FailsWith(ErrorCode::kInvalidArgument, "contact of 8"));
  EXPECT_THAT(open_control(Bytes(kControlBytesMax + 1)),
              FailsWith(ErrorCode::kCorrupt, "65537 bytes, 48 to 65536"));
}

TEST(Control, CutsLongTextsBetweenCharacters) {
  std::string text(1023, 'a');
  text += "\xC3\xA9 and more";
  const auto bytes = encode_control(message(Refused{{ErrorCode::kBusy, text}}));
  ASSERT_THAT(bytes, IsOk());
  EXPECT_EQ(std::get<Refused>(decode(*bytes)->body).why.message, std::string(1023, 'a'));
}

}  // namespace
}  // namespace kvferry::wire
