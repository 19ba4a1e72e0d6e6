// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvferry/base/result.hpp"
#include "kvferry/wire/limits.hpp"

// What holds for the fields of an envelope's body before Protocol Buffers reads it: that library
// allocates what is announced, cuts wide numbers, takes what it does not expect for unknown, and
// prints when text is none.

namespace kvferry::wire {

/// The messages that a body is made of.
enum class BodyMessage : std::uint8_t { kWorker, kAgent, kLayout };

/// A field of a body, by the numbers of worker_metadata.proto.
struct BodyPlace {
  BodyMessage message{BodyMessage::kWorker};
  std::size_t index{0};  ///< of the agent or layout
  std::uint32_t number{0};
};

/// The body of an envelope, and where in the envelope it begins.
struct BodyBytes {
  std::span<const std::byte> bytes{};
  std::size_t offset{0};
};

/// The fields of a body that are not known here, as they came. The lists may be shorter than those
/// of the agents and layouts.
struct UnknownFields {
  std::vector<std::byte> worker{};
  std::vector<std::vector<std::byte>> agents{};
  std::vector<std::vector<std::byte>> layouts{};
};

/// Whether all features that `body` requires are known here, and which.
///
/// Errors: kCorrupt as check_fields(); kIncompatible naming those that are not known.
[[nodiscard]] Result<void> check_features(const BodyBytes& body, const WireLimits& limits);

/// Sees that `body` is a message whose known fields have their types and fit their limits; gives
/// the others.
///
/// Errors: kCorrupt naming field, offset in the envelope, value and bound.
[[nodiscard]] Result<UnknownFields> check_fields(const BodyBytes& body, const WireLimits& limits);

/// Whether `fields` can be appended to a message as fields that are not known here.
///
/// Errors: kInvalidArgument naming offset and field.
[[nodiscard]] Result<void> check_unknown(std::span<const std::byte> fields, BodyMessage message);

/// What is wrong with a text of at most `bytes_max` bytes, which is to be UTF-8 without control
/// characters; empty if nothing.
[[nodiscard]] std::string fault_of_text(std::string_view text, std::uint64_t bytes_max);

/// "layouts[3].access at 123: " and `what`, which is wrong with the value of that field. Where the
/// field is not there, the offset is that of the message that lacks it.
[[nodiscard]] std::string at_place(const BodyBytes& body, const BodyPlace& place,
                                   std::string_view what);

/// The same without an offset: "layouts[3].access".
[[nodiscard]] std::string to_string(const BodyPlace& place);

}  // namespace kvferry::wire
