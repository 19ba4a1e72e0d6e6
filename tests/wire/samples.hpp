// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvferry/base/result.hpp"
#include "kvferry/wire/metadata.hpp"

// Messages to test with, written down apart from the code under test.

namespace kvferry::wire::samples {

using Bytes = std::vector<std::byte>;

/// The bytes that hex digits stand for; anything else between them is passed over.
inline Bytes from_hex(std::string_view text) {
  Bytes bytes;
  int high{-1};
  for (const char c : text) {
    const std::size_t digit = std::string_view{"0123456789abcdef"}.find(c);
    if (digit == std::string_view::npos) {
      continue;
    }
    if (high < 0) {
      high = static_cast<int>(digit);
    } else {
      bytes.push_back(static_cast<std::byte>(high * 16 + static_cast<int>(digit)));
      high = -1;
    }
  }
  EXPECT_LT(high, 0) << "an odd number of hex digits";
  return bytes;
}

inline std::string to_hex(std::span<const std::byte> bytes) {
  constexpr std::string_view kDigits{"0123456789abcdef"};
  std::string text;
  for (const std::byte byte : bytes) {
    text += kDigits[std::to_integer<std::size_t>(byte >> 4)];
    text += kDigits[std::to_integer<std::size_t>(byte & std::byte{15})];
  }
  return text;
}

/// `value` behind `marker`, in 2^(marker - 250) bytes.
inline Bytes marked(std::uint64_t value, int marker) {
  Bytes bytes{static_cast<std::byte>(marker)};
  for (int i = 0; i < (1 << (marker - 250)); ++i) {
    bytes.push_back(i < 8 ? static_cast<std::byte>(value >> (8 * i)) : std::byte{0});
  }
  return bytes;
}

/// `value` in its shortest form.
inline Bytes shortest(std::uint64_t value) {
  if (value < 251) return {static_cast<std::byte>(value)};
  if (value < 65'536) return marked(value, 251);
  if (value < 4'294'967'296) return marked(value, 252);
  return marked(value, 253);
}

/// The seed's message in named pieces, each of which a test can replace.
class Pieces {
 public:
  /// The message with `bytes` in place of the piece called `name`.
  [[nodiscard]] Pieces with(std::string_view name, Bytes bytes) const {
    Pieces changed = *this;
    for (auto& piece : changed.pieces_) {
      if (piece.first == name) {
        piece.second = std::move(bytes);
        return changed;
      }
    }
    ADD_FAILURE() << "no piece called " << name;
    return changed;
  }

  [[nodiscard]] Bytes bytes() const {
    Bytes all;
    for (const auto& piece : pieces_) {
      all.insert(all.end(), piece.second.begin(), piece.second.end());
    }
    return all;
  }

  /// Where the piece called `name` begins.
  [[nodiscard]] std::size_t offset(std::string_view name) const {
    std::size_t at{0};
    for (const auto& piece : pieces_) {
      if (piece.first == name) {
        return at;
      }
      at += piece.second.size();
    }
    ADD_FAILURE() << "no piece called " << name;
    return at;
  }

 private:
  std::vector<std::pair<std::string, Bytes>> pieces_{
      {"worker_id", from_hex("64")},
      {"agent_length", from_hex("0a")},
      {"agent", from_hex("776f726b65725f313030")},
      {"blob_length", from_hex("05")},
      {"blob", from_hex("0102030405")},
      {"layout_count", from_hex("01")},
      {"handle", from_hex("fe 6400000000000000 0100000000000000")},
      {"version", from_hex("01")},
      {"num_blocks", from_hex("02")},
      {"num_layers", from_hex("02")},
      {"outer_dim", from_hex("02")},
      {"page_size", from_hex("04")},
      {"inner_dim", from_hex("08")},
      {"alignment", from_hex("01")},
      {"dtype_width_bytes", from_hex("02")},
      {"inner_shape", from_hex("00")},
      {"location", from_hex("00")},
      {"name_length", from_hex("04")},
      {"name", from_hex("74657374")},
      {"mem_type", from_hex("00")},
      {"device_id", from_hex("00")},
      {"region_count", from_hex("01")},
      {"addr", from_hex("fb0010")},
      {"size", from_hex("fb0010")},
      {"details", from_hex("00")},
      {"details_inner", from_hex("00")},
  };
};

/// The layout of the seed's tests.
inline LayoutDescriptor seed_layout() {
  LayoutDescriptor layout;
  layout.layout_config = {.num_blocks = 2,
                          .num_layers = 2,
                          .outer_dim = 2,
                          .page_size = 4,
                          .inner_dim = 8,
                          .alignment = 1,
                          .dtype_width_bytes = 2};
  layout.nixl_metadata = {"test", MemType::kDram, 0};
  layout.memory_descriptors = {{4096, 4096}};
  return layout;
}

inline LocalLayoutDescriptor seed_local(std::uint64_t worker, std::uint16_t layout) {
  return {LayoutHandle{WorkerId{worker}, LayoutId{layout}}, seed_layout()};
}

/// The message that Pieces is the bytes of.
inline RdmaLayoutDescriptors seed_message() {
  return {{WorkerId{100}, "worker_100"}, from_hex("0102030405"), {seed_local(100, 1)}};
}

/// A message that breaks no rule: 3 layers on device 3 with the block second.
inline RdmaLayoutDescriptors clean_message() {
  LayoutDescriptor layout = seed_layout();
  layout.layout_config.num_layers = 3;
  layout.layout_config.inner_shape = layout::InnerShape::kNhd;
  layout.location = StorageKind::device(3);
  layout.nixl_metadata = {"worker-7", MemType::kVram, 3};
  layout.memory_descriptors = {{4096, 256}, {8192, 256}, {12'288, 256}};
  layout.layout_type_details = LayerSeparateDetails{layout::BlockDimension::kBlockIsSecondDim};
  return {{WorkerId{7}, "worker-7"},
          from_hex("aabb"),
          {{LayoutHandle{WorkerId{7}, LayoutId{0}}, layout}}};
}

template <class T>
void expect_fails(const Result<T>& result, ErrorCode code, std::string_view part) {
  ASSERT_FALSE(result) << "no error, expected: " << part;
  EXPECT_EQ(result.error().code, code);
  EXPECT_NE(result.error().message.find(part), std::string::npos)
      << "message: " << result.error().message << "\nexpected: " << part;
}

}  // namespace kvferry::wire::samples
