// SPDX-License-Identifier: Apache-2.0
// Tells formats A and B apart. Source: docs/spec/wire-format.md, section 1.5.
#include <fmt/format.h>

#include <algorithm>
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

/// What became of reading a message as one format.
struct Reading {
  bool fits{false};
  Stop stop{};  ///< if it does not fit
};

template <MessageFormat kFormat>
Reading read(Bytes bytes, const WireLimits& limits, MessageView* view) {
  Decoder<kFormat> decoder{bytes, limits};
  const bool fits = view == nullptr ? decoder.check() : decoder.decode(*view);
  return {fits, decoder.stop()};
}

Reading read_as(MessageFormat format, Bytes bytes, const WireLimits& limits, MessageView* view) {
  return format == MessageFormat::kA ? read<MessageFormat::kA>(bytes, limits, view)
                                     : read<MessageFormat::kB>(bytes, limits, view);
}

Error error_of(const Stop& stop) {
  return Error{ErrorCode::kCorrupt, fmt::format("{} at {}: {}", to_string(stop.path),
                                                stop.failure.position, describe(stop.failure))};
}

Result<void> check_size(Bytes bytes, const WireLimits& limits) {
  if (bytes.size() > limits.message_bytes) {
    return Error{ErrorCode::kCorrupt, fmt::format("message at 0: {} bytes is above the limit of {}",
                                                  bytes.size(), limits.message_bytes)};
  }
  return {};
}

/// What the two bytes behind the first handle say: a version and a number of blocks in A, a logical
/// type and a version in B. Nothing where they could be both or neither.
std::optional<MessageFormat> indicated(Bytes bytes, const WireLimits& limits) noexcept {
  bincode::Reader reader{bytes};
  std::uint64_t number{0};
  std::uint64_t high{0};
  std::size_t count{0};
  Bytes passed;
  if (!reader.u64(number) || !reader.blob(limits.agent_name_bytes, passed) ||
      !reader.blob(limits.nixl_metadata_bytes, passed) ||
      !reader.count(format::kLayoutBytesMinA, limits.layouts, count) || count == 0 ||
      !reader.u128(high, number)) {
    return std::nullopt;
  }
  const Bytes next = bytes.subspan(reader.position());
  if (next.size() < 2) {
    return std::nullopt;
  }
  constexpr std::byte kVersion{kLayoutVersion};
  if (next[0] == kVersion) {
    return next[1] == kVersion ? std::nullopt : std::optional{MessageFormat::kA};
  }
  const bool is_type = std::to_integer<std::uint32_t>(next[0]) < format::kLogicalTypes;
  return is_type && next[1] == kVersion ? std::optional{MessageFormat::kB} : std::nullopt;
}

MessageFormat other_than(MessageFormat format) noexcept {
  return format == MessageFormat::kA ? MessageFormat::kB : MessageFormat::kA;
}

/// Whether no other reading can be without a breach: with such a name in its first layout, the
/// bytes make a length and a character of one name equal in the other format, a control character.
bool names_own_agent(const MessageView& view) {
  const std::string_view name = view.nixl_agent_name;
  return !view.layouts.empty() && view.layouts.front().agent_name == name && !name.empty() &&
         !has_control_character(name);
}

bool breaks_no_rule(const MessageView& view) {
  const std::vector<Lint> lints = lint(view);
  return std::ranges::none_of(lints, &Lint::refuses_import);
}

/// Chooses between two formats that both fit; `view` holds the reading as `first`.
MessageView choose(Bytes bytes, const WireLimits& limits, MessageView view,
                   MessageFormat preferred) {
  const MessageFormat first = view.format;
  const bool first_is_clean = breaks_no_rule(view);
  static_cast<void>(read_as(other_than(first), bytes, limits, &view));
  const bool other_is_clean = breaks_no_rule(view);
  const bool decided = first_is_clean != other_is_clean;
  const MessageFormat right = decided ? (first_is_clean ? first : other_than(first)) : preferred;
  if (view.format != right) {
    static_cast<void>(read_as(right, bytes, limits, &view));
  }
  view.is_ambiguous = !decided;
  return view;
}

}  // namespace

Result<MessageView> decode_view_as(MessageFormat format, Bytes bytes, const WireLimits& limits) {
  if (Result<void> fits = check_size(bytes, limits); !fits) {
    return std::move(fits).error();
  }
  MessageView view;
  const Reading reading = read_as(format, bytes, limits, &view);
  if (!reading.fits) {
    return error_of(reading.stop);
  }
  return view;
}

Result<MessageView> decode_view(Bytes bytes, const WireLimits& limits, MessageFormat preferred) {
  if (Result<void> fits = check_size(bytes, limits); !fits) {
    return std::move(fits).error();
  }
  const std::optional<MessageFormat> said = indicated(bytes, limits);
  const MessageFormat first = said.value_or(preferred);
  MessageView view;
  const Reading reading = read_as(first, bytes, limits, &view);
  if (reading.fits && (view.layouts.empty() || names_own_agent(view))) {
    return view;
  }
  const Reading other = read_as(other_than(first), bytes, limits, nullptr);
  if (reading.fits) {
    return other.fits ? choose(bytes, limits, std::move(view), preferred) : std::move(view);
  }
  if (other.fits) {
    static_cast<void>(read_as(other_than(first), bytes, limits, &view));
    return view;
  }
  const std::size_t reached = reading.stop.failure.position;
  const std::size_t other_reached = other.stop.failure.position;
  const bool first_is_meant = said || reached >= other_reached;
  return error_of(first_is_meant ? reading.stop : other.stop);
}

}  // namespace kvferry::wire
