// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

// The numbers of the envelope, shared by writer and reader.
// Source: docs/spec/envelope.md.

namespace kvferry::wire::envelope_format {

inline constexpr std::string_view kMagic{"KVFY"};
inline constexpr std::uint16_t kVersion = 1;
/// Below 256 in every version: byte 5 is 0, which no name in a message of format A or B holds.
inline constexpr std::uint16_t kVersionMax = 255;
/// The lowest reader that understands what we write, and the reader that we are.
inline constexpr std::uint16_t kReaderMin = 1;
inline constexpr std::uint16_t kReader = 1;

/// Offsets of the header's fields.
inline constexpr std::size_t kVersionAt = 4;
inline constexpr std::size_t kReaderMinAt = 6;
inline constexpr std::size_t kHeaderBytesAt = 8;
inline constexpr std::size_t kSignatureKindAt = 10;
inline constexpr std::size_t kReservedAt = 12;
inline constexpr std::size_t kBodyBytesAt = 16;
inline constexpr std::size_t kChecksumAt = 24;
inline constexpr std::size_t kChecksumBytes = 16;
inline constexpr std::size_t kReservedTooAt = 40;
inline constexpr std::size_t kHeaderBytes = 48;
static_assert(kChecksumAt + kChecksumBytes == kReservedTooAt &&
              kReservedTooAt + sizeof(std::uint64_t) == kHeaderBytes);

enum class SignatureKind : std::uint16_t { kNone = 0, kEd25519 = 1 };
inline constexpr std::size_t kPublicKeyBytes = 32;
inline constexpr std::size_t kSignatureBytes = 64;

inline constexpr std::size_t kEpochBytes = 16;
/// Of an agent's kind and of a required feature: short words of ours.
inline constexpr std::size_t kWordBytesMax = 64;
/// Of a model's name, which may be a path with a digest behind it.
inline constexpr std::size_t kModelBytesMax = 256;

/// What a reader of the first envelopes did not know, and must not pass over.
inline constexpr std::string_view kOrders{"orders"};
inline constexpr std::string_view kParts{"parts"};
inline constexpr std::string_view kStrides{"strides"};
inline constexpr std::string_view kPlanes{"planes"};
inline constexpr std::array<std::string_view, 4> kFeatures{kOrders, kParts, kStrides, kPlanes};

/// Of a custom order: one byte for each axis.
inline constexpr std::size_t kAxesBytes = 4;
/// Axes that have a stride of their own: all but the elements.
inline constexpr std::size_t kStridedAxes = 5;

/// The last whole millisecond that a time_point of 64-bit nanoseconds holds: in the year 2262.
inline constexpr std::int64_t kTimeMsMax = 9'223'372'036'854;
static_assert(
    std::chrono::floor<std::chrono::milliseconds>(
        std::chrono::time_point<std::chrono::system_clock, std::chrono::nanoseconds>::max())
        .time_since_epoch()
        .count() == kTimeMsMax);

}  // namespace kvferry::wire::envelope_format
