// SPDX-License-Identifier: Apache-2.0
// Any bytes are a blob or refused with kCorrupt; what is read is written and read again the same.
// A checksum keeps nearly every change away from the code behind it, so each input is also looked
// at with length and checksum made right.
#include "agent/shm_blob.hpp"

#include <algorithm>

#include "fuzz/fuzz.hpp"
#include "tests/framed_bytes.hpp"

namespace kvferry::fuzz {
namespace {

constexpr std::size_t kMany = 65'536;
constexpr std::size_t kLengthAt = 12;

void check_blob(const agent::ShmBlob& blob) {
  must(!blob.name.empty() && blob.name.size() <= agent::kAgentNameBytesMax, "the name is short");
  must(!blob.socket_path.empty() && blob.socket_path.size() <= agent::kSocketPathBytesMax,
       "the socket's path fits");
  std::uint64_t above{0};
  bool first{true};
  for (const agent::BlobMemory& memory : blob.memories) {
    must(first || memory.id > above, "memories are ascending by id");
    must(memory.size_bytes > 0, "a memory holds something");
    must(memory.address + memory.size_bytes > memory.address, "a memory has an end");
    above = memory.id;
    first = false;
  }
}

void check(std::span<const std::byte> bytes) {
  const auto blob = agent::decode_blob(bytes, kMany);
  if (!blob) {
    must(blob.error().code == ErrorCode::kCorrupt, "what is no blob is kCorrupt");
    must(blob.error().message.find(" at ") != std::string::npos, "a refusal says where");
    return;
  }
  check_blob(*blob);
  const std::size_t count = blob->memories.size();
  must(count == 0 || !agent::decode_blob(bytes, count - 1), "no more memories than are allowed");
  const std::vector<std::byte> written = agent::encode_blob(*blob);
  const auto again = agent::decode_blob(written, count);
  must(again.has_value(), "what was written is read");
  must(*again == *blob, "what was written says the same");
  must(written.size() <= bytes.size(), "what is written takes no more bytes");
}

}  // namespace

void one_input(std::span<const std::byte> input) {
  check(input);
  if (input.size() >= agent::kBlobHeaderBytes + agent::kBlobChecksumBytes) {
    check(testing::resealed(input, kLengthAt));
  }
}

}  // namespace kvferry::fuzz
