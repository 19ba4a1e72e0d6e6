// SPDX-License-Identifier: Apache-2.0
#include "wire/envelope_fields.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include "kvferry/base/try.hpp"
#include "wire/envelope_format.hpp"
#include "wire/text.hpp"

namespace kvferry::wire {
namespace {

using Bytes = std::span<const std::byte>;

/// How Protocol Buffers writes a value; groups (3 and 4) are refused everywhere.
enum class WireType : std::uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

/// What a known field holds, as far as it is looked at here.
enum class Kind : std::uint8_t {
  kU64,
  kU32,   ///< an enum too: Protocol Buffers cuts it to 32 bits
  kF64,   ///< 8 bytes
  kF64s,  ///< any number of them, packed or not
  kText,
  kBytes,
  kMessages,
};

struct Known {
  std::uint32_t number;
  std::string_view name;
  Kind kind;
};

constexpr std::uint32_t kRequiredFeatures = 8;
constexpr std::uint32_t kModel = 33;
constexpr std::uint32_t kAgents = 9;
constexpr std::uint32_t kLayouts = 10;
constexpr std::array kWorkerFields{
    Known{1, "worker_id", Kind::kF64},
    Known{2, "name", Kind::kText},
    Known{3, "epoch", Kind::kBytes},
    Known{4, "generation", Kind::kU64},
    Known{5, "issued_unix_ms", Kind::kU64},
    Known{6, "lease_ms", Kind::kU64},
    Known{7, "audience", Kind::kText},
    Known{kRequiredFeatures, "required_features", Kind::kText},
    Known{kAgents, "agents", Kind::kMessages},
    Known{kLayouts, "layouts", Kind::kMessages},
};
constexpr std::array kAgentFields{
    Known{1, "kind", Kind::kText},
    Known{2, "blob", Kind::kBytes},
};
constexpr std::array kLayoutFields{
    Known{1, "id", Kind::kU32},
    Known{2, "storage", Kind::kU32},
    Known{3, "storage_id", Kind::kU64},
    Known{4, "access", Kind::kU32},
    Known{5, "tier", Kind::kU32},
    Known{6, "arrangement", Kind::kU32},
    Known{7, "order", Kind::kU32},
    Known{8, "num_blocks", Kind::kU64},
    Known{9, "num_layers", Kind::kU64},
    Known{10, "outer_dim", Kind::kU64},
    Known{11, "page_size", Kind::kU64},
    Known{12, "inner_dim", Kind::kU64},
    Known{13, "alignment", Kind::kU64},
    Known{14, "dtype_width_bytes", Kind::kU64},
    Known{15, "num_heads", Kind::kU64},
    Known{16, "addresses", Kind::kF64s},
    Known{17, "sizes", Kind::kF64s},
    Known{18, "guards_address", Kind::kF64},
    Known{19, "guards_bytes", Kind::kF64},
    Known{22, "axes", Kind::kBytes},
    Known{23, "first_layer", Kind::kU64},
    Known{24, "model_layers", Kind::kU64},
    Known{25, "first_head", Kind::kU64},
    Known{26, "model_heads", Kind::kU64},
    Known{27, "strides", Kind::kF64s},
    Known{28, "region_steps", Kind::kF64s},
    Known{29, "offset_bytes", Kind::kU64},
    Known{30, "packing", Kind::kText},
    Known{31, "group", Kind::kText},
    Known{32, "plane", Kind::kText},
    Known{kModel, "model", Kind::kText},
};

std::span<const Known> fields_of(BodyMessage message) noexcept {
  switch (message) {
    case BodyMessage::kWorker: return kWorkerFields;
    case BodyMessage::kAgent: return kAgentFields;
    case BodyMessage::kLayout: return kLayoutFields;
  }
  return {};
}

/// The field; null when it is not known.
const Known* known_field(BodyMessage message, std::uint32_t number) noexcept {
  const auto fields = fields_of(message);
  const auto found = std::ranges::lower_bound(fields, number, {}, &Known::number);
  return found != fields.end() && found->number == number ? &*found : nullptr;
}

static_assert(std::ranges::is_sorted(kWorkerFields, {}, &Known::number) &&
              std::ranges::is_sorted(kAgentFields, {}, &Known::number) &&
              std::ranges::is_sorted(kLayoutFields, {}, &Known::number));
constexpr std::size_t kNumberMax = kLayoutFields.back().number;

/// One field as it stands in a message.
struct Field {
  std::size_t at{0};  ///< of its tag, in the message
  std::uint32_t number{0};
  WireType type{};
  std::uint64_t value{0};  ///< of a varint
  Bytes bytes{};           ///< of every other type
  std::size_t bytes_at{0};
};

/// Takes fields off the front of a message, in the order in which they stand.
class FieldReader {
 public:
  explicit FieldReader(Bytes message) noexcept : message_{message} {}

  /// Whether there was one more field; if not, problem() says whether all is well.
  [[nodiscard]] bool next(Field& field) {
    if (at_ == message_.size() || !problem_.empty()) {
      return false;
    }
    field.at = at_;
    std::uint64_t tag{0};
    if (!varint(tag)) {
      return false;
    }
    field.number = static_cast<std::uint32_t>(tag >> 3U);
    if (tag > std::numeric_limits<std::uint32_t>::max() || field.number == 0) {
      return fail(field.at, fmt::format("{} is no field", tag));
    }
    field.type = static_cast<WireType>(tag & 7U);
    switch (field.type) {
      case WireType::kVarint: return varint(field.value);
      case WireType::kFixed64: return take(8, field);
      case WireType::kFixed32: return take(4, field);
      case WireType::kBytes: {
        std::uint64_t length{0};
        return varint(length) && take(length, field);
      }
    }
    return fail(field.at, fmt::format("field {} of wire type {}, which is not known here",
                                      field.number, tag & 7U));
  }

  /// Where the next field begins.
  [[nodiscard]] std::size_t at() const noexcept { return at_; }
  /// What is wrong with the message, and where; empty while all is well.
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }
  [[nodiscard]] std::size_t problem_at() const noexcept { return problem_at_; }

 private:
  bool fail(std::size_t at, std::string problem) {
    problem_at_ = at;
    problem_ = std::move(problem);
    return false;
  }

  bool varint(std::uint64_t& value) {
    constexpr unsigned kBits = 64;
    const std::size_t start = at_;
    value = 0;
    for (unsigned shift = 0; shift < kBits; shift += 7) {
      if (at_ == message_.size()) {
        return fail(start, "the message ends inside a number");
      }
      const auto byte = std::to_integer<std::uint64_t>(message_[at_++]);
      if (shift == kBits - 1 && byte > 1) {
        break;
      }
      value |= (byte & 0x7FU) << shift;
      if (byte < 0x80U) {
        return true;
      }
    }
    return fail(start, "a number of more than 64 bits");
  }

  bool take(std::uint64_t length, Field& field) {
    const std::size_t left = message_.size() - at_;
    if (length > left) {
      return fail(field.at, fmt::format("length {} of {} left", length, left));
    }
    field.bytes_at = at_;
    field.bytes = message_.subspan(at_, static_cast<std::size_t>(length));
    at_ += field.bytes.size();
    return true;
  }

  Bytes message_;
  std::size_t at_{0};
  std::string problem_{};
  std::size_t problem_at_{0};
};

std::string path_of(BodyMessage message, std::size_t index) {
  switch (message) {
    case BodyMessage::kWorker: return "body";
    case BodyMessage::kAgent: return fmt::format("agents[{}]", index);
    case BodyMessage::kLayout: return fmt::format("layouts[{}]", index);
  }
  return "body";
}

std::string_view as_text(Bytes bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool has_its_type(const Field& field, Kind kind) noexcept {
  switch (kind) {
    case Kind::kU64:
    case Kind::kU32: return field.type == WireType::kVarint;
    case Kind::kF64: return field.type == WireType::kFixed64;
    case Kind::kF64s: return field.type == WireType::kFixed64 || field.type == WireType::kBytes;
    case Kind::kText:
    case Kind::kBytes:
    case Kind::kMessages: return field.type == WireType::kBytes;
  }
  return false;
}

/// Goes through one body; says what is wrong with the first field that is.
class Checker {
 public:
  Checker(const BodyBytes& body, const WireLimits& limits) : body_{body}, limits_{limits} {}

  Result<UnknownFields> run() {
    KVFERRY_RETURN_IF_ERROR(message(body_.bytes, body_.offset, {}));
    return std::move(unknown_);
  }

 private:
  /// Where a message is: its kind and index; the number is that of the field looked at.
  Result<void> message(Bytes bytes, std::size_t offset, BodyPlace place) {
    FieldReader reader{bytes};
    Field field;
    std::array<std::uint64_t, kNumberMax + 1> counts{};
    while (reader.next(field)) {
      const Known* const known = known_field(place.message, field.number);
      if (known == nullptr) {
        const Bytes came = bytes.subspan(field.at, reader.at() - field.at);
        std::vector<std::byte>& kept = unknown_of(place);
        kept.insert(kept.end(), came.begin(), came.end());
        continue;
      }
      place.number = field.number;
      const std::size_t at = offset + field.at;
      if (!has_its_type(field, known->kind)) {
        return wrong(place, at,
                     fmt::format("wire type {} is not its own", static_cast<unsigned>(field.type)));
      }
      std::uint64_t& count = counts[field.number];
      const std::uint64_t before = count;
      count += known->kind == Kind::kF64s ? (field.bytes.size() + 7) / 8 : 1;
      KVFERRY_RETURN_IF_ERROR(check_count(place, at, count));
      KVFERRY_RETURN_IF_ERROR(check_value(place, at, *known, field));
      if (known->kind == Kind::kMessages) {
        const bool is_agent = field.number == kAgents;
        KVFERRY_RETURN_IF_ERROR(
            message(field.bytes, offset + field.bytes_at,
                    {is_agent ? BodyMessage::kAgent : BodyMessage::kLayout, before, 0}));
      }
    }
    if (!reader.problem().empty()) {
      return Error{ErrorCode::kCorrupt,
                   fmt::format("{} at {}: {}", path_of(place.message, place.index),
                               offset + reader.problem_at(), reader.problem())};
    }
    return {};
  }

  std::vector<std::byte>& unknown_of(const BodyPlace& place) {
    if (place.message == BodyMessage::kWorker) {
      return unknown_.worker;
    }
    auto& all = place.message == BodyMessage::kAgent ? unknown_.agents : unknown_.layouts;
    all.resize(std::max(all.size(), place.index + 1));
    return all[place.index];
  }

  Result<void> check_count(const BodyPlace& place, std::size_t at, std::uint64_t count) const {
    std::uint64_t limit = std::numeric_limits<std::uint64_t>::max();
    if (place.message == BodyMessage::kWorker) {
      switch (place.number) {
        case kRequiredFeatures: limit = limits_.required_features; break;
        case kAgents: limit = limits_.agents; break;
        case kLayouts: limit = limits_.layouts; break;
        default: break;
      }
    } else if (known_field(place.message, place.number)->kind == Kind::kF64s) {
      limit = limits_.descriptors_per_layout;
    }
    return count <= limit ? Result<void>{}
                          : wrong(place, at, fmt::format("{} and more, limit {}", count, limit));
  }

  Result<void> check_value(const BodyPlace& place, std::size_t at, const Known& known,
                           const Field& field) const {
    switch (known.kind) {
      case Kind::kU32:
        if (field.value > std::numeric_limits<std::uint32_t>::max()) {
          return wrong(place, at, fmt::format("{} has more than 32 bits", field.value));
        }
        return {};
      case Kind::kF64s:
        if (field.bytes.size() % 8 != 0) {
          return wrong(place, at, fmt::format("{} bytes are no multiple of 8", field.bytes.size()));
        }
        return {};
      case Kind::kText: return check_text(place, at, as_text(field.bytes));
      case Kind::kBytes: {
        return check_length(place, at, field.bytes.size(), bytes_max(place.message));
      }
      case Kind::kU64:
      case Kind::kF64:
      case Kind::kMessages: return {};
    }
    return {};
  }

  /// Of the one field of bytes that each message has.
  [[nodiscard]] std::uint64_t bytes_max(BodyMessage message) const noexcept {
    switch (message) {
      case BodyMessage::kWorker: return envelope_format::kEpochBytes;
      case BodyMessage::kAgent: return limits_.nixl_metadata_bytes;
      case BodyMessage::kLayout: return envelope_format::kAxesBytes;
    }
    return 0;
  }

  [[nodiscard]] std::uint64_t text_bytes_max(const BodyPlace& place) const noexcept {
    if (place.message == BodyMessage::kLayout && place.number == kModel) {
      return envelope_format::kModelBytesMax;
    }
    const bool is_word = place.message != BodyMessage::kWorker || place.number == kRequiredFeatures;
    return is_word ? envelope_format::kWordBytesMax : limits_.agent_name_bytes;
  }

  Result<void> check_text(const BodyPlace& place, std::size_t at, std::string_view text) const {
    const std::string what = fault_of_text(text, text_bytes_max(place));
    return what.empty() ? Result<void>{} : wrong(place, at, what);
  }

  static Result<void> check_length(const BodyPlace& place, std::size_t at, std::size_t length,
                                   std::uint64_t limit) {
    return length <= limit ? Result<void>{}
                           : wrong(place, at, fmt::format("length {}, limit {}", length, limit));
  }

  static Result<void> wrong(const BodyPlace& place, std::size_t at, std::string_view what) {
    return Error{ErrorCode::kCorrupt, fmt::format("{} at {}: {}", to_string(place), at, what)};
  }

  const BodyBytes& body_;
  const WireLimits& limits_;
  UnknownFields unknown_{};
};

}  // namespace

std::string fault_of_text(std::string_view text, std::uint64_t bytes_max) {
  if (text.size() > bytes_max) {
    return fmt::format("length {}, limit {}", text.size(), bytes_max);
  }
  if (const std::size_t valid = valid_utf8_prefix(text); valid != text.size()) {
    return fmt::format("not UTF-8 at byte {} of {}", valid, text.size());
  }
  return has_control_character(text) ? fmt::format("{} holds a control character", printable(text))
                                     : std::string{};
}

Result<void> check_features(const BodyBytes& body, const WireLimits& limits) {
  FieldReader reader{body.bytes};
  Field field;
  std::vector<std::string> unknown;
  while (reader.next(field) && unknown.size() < limits.required_features) {
    if (field.number != kRequiredFeatures || field.type != WireType::kBytes) {
      continue;
    }
    const std::string_view name = as_text(field.bytes);
    if (std::ranges::find(envelope_format::kFeatures, name) == envelope_format::kFeatures.end()) {
      const std::string_view text = name.substr(0, valid_utf8_prefix(name));
      unknown.push_back(printable(text));
    }
  }
  if (unknown.empty()) {
    return {};
  }
  return Error{ErrorCode::kIncompatible,
               fmt::format("required_features: {} not known here", fmt::join(unknown, ", "))};
}

Result<UnknownFields> check_fields(const BodyBytes& body, const WireLimits& limits) {
  return Checker{body, limits}.run();
}

Result<void> check_unknown(Bytes fields, BodyMessage message) {
  FieldReader reader{fields};
  Field field;
  while (reader.next(field)) {
    if (const Known* const known = known_field(message, field.number)) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("unknown_fields at {}: field {} is known, as {}", field.at,
                               field.number, known->name)};
    }
  }
  if (!reader.problem().empty()) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("unknown_fields at {}: {}", reader.problem_at(), reader.problem())};
  }
  return {};
}

std::string at_place(const BodyBytes& body, const BodyPlace& place, std::string_view what) {
  // Looked for now that there is something to say, instead of kept while all is well.
  Bytes message = body.bytes;
  std::size_t offset = body.offset;
  Field field;
  if (place.message != BodyMessage::kWorker) {
    const std::uint32_t number = place.message == BodyMessage::kAgent ? kAgents : kLayouts;
    FieldReader reader{body.bytes};
    std::size_t left = place.index + 1;
    while (left > 0 && reader.next(field)) {
      left -= field.number == number ? 1 : 0;
    }
    message = field.bytes;
    offset += field.bytes_at;
  }
  std::size_t at = offset;
  FieldReader reader{message};
  while (reader.next(field)) {
    // The last one counts, as for Protocol Buffers.
    at = field.number == place.number ? offset + field.at : at;
  }
  return fmt::format("{} at {}: {}", to_string(place), at, what);
}

std::string to_string(const BodyPlace& place) {
  const Known* const known = known_field(place.message, place.number);
  const std::string_view name = known == nullptr ? "?" : known->name;
  return place.message == BodyMessage::kWorker
             ? std::string{name}
             : fmt::format("{}.{}", path_of(place.message, place.index), name);
}

}  // namespace kvferry::wire
