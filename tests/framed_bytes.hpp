// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <xxhash.h>

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <span>
#include <sstream>
#include <string>
#include <vector>

// Messages that say their length and end with an XXH3-64 of all before it, as the specifications
// give them and as a forger makes them.

namespace kvferry::testing {

/// Puts `value` at `at`, little endian, as many bytes as T has.
template <class T>
void put_number(std::vector<std::byte>& bytes, std::size_t at, T value) {
  for (std::size_t byte = 0; byte < sizeof(T); ++byte) {
    bytes.at(at + byte) = static_cast<std::byte>(value >> (8 * byte));
  }
}

/// `message` with its length (4 bytes at `length_at`) and its checksum made right again, so that
/// the checks behind them are reached.
[[nodiscard]] inline std::vector<std::byte> resealed(std::span<const std::byte> message,
                                                     std::size_t length_at) {
  std::vector<std::byte> bytes{message.begin(), message.end()};
  const std::size_t end = bytes.size() - sizeof(std::uint64_t);
  put_number(bytes, length_at, static_cast<std::uint32_t>(bytes.size()));
  put_number(bytes, end, std::uint64_t{XXH3_64bits(bytes.data(), end)});
  return bytes;
}

/// The bytes of the example in a page of the specification: the block of hex under "### Example".
[[nodiscard]] inline std::vector<std::byte> specified_bytes(const std::string& page) {
  std::ifstream file{page};
  const std::string text{std::istreambuf_iterator<char>{file}, {}};
  const std::size_t start = text.find("```", text.find("### Example")) + 3;
  std::istringstream hex{text.substr(start, text.find("```", start) - start)};
  std::vector<std::byte> bytes;
  for (unsigned value = 0; hex >> std::hex >> value;) {
    bytes.push_back(static_cast<std::byte>(value));
  }
  return bytes;
}

}  // namespace kvferry::testing
