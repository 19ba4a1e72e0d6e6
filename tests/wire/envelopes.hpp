// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <xxhash.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "kvferry/wire/envelope.hpp"
#include "samples.hpp"

// Envelopes to test with, written byte by byte: Protocol Buffers and the frame as the specification
// says them, and nothing of the code under test.

namespace kvferry::wire::samples {

inline std::string varint(std::uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7U) {
    out += static_cast<char>((value & 0x7FU) | 0x80U);
  }
  return out + static_cast<char>(value);
}

inline std::string little(std::uint64_t value, std::size_t bytes) {
  std::string out;
  for (std::size_t i = 0; i < bytes; ++i) {
    out += static_cast<char>(value >> (8 * i));
  }
  return out;
}

inline std::string number_field(std::uint64_t field, std::uint64_t value) {
  return varint(field << 3U) + varint(value);
}
inline std::string fixed_field(std::uint64_t field, std::uint64_t value) {
  return varint(field << 3U | 1U) + little(value, 8);
}
inline std::string bytes_field(std::uint64_t field, std::string_view value) {
  return varint(field << 3U | 2U) + varint(value.size()) + std::string{value};
}

inline Bytes bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span{text});
  return {bytes.begin(), bytes.end()};
}

/// The parts of a frame, each of which a test can replace; the checksum is made right.
struct Frame {
  std::string magic{"KVFY"};
  std::uint64_t version{1};
  std::uint64_t reader_min{1};
  std::uint64_t header_bytes{48};
  std::uint64_t signature_kind{0};
  std::uint64_t reserved{0};
  std::uint64_t body_bytes{0};  ///< 0: that of the body
  std::uint64_t reserved_too{0};
  std::string more_header{};
  std::string body{};
  std::string trailer{};

  [[nodiscard]] Bytes bytes() const {
    const std::string before = magic + little(version, 2) + little(reader_min, 2) +
                               little(header_bytes, 2) + little(signature_kind, 2) +
                               little(reserved, 4) +
                               little(body_bytes == 0 ? body.size() : body_bytes, 8);
    const std::string after = little(reserved_too, 8) + more_header + body;
    const std::string covered = before + after;
    const XXH128_hash_t sum = XXH3_128bits(covered.data(), covered.size());
    return bytes_of(before + little(sum.low64, 8) + little(sum.high64, 8) + after + trailer);
  }
};

/// A body with the fields that must be there, and more after them.
inline std::string body_with(std::string_view more) {
  return bytes_field(2, "w") + bytes_field(3, std::string(15, '\0') + '\1') + number_field(4, 1) +
         std::string{more};
}

/// An envelope of that body.
inline Bytes framed(std::string_view body) { return Frame{.body = std::string{body}}.bytes(); }

/// One layout with the fields that must be there, and more after them.
inline std::string layout_with(std::string_view more) {
  return number_field(2, 1) + number_field(4, 1) + number_field(6, 1) + std::string{more};
}

/// The description of a layout that is packed.
inline layout::PackedLayout& packed_in(EnvelopeLayout& layout) {
  return std::get<layout::PackedLayout>(layout.description);
}
inline layout::PackedLayout packed_in(const EnvelopeLayout& layout) {
  return std::get<layout::PackedLayout>(layout.description);
}

/// The same as values.
inline Envelope small_envelope() {
  Envelope envelope;
  envelope.worker_address = {WorkerId{7}, "prefill"};
  envelope.epoch = {1, 2};
  envelope.agents.push_back(AgentBlob{"shm", from_hex("0102"), {}});
  EnvelopeLayout layout;
  layout.id = LayoutId{3};
  layout.description = layout::PackedLayout{.config = {.num_blocks = 4,
                                                       .num_layers = 2,
                                                       .outer_dim = 2,
                                                       .page_size = 16,
                                                       .inner_dim = 64,
                                                       .num_heads = 8},
                                            .order = layout::kHnd};
  layout.regions = {{0x1000, 0x8000}};
  envelope.layouts.push_back(layout);
  return envelope;
}

}  // namespace kvferry::wire::samples
