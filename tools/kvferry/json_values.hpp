// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvferry/base/result.hpp"
#include "kvferry/base/storage_kind.hpp"

// The values that the documents of messages are made of. Errors are kCorrupt and name the path.

namespace kvferry::tool {

inline constexpr std::uint64_t kMax64 = std::numeric_limits<std::uint64_t>::max();

/// A number, or above what every JSON reader keeps a decimal string.
[[nodiscard]] nlohmann::ordered_json integer(std::uint64_t value);

/// Lower-case hexadecimal digits.
[[nodiscard]] std::string hex(std::span<const std::byte> bytes);

/// "System", "Pinned", {"Device":3}, {"Disk":5}.
[[nodiscard]] nlohmann::ordered_json location_json(StorageKind location);

[[nodiscard]] Error wrong(std::string_view path, std::string_view what);

/// Parses JSON, and refuses keys that are there twice (one of the values would be lost) and nesting
/// that later steps would have to descend into.
[[nodiscard]] Result<nlohmann::json> parse(std::string_view text);

/// Refuses an object with other keys than those `known`.
[[nodiscard]] Result<void> check_keys(const nlohmann::json& object,
                                      std::initializer_list<std::string_view> known,
                                      std::string_view path);

/// The value of a key that must be there.
[[nodiscard]] Result<const nlohmann::json*> member(const nlohmann::json& object,
                                                   const std::string& key, std::string_view path);

/// The number that a string of decimal digits stands for.
[[nodiscard]] std::optional<std::uint64_t> decimal(const nlohmann::json& node);

[[nodiscard]] Result<std::uint64_t> read_integer(const nlohmann::json& node, std::uint64_t max,
                                                 std::string_view path);

[[nodiscard]] Result<std::vector<std::byte>> read_hex(const nlohmann::json& node,
                                                      std::string_view path);

/// The text under a key that must be there.
[[nodiscard]] Result<const std::string*> read_text(const nlohmann::json& object,
                                                   const std::string& key, const std::string& path);

/// The number under a key that must be there.
[[nodiscard]] Result<std::uint64_t> read_number(const nlohmann::json& object,
                                                const std::string& key, const std::string& path,
                                                std::uint64_t max = kMax64);

/// A value and how a document calls it.
template <class T>
struct Named {
  std::string_view name;
  T value;
};

template <class T, std::size_t kCount>
std::string_view name_of(const std::array<Named<T>, kCount>& names, T value) {
  const auto found = std::ranges::find(names, value, &Named<T>::value);
  return found == names.end() ? "?" : found->name;
}

template <class T, std::size_t kCount>
Result<T> read_named(const nlohmann::json& node, const std::array<Named<T>, kCount>& names,
                     const std::string& path) {
  for (const Named<T>& named : names) {
    if (node == named.name) {
      return named.value;
    }
  }
  return wrong(path, node.dump() + " is not known here");
}

}  // namespace kvferry::tool
