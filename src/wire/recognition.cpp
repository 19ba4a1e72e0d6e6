// SPDX-License-Identifier: Apache-2.0
// Tells formats A and B apart. Source: docs/spec/wire-format.md, section 1.5.
#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>

#include "kvferry/wire/lint.hpp"
#include "kvferry/wire/message_view.hpp"
#include "wire/decoder.hpp"
#include "wire/text.hpp"

namespace kvferry::wire {
namespace {

using Bytes = std::span<const std::byte>;

/// A message whose header was read.
struct Message {
  Bytes bytes;
  const WireLimits& limits;
  std::size_t layouts_position;
};

template <MessageFormat kFormat>
using QuickDecoder = Decoder<kFormat, bincode::QuickReader>;

template <MessageFormat kFormat>
[[gnu::flatten]] bool read(const Message& message, MessageView& view,
                           std::optional<std::size_t> regions) {
  QuickDecoder<kFormat> decoder{message.bytes, message.limits, message.layouts_position};
  return decoder.layouts(view, regions);
}

/// Reads the layouts into `view`; whether they are of that format.
bool read_as(MessageFormat format, const Message& message, MessageView& view,
             std::optional<std::size_t> regions = std::nullopt) {
  return format == MessageFormat::kA ? read<MessageFormat::kA>(message, view, regions)
                                     : read<MessageFormat::kB>(message, view, regions);
}

template <MessageFormat kFormat>
[[gnu::flatten]] std::optional<std::size_t> count_regions(const Message& message) {
  QuickDecoder<kFormat> decoder{message.bytes, message.limits, message.layouts_position};
  return decoder.check_layouts() ? std::optional{decoder.regions_total()} : std::nullopt;
}

/// How many regions the layouts have; nothing when they are not of that format.
std::optional<std::size_t> count_regions_as(MessageFormat format, const Message& message) {
  return format == MessageFormat::kA ? count_regions<MessageFormat::kA>(message)
                                     : count_regions<MessageFormat::kB>(message);
}

template <MessageFormat kFormat>
Stop stop(Bytes bytes, const WireLimits& limits) {
  Decoder<kFormat, bincode::Reader> decoder{bytes, limits};
  MessageView header;
  static_cast<void>(decoder.header(header) && decoder.check_layouts());
  return decoder.stop();
}

/// Where and why bytes that are not a message of that format could not be read.
Stop stop_as(MessageFormat format, Bytes bytes, const WireLimits& limits) {
  return format == MessageFormat::kA ? stop<MessageFormat::kA>(bytes, limits)
                                     : stop<MessageFormat::kB>(bytes, limits);
}

Error error_of(const Stop& stop) {
  return Error{ErrorCode::kCorrupt, fmt::format("{} at {}: {}", to_string(stop.path),
                                                stop.failure.position, describe(stop.failure))};
}

Error too_large(Bytes bytes, const WireLimits& limits) {
  return Error{ErrorCode::kCorrupt, fmt::format("message at 0: {} bytes is above the limit of {}",
                                                bytes.size(), limits.message_bytes)};
}

/// Which format to try first.
struct Guess {
  MessageFormat format;
  bool is_sure;  ///< no writer would write the other so
};

/// From the two bytes behind the first handle: a version and a number of blocks in A, a logical
/// type and a version in B. Where they could be both, one block in A is rare and G2 in B is not.
Guess guess(const Message& message, MessageFormat preferred) noexcept {
  bincode::QuickReader reader{message.bytes, message.layouts_position};
  std::uint64_t low{0};
  std::uint64_t high{0};
  std::size_t count{0};
  if (!reader.count(format::kLayoutBytesMinA, message.limits.layouts, count) || count == 0 ||
      !reader.u128(high, low) || reader.left() < 2) {
    return {preferred, false};
  }
  const Bytes next = message.bytes.subspan(reader.position());
  constexpr std::byte kVersion{kLayoutVersion};
  if (next[0] == kVersion) {
    return next[1] == kVersion ? Guess{MessageFormat::kB, false} : Guess{MessageFormat::kA, true};
  }
  const bool is_type = std::to_integer<std::uint32_t>(next[0]) < format::kLogicalTypes;
  return is_type && next[1] == kVersion ? Guess{MessageFormat::kB, true} : Guess{preferred, false};
}

MessageFormat other_than(MessageFormat format) noexcept {
  return format == MessageFormat::kA ? MessageFormat::kB : MessageFormat::kA;
}

/// Whether no other reading can be without a breach: with such a name in its first layout, the
/// bytes make a length and a character of one name equal in the other format, a control character.
bool names_own_agent(const MessageView& view) {
  const std::string_view name = view.nixl_agent_name;
  return !view.layouts().empty() && view.layouts().front().agent_name == name && !name.empty() &&
         !has_control_character(name);
}

/// Where the layouts begin; nothing if there is no header, whatever the format.
[[gnu::flatten]] std::optional<std::size_t> read_header(Bytes bytes, const WireLimits& limits,
                                                        MessageView& view) {
  Decoder<MessageFormat::kA, bincode::QuickReader> decoder{bytes, limits};
  return decoder.header(view) ? std::optional{decoder.position()} : std::nullopt;
}

/// Chooses between two formats that both fit: `view` holds one reading, and then the right one. The
/// other has that many regions.
void choose(const Message& message, MessageView& view, std::size_t other_regions,
            MessageFormat preferred) {
  MessageView other;
  static_cast<void>(read_header(message.bytes, message.limits, other));
  static_cast<void>(read_as(other_than(view.format), message, other, other_regions));
  const bool is_clean = !breaks_import_rule(view);
  const bool decided = is_clean == breaks_import_rule(other);
  const bool is_right = decided ? is_clean : view.format == preferred;
  if (!is_right) {
    view = std::move(other);
  }
  view.is_ambiguous = !decided;
}

/// The error of the format that is meant, or, when that is not sure, of the one that could be read
/// further.
Error why_neither(Bytes bytes, const WireLimits& limits, bool is_sure, MessageFormat meant) {
  const Stop one = stop_as(meant, bytes, limits);
  const Stop other = stop_as(other_than(meant), bytes, limits);
  const bool is_meant = is_sure || one.failure.position >= other.failure.position;
  return error_of(is_meant ? one : other);
}

}  // namespace

Result<MessageView> decode_view_as(MessageFormat format, Bytes bytes, const WireLimits& limits) {
  if (bytes.size() > limits.message_bytes) {
    return too_large(bytes, limits);
  }
  MessageView view;
  const std::optional<std::size_t> layouts = read_header(bytes, limits, view);
  if (!layouts || !read_as(format, {bytes, limits, *layouts}, view)) {
    return error_of(stop_as(format, bytes, limits));
  }
  return view;
}

Result<MessageView> decode_view(Bytes bytes, const WireLimits& limits, MessageFormat preferred) {
  Result<MessageView> result{std::in_place};  // The one object that is returned is not moved.
  if (bytes.size() > limits.message_bytes) {
    result = too_large(bytes, limits);
    return result;
  }
  MessageView& view = *result;
  const std::optional<std::size_t> layouts = read_header(bytes, limits, view);
  if (!layouts) {
    result = error_of(stop_as(preferred, bytes, limits));
    return result;
  }
  const Message message{bytes, limits, *layouts};
  const Guess guessed = guess(message, preferred);
  const MessageFormat first = guessed.format;
  if (read_as(first, message, view)) {
    if (!view.layouts().empty() && !names_own_agent(view)) {
      if (const auto regions = count_regions_as(other_than(first), message)) {
        choose(message, view, *regions, preferred);
      }
    }
    return result;
  }
  view.arrays = ViewArrays{};
  if (!read_as(other_than(first), message, view)) {
    result = why_neither(bytes, limits, guessed.is_sure, guessed.is_sure ? first : preferred);
  }
  return result;
}

}  // namespace kvferry::wire
