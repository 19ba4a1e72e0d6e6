// SPDX-License-Identifier: Apache-2.0
// Goal: decoding allocates at most three times whatever the message, and a hostile message cannot
// make it hold more than it sent. Method: a counting operator new, which is why this is a program
// of its own.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "counting_new.hpp"
#include "kvferry/wire/message_view.hpp"
#include "samples.hpp"
#include "wire/encoder.hpp"

namespace kvferry::wire {
namespace {

using samples::Bytes;
using samples::counts;
using samples::Counts;
using samples::Pieces;
using samples::shortest;

/// What one decoding of `bytes` allocates.
Counts decoding(const Bytes& bytes, bool accepted) {
  counts() = Counts{.on = true};
  const auto view = decode_view(bytes);
  counts().on = false;
  EXPECT_EQ(view.has_value(), accepted);
  return counts();
}

RdmaLayoutDescriptors large_message(std::size_t layouts, std::size_t layers) {
  RdmaLayoutDescriptors message = samples::clean_message();
  LocalLayoutDescriptor local = message.layouts[0];
  local.layout.memory_descriptors.assign(layers, Region{0x7f1234000000, 65'536'000});
  message.layouts.assign(layouts, local);
  // Not all alike, so that no guess from the first layout serves.
  for (std::size_t i = 0; i < layouts; i += 3) {
    message.layouts[i].layout.memory_descriptors.resize(1);
  }
  return message;
}

TEST(DecodeView, AllocatesAtMostThreeTimes) {
  for (const auto& [layouts, layers] :
       std::vector<std::pair<std::size_t, std::size_t>>{{0, 0}, {1, 1}, {8, 80}, {1000, 80}}) {
    const RdmaLayoutDescriptors message = large_message(layouts, layers);
    const Bytes bytes = encode_owned(message.worker_address, message.nixl_metadata, message.layouts,
                                     MessageFormat::kA);
    const Counts made = decoding(bytes, true);
    EXPECT_LE(made.allocations, 3U);
    EXPECT_LE(made.bytes, layouts * (sizeof(LocalLayoutView) + layers * sizeof(Region)));
  }
}

TEST(DecodeView, AllocatesNothingForOneLayoutWithOneRegion) {
  const RdmaLayoutDescriptors message = large_message(1, 1);
  const Bytes bytes = encode_owned(message.worker_address, message.nixl_metadata, message.layouts,
                                   MessageFormat::kA);
  EXPECT_EQ(decoding(bytes, true).allocations, 0U);
}

TEST(DecodeView, AllocatesOnceAndExactlyWhereLayoutsAreAlike) {
  RdmaLayoutDescriptors message = large_message(100, 80);
  message.layouts.assign(100, message.layouts[1]);
  const Bytes bytes = encode_owned(message.worker_address, message.nixl_metadata, message.layouts,
                                   MessageFormat::kA);
  const Counts made = decoding(bytes, true);
  EXPECT_EQ(made.allocations, 1U);
  EXPECT_EQ(made.bytes, 100 * (sizeof(LocalLayoutView) + 80 * sizeof(Region)));
}

TEST(DecodeView, AllocatesAtMostThreeTimesWhateverTheFormatAndTheNames) {
  for (const MessageFormat format : {MessageFormat::kA, MessageFormat::kB}) {
    for (const std::string_view name : {"worker-7", "another"}) {
      RdmaLayoutDescriptors message = large_message(100, 80);
      for (LocalLayoutDescriptor& local : message.layouts) {
        local.layout.layout_config.inner_shape = layout::InnerShape::kUnknown;
        local.layout.nixl_metadata.agent_name = name;
      }
      const Bytes bytes =
          encode_owned(message.worker_address, message.nixl_metadata, message.layouts, format);
      EXPECT_LE(decoding(bytes, true).allocations, 3U) << to_string(format) << ' ' << name;
    }
  }
}

TEST(DecodeView, AllocatesAtMostThreeTimesForEveryMessageOfTheOriginal) {
  std::size_t messages{0};
  for (const auto& file : std::filesystem::directory_iterator{KVFERRY_SOURCE_DIR "/vectors"}) {
    if (file.path().extension() != ".bin") {
      continue;
    }
    std::ifstream stream{file.path(), std::ios::binary};
    const std::string text{std::istreambuf_iterator<char>{stream}, {}};
    const auto read = std::as_bytes(std::span{text});
    EXPECT_LE(decoding({read.begin(), read.end()}, true).allocations, 3U) << file.path();
    ++messages;
  }
  EXPECT_GT(messages, 100U);
}

TEST(Pack, AllocatesOnceOrTwice) {
  for (const std::size_t layouts : {1U, 100U}) {
    const RdmaLayoutDescriptors message = large_message(layouts, 80);
    counts() = Counts{.on = true};
    const Bytes bytes = encode_owned(message.worker_address, message.nixl_metadata, message.layouts,
                                     MessageFormat::kA);
    counts().on = false;
    EXPECT_EQ(counts().allocations, layouts == 1 ? 1U : 2U);
    // The longest that its numbers could be, and itself.
    EXPECT_LE(counts().bytes, 3 * bytes.size());
  }
}

TEST(DecodeView, HoldsNothingForAnnouncedLengthsThatAreNotThere) {
  for (const std::string_view piece :
       {"agent_length", "blob_length", "layout_count", "name_length", "region_count"}) {
    for (unsigned bits = 7; bits < 64; ++bits) {
      SCOPED_TRACE(std::string{piece} + " 2^" + std::to_string(bits));
      const Bytes bytes = Pieces{}.with(piece, shortest(1ULL << bits)).bytes();
      // The one layout of the message and the error's text.
      EXPECT_LE(decoding(bytes, false).bytes, 2048U);
    }
  }
}

TEST(DecodeView, HoldsInProportionToAMessageThatItAccepts) {
  // As short as layouts can be, with a first one that says little of the others.
  for (const std::size_t first : {0U, 1U, 10U}) {
    for (const std::size_t last : {0U, 1U, 10U}) {
      RdmaLayoutDescriptors message = samples::clean_message();
      LocalLayoutDescriptor shortest = message.layouts[0];
      shortest.handle = {};
      shortest.layout = {};
      message.layouts.assign(10'000, shortest);
      message.layouts.front().layout.memory_descriptors.resize(first);
      message.layouts.back().layout.memory_descriptors.resize(last);
      const Bytes bytes = encode_owned(message.worker_address, message.nixl_metadata,
                                       message.layouts, MessageFormat::kA);
      counts() = Counts{.on = true};
      const auto view = decode_view_as(MessageFormat::kA, bytes);
      counts().on = false;
      EXPECT_TRUE(view.has_value());
      EXPECT_LE(counts().bytes, 20 * bytes.size()) << first << ' ' << last;
    }
  }
}

TEST(DecodeView, HoldsInProportionToTheMessage) {
  // Counts that could just be true, and then nothing of what they announce.
  for (const std::string_view piece : {"layout_count", "region_count"}) {
    for (const std::size_t length : {1000U, 100'000U, 1'000'000U}) {
      const std::size_t room = length / (piece == "layout_count" ? 17 : 2);
      Bytes bytes = Pieces{}.with(piece, shortest(std::min<std::size_t>(room, 65'536))).bytes();
      bytes.resize(bytes.size() + length, std::byte{0xFF});
      // As if all of it were the shortest layouts, and again the shortest regions.
      EXPECT_LE(decoding(bytes, false).bytes,
                2048 + length * sizeof(LocalLayoutView) / 17 + length * sizeof(Region) / 2);
    }
  }
}

}  // namespace
}  // namespace kvferry::wire
