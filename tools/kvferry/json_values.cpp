// SPDX-License-Identifier: Apache-2.0
#include "json_values.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "kvferry/base/try.hpp"

namespace kvferry::tool {

using nlohmann::json;
using nlohmann::ordered_json;

namespace {

constexpr std::uint64_t kExactInDouble = 1ULL << 53U;  // what every JSON reader keeps
constexpr std::size_t kDepthMax = 64;                  // a document needs 8

/// Looks at a document before it is built. (A callback of the parser would see the same, but makes
/// it search each array anew for every object in it.)
class ShapeCheck {
 public:
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

  bool null() { return true; }
  bool boolean(bool /*value*/) { return true; }
  bool number_integer(std::int64_t /*value*/) { return true; }
  bool number_unsigned(std::uint64_t /*value*/) { return true; }
  bool number_float(double /*value*/, const std::string& /*text*/) { return true; }
  bool string(const std::string& /*text*/) { return true; }
  bool binary(const json::binary_t& /*bytes*/) { return true; }
  bool start_object(std::size_t /*count*/) { return open(); }
  bool end_object() { return close(); }
  bool start_array(std::size_t /*count*/) { return open(); }
  bool end_array() { return close(); }

  bool key(const std::string& name) {
    if (open_.back().insert(name).second) {
      return true;
    }
    problem_ = fmt::format("key {} is there twice", json(name).dump());
    return false;
  }

  bool parse_error(std::size_t /*position*/, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*exception*/) {
    problem_ = "not JSON";
    return false;
  }

 private:
  bool open() {
    open_.emplace_back();
    if (open_.size() > kDepthMax) {
      problem_ = fmt::format("nested deeper than {}", kDepthMax);
    }
    return problem_.empty();
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  std::vector<std::set<std::string>> open_{};  // The keys of each, from the outermost.
  std::string problem_{};
};

}  // namespace

ordered_json integer(std::uint64_t value) {
  return value > kExactInDouble ? ordered_json(std::to_string(value)) : ordered_json(value);
}

std::string hex(std::span<const std::byte> bytes) {
  constexpr std::string_view kDigits{"0123456789abcdef"};
  std::string text;
  text.reserve(2 * bytes.size());
  for (const std::byte byte : bytes) {
    text += kDigits[std::to_integer<std::size_t>(byte >> 4)];
    text += kDigits[std::to_integer<std::size_t>(byte & std::byte{15})];
  }
  return text;
}

ordered_json location_json(StorageKind location) {
  switch (location.type) {
    case StorageKind::Type::kSystem: return "System";
    case StorageKind::Type::kPinned: return "Pinned";
    case StorageKind::Type::kDevice: return {{"Device", integer(location.id)}};
    case StorageKind::Type::kDisk: return {{"Disk", integer(location.id)}};
  }
  return nullptr;
}

Error wrong(std::string_view path, std::string_view what) {
  return Error{ErrorCode::kCorrupt, fmt::format("{}: {}", path, what)};
}

Result<json> parse(std::string_view text) {
  ShapeCheck shape;
  if (!json::sax_parse(text, &shape)) {
    return wrong("document", shape.problem());
  }
  return json::parse(text, /*cb=*/nullptr, /*allow_exceptions=*/false);
}

Result<void> check_keys(const json& object, std::initializer_list<std::string_view> known,
                        std::string_view path) {
  if (!object.is_object()) {
    return wrong(path, "not an object");
  }
  for (const auto& [key, value] : object.items()) {
    if (std::ranges::find(known, key) == known.end()) {
      return wrong(fmt::format("{}.{}", path, key), "unknown, and would be lost");
    }
  }
  return {};
}

Result<const json*> member(const json& object, const std::string& key, std::string_view path) {
  if (!object.is_object()) {
    return wrong(path, "not an object");
  }
  const auto found = object.find(key);
  if (found == object.end()) {
    return wrong(fmt::format("{}.{}", path, key), "missing");
  }
  return &*found;
}

std::optional<std::uint64_t> decimal(const json& node) {
  if (!node.is_string()) {
    return std::nullopt;
  }
  const auto& text = node.get_ref<const std::string&>();
  std::uint64_t value{0};
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool all = problem == std::errc{} && end == text.data() + text.size();
  return all ? std::optional{value} : std::nullopt;
}

Result<std::uint64_t> read_integer(const json& node, std::uint64_t max, std::string_view path) {
  std::optional<std::uint64_t> value = decimal(node);
  if (node.is_number_unsigned()) {
    value = node.get<std::uint64_t>();
  }
  if (!value) {
    return wrong(path, fmt::format("not an integer from 0 to {}", max));
  }
  if (*value > max) {
    return wrong(path, fmt::format("{} of at most {}", *value, max));
  }
  return *value;
}

Result<std::vector<std::byte>> read_hex(const json& node, std::string_view path) {
  if (!node.is_string()) {
    return wrong(path, "not text of hex digits");
  }
  const auto& text = node.get_ref<const std::string&>();
  std::vector<std::byte> bytes(text.size() / 2);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::uint8_t value{0};
    const char* const digits = text.data() + 2 * i;
    const auto [end, problem] = std::from_chars(digits, digits + 2, value, 16);
    if (problem != std::errc{} || end != digits + 2) {
      return wrong(path, fmt::format("no hex digits at character {}", 2 * i));
    }
    bytes[i] = static_cast<std::byte>(value);
  }
  if (text.size() % 2 != 0) {
    return wrong(path, fmt::format("{} hex digits, which is odd", text.size()));
  }
  return bytes;
}

Result<const std::string*> read_text(const nlohmann::json& object, const std::string& key,
                                     const std::string& path) {
  KVFERRY_ASSIGN_OR_RETURN(const nlohmann::json* node, member(object, key, path));
  if (!node->is_string()) {
    return wrong(fmt::format("{}.{}", path, key), "not text");
  }
  return &node->get_ref<const std::string&>();
}

Result<std::uint64_t> read_number(const nlohmann::json& object, const std::string& key,
                                  const std::string& path, std::uint64_t max) {
  KVFERRY_ASSIGN_OR_RETURN(const nlohmann::json* node, member(object, key, path));
  return read_integer(*node, max, fmt::format("{}.{}", path, key));
}

}  // namespace kvferry::tool
