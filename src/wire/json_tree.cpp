// SPDX-License-Identifier: Apache-2.0
#include "wire/json_tree.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "kvferry/base/try.hpp"

namespace kvferry::wire {
namespace {

Error corrupt(std::string message) { return Error{ErrorCode::kCorrupt, std::move(message)}; }

/// Takes the parser's events and builds a tree of what may be needed. Everything else is passed
/// over, however deep or long it is, so memory stays within the limits.
class TreeBuilder {
 public:
  explicit TreeBuilder(const JsonLimits& limits) : limits_{limits} {}

  [[nodiscard]] JsonNode take() && { return std::move(root_); }
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

  bool null() { return scalar({.kind = JsonNode::Kind::kNull}); }
  bool boolean(bool value) {
    return scalar({.kind = JsonNode::Kind::kOther, .text = value ? "true" : "false"});
  }
  bool number_unsigned(std::uint64_t value) {
    return scalar({.kind = JsonNode::Kind::kUnsigned, .number = value});
  }
  /// Comes for numbers with a minus sign only, -0 among them.
  bool number_integer(std::int64_t value) {
    return scalar(
        {.kind = JsonNode::Kind::kOther, .text = fmt::format("-{}", 0 - std::uint64_t(value))});
  }
  bool number_float(double /*value*/, const std::string& text) {
    return scalar({.kind = JsonNode::Kind::kOther, .text = text});
  }
  bool string(std::string& text) {
    return scalar({.kind = JsonNode::Kind::kText, .text = std::move(text)});
  }
  bool binary(nlohmann::json::binary_t& /*bytes*/) { return false; }  // Not in JSON text.

  bool key(std::string& name) {
    key_ = std::move(name);
    return true;
  }
  bool start_object(std::size_t /*count*/) { return open(JsonNode::Kind::kObject); }
  bool end_object() { return close(); }
  bool start_array(std::size_t /*count*/) { return open(JsonNode::Kind::kArray); }
  bool end_array() { return close(); }

  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*exception*/) {
    problem_ = fmt::format("not JSON at {}", position == 0 ? 0 : position - 1);
    return false;
  }

 private:
  bool scalar(JsonNode node) {
    if (ignored_depth_ == 0) {
      add(std::move(node));
    }
    return within_limit();
  }

  bool open(JsonNode::Kind kind) {
    if (ignored_depth_ > 0) {
      ++ignored_depth_;
      return true;
    }
    JsonNode& added =
        add({.kind = open_.size() < limits_.depth_max ? kind : JsonNode::Kind::kIgnored});
    if (added.kind == JsonNode::Kind::kIgnored) {
      ignored_depth_ = 1;
    } else {
      open_.push_back(&added);
    }
    return within_limit();
  }

  bool close() {
    if (ignored_depth_ > 0) {
      --ignored_depth_;
    } else {
      open_.pop_back();
    }
    return true;
  }

  /// Pointers in `open_` stay good: only the innermost open node gets children.
  JsonNode& add(JsonNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return root_;
    }
    JsonNode& parent = *open_.back();
    if (parent.kind == JsonNode::Kind::kObject && !limits_.is_known_key(key_)) {
      // One unknown key is kept, because an enum refuses it; a struct passes over all of them.
      node = {.kind = JsonNode::Kind::kIgnored, .key = std::move(key_)};
      if (!parent.children.empty() && parent.children.back().kind == JsonNode::Kind::kIgnored) {
        return parent.children.back() = std::move(node);
      }
    } else {
      node.key = std::move(key_);
    }
    key_.clear();
    ++nodes_;
    parent.children.push_back(std::move(node));
    return parent.children.back();
  }

  bool within_limit() {
    if (nodes_ > limits_.nodes_max) {
      problem_ = fmt::format("more than {} values", limits_.nodes_max);
      return false;
    }
    return true;
  }

  JsonNode root_{};
  std::vector<JsonNode*> open_{};
  std::string key_{};
  std::size_t ignored_depth_{0};
  std::size_t nodes_{0};
  JsonLimits limits_;
  std::string problem_{};
};

/// What the JSON library lets pass and the original does not: a byte order mark, and a zero byte as
/// the end of the text.
Result<void> check_bytes(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) {
    return corrupt("not JSON at 0: a byte order mark");
  }
  if (const std::size_t zero = text.find('\0'); zero != std::string_view::npos) {
    return corrupt(fmt::format("not JSON at {}: a zero byte", zero));
  }
  return {};
}

}  // namespace

Result<JsonNode> parse_json(std::string_view text, const JsonLimits& limits) {
  KVFERRY_RETURN_IF_ERROR(check_bytes(text));
  TreeBuilder builder{limits};
  if (!nlohmann::json::sax_parse(text, &builder)) {
    return corrupt(builder.problem());
  }
  return std::move(builder).take();
}

std::string json_string(std::string_view text) { return nlohmann::json(text).dump(); }

}  // namespace kvferry::wire
