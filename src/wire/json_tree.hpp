// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kvferry/base/result.hpp"

// JSON text as a small tree. The one place in this folder that knows a JSON library.

namespace kvferry::wire {

/// One value of a JSON text, kept only as far as its reader can need it.
struct JsonNode {
  enum class Kind : std::uint8_t {
    kNull,
    kUnsigned,
    kText,
    kArray,
    kObject,
    kOther,    ///< a number that is no plain unsigned one, or a bool; `text` says which
    kIgnored,  ///< under a key that is not known, or too deep
  };

  Kind kind{Kind::kNull};
  std::string key{};  ///< in the object around it
  std::uint64_t number{0};
  std::string text{};
  std::vector<JsonNode> children{};
};

/// What of a text is kept. Everything else is passed over, however deep or long it is.
struct JsonLimits {
  bool (*is_known_key)(std::string_view){nullptr};  ///< values under other keys are passed over
  std::size_t depth_max{0};                         ///< of values that are kept
  std::size_t nodes_max{0};                         ///< more that would be kept are refused
};

/// Reads JSON text, which must be UTF-8.
///
/// Errors: kCorrupt saying where the text is no JSON, or that it has too many values.
[[nodiscard]] Result<JsonNode> parse_json(std::string_view text, const JsonLimits& limits);

/// `text`, which is UTF-8, as a JSON string.
[[nodiscard]] std::string json_string(std::string_view text);

}  // namespace kvferry::wire
