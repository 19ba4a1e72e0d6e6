// SPDX-License-Identifier: Apache-2.0
#include "wire/envelope_frame.hpp"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <memory>

#include "kvferry/base/try.hpp"
#include "kvferry/wire/envelope.hpp"
#include "wire/envelope_format.hpp"

namespace kvferry::wire {
namespace {

namespace format = envelope_format;
using Bytes = std::span<const std::byte>;
using format::SignatureKind;

/// What the header says, whose lengths fit the bytes.
struct Header {
  std::size_t header_bytes{format::kHeaderBytes};
  std::size_t body_bytes{0};
  SignatureKind signature_kind{SignatureKind::kNone};
};

template <class T>
T number_at(Bytes bytes, std::size_t at) noexcept {
  std::uint64_t value{0};
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value |= std::to_integer<std::uint64_t>(bytes[at + i]) << (8 * i);
  }
  return static_cast<T>(value);
}

template <class T>
void put_number(std::span<std::byte> bytes, std::size_t at, T value) noexcept {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    bytes[at + i] = static_cast<std::byte>(value >> (8 * i));
  }
}

Error corrupt(std::string message) { return Error{ErrorCode::kCorrupt, std::move(message)}; }

std::size_t trailer_bytes(SignatureKind kind) noexcept {
  return kind == SignatureKind::kNone ? 0 : format::kPublicKeyBytes + format::kSignatureBytes;
}

/// Of everything from the first byte to the body's end but itself, low half first.
XXH128_hash_t checksum_of(Bytes bytes, const Header& header) {
  const Bytes before = bytes.first(format::kChecksumAt);
  const Bytes after = bytes.first(header.header_bytes + header.body_bytes)
                          .subspan(format::kChecksumAt + format::kChecksumBytes);
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state{XXH3_createState(),
                                                                              &XXH3_freeState};
  KVFERRY_ASSERT(state != nullptr, "no memory for the state of a checksum");
  XXH3_128bits_reset(state.get());
  XXH3_128bits_update(state.get(), before.data(), before.size());
  XXH3_128bits_update(state.get(), after.data(), after.size());
  return XXH3_128bits_digest(state.get());
}

void seal(std::span<std::byte> bytes, const Header& header) {
  const XXH128_hash_t sum = checksum_of(bytes, header);
  put_number(bytes, format::kChecksumAt, sum.low64);
  put_number(bytes, format::kChecksumAt + sizeof sum.low64, sum.high64);
}

/// Magic and versions: what decides whether the rest can be understood.
Result<void> check_kind(Bytes bytes, const WireLimits& limits) {
  if (bytes.size() > limits.message_bytes) {
    return corrupt(
        fmt::format("message at 0: {} bytes, limit {}", bytes.size(), limits.message_bytes));
  }
  if (bytes.size() < format::kHeaderBytes) {
    return corrupt(fmt::format("header at 0: {} bytes of {}", bytes.size(), format::kHeaderBytes));
  }
  if (!std::ranges::equal(bytes.first(format::kMagic.size()),
                          std::as_bytes(std::span{format::kMagic}))) {
    return corrupt(
        fmt::format("magic at 0: {:#010x} is not KVFY", number_at<std::uint32_t>(bytes, 0)));
  }
  const auto version = number_at<std::uint16_t>(bytes, format::kVersionAt);
  const auto reader_min = number_at<std::uint16_t>(bytes, format::kReaderMinAt);
  if (version == 0 || version > format::kVersionMax) {
    return corrupt(fmt::format("version at {}: {} is not 1 to {}", format::kVersionAt, version,
                               format::kVersionMax));
  }
  if (reader_min == 0 || reader_min > version) {
    return corrupt(fmt::format("reader_min at {}: {} is not 1 to the version, {}",
                               format::kReaderMinAt, reader_min, version));
  }
  if (reader_min > format::kReader) {
    return Error{ErrorCode::kIncompatible,
                 fmt::format("reader_min at {}: for readers of version {} and newer, this is {}",
                             format::kReaderMinAt, reader_min, format::kReader)};
  }
  return {};
}

/// The header, whose lengths fit the bytes exactly.
Result<Header> read_header(Bytes bytes) {
  const auto header_bytes = number_at<std::uint16_t>(bytes, format::kHeaderBytesAt);
  const auto kind = number_at<std::uint16_t>(bytes, format::kSignatureKindAt);
  const auto body_bytes = number_at<std::uint64_t>(bytes, format::kBodyBytesAt);
  if (header_bytes < format::kHeaderBytes || header_bytes > bytes.size()) {
    return corrupt(fmt::format("header_bytes at {}: {} is not {} to {}", format::kHeaderBytesAt,
                               header_bytes, format::kHeaderBytes, bytes.size()));
  }
  if (kind > static_cast<std::uint16_t>(SignatureKind::kEd25519)) {
    return Error{ErrorCode::kIncompatible,
                 fmt::format("signature_kind at {}: {} is not known here, 0 and 1 are",
                             format::kSignatureKindAt, kind)};
  }
  if (number_at<std::uint32_t>(bytes, format::kReservedAt) != 0 ||
      number_at<std::uint64_t>(bytes, format::kReservedTooAt) != 0) {
    return corrupt(fmt::format("reserved at {} and {}: not zero", format::kReservedAt,
                               format::kReservedTooAt));
  }
  const auto signature_kind = static_cast<SignatureKind>(kind);
  const std::size_t left = bytes.size() - header_bytes;
  if (body_bytes > left) {
    return corrupt(
        fmt::format("body_bytes at {}: {} of {} left", format::kBodyBytesAt, body_bytes, left));
  }
  const std::size_t after = left - body_bytes;
  if (after != trailer_bytes(signature_kind)) {
    return corrupt(fmt::format("message at {}: {} bytes after the body, signature kind {} has {}",
                               bytes.size() - after, after, kind, trailer_bytes(signature_kind)));
  }
  return Header{header_bytes, body_bytes, signature_kind};
}

Result<Header> check_frame(Bytes bytes, const WireLimits& limits) {
  KVFERRY_RETURN_IF_ERROR(check_kind(bytes, limits));
  KVFERRY_ASSIGN_OR_RETURN(const Header header, read_header(bytes));
  const XXH128_hash_t sum = checksum_of(bytes, header);
  if (number_at<std::uint64_t>(bytes, format::kChecksumAt) != sum.low64 ||
      number_at<std::uint64_t>(bytes, format::kChecksumAt + sizeof sum.low64) != sum.high64) {
    return corrupt(fmt::format("checksum at {}: not that of the {} bytes it covers",
                               format::kChecksumAt,
                               header.header_bytes + header.body_bytes - format::kChecksumBytes));
  }
  return header;
}

}  // namespace

bool is_envelope(Bytes bytes) noexcept {
  const std::size_t version_end = format::kVersionAt + sizeof format::kVersion;
  return bytes.size() >= format::kMagic.size() &&
         std::ranges::equal(bytes.first(format::kMagic.size()),
                            std::as_bytes(std::span{format::kMagic})) &&
         (bytes.size() < version_end || bytes[version_end - 1] == std::byte{0});
}

std::vector<std::byte> frame_body(Bytes body) {
  std::vector<std::byte> bytes(format::kHeaderBytes + body.size());
  std::ranges::copy(std::as_bytes(std::span{format::kMagic}), bytes.begin());
  put_number(bytes, format::kVersionAt, format::kVersion);
  put_number(bytes, format::kReaderMinAt, format::kReaderMin);
  put_number(bytes, format::kHeaderBytesAt, static_cast<std::uint16_t>(format::kHeaderBytes));
  put_number(bytes, format::kBodyBytesAt, std::uint64_t{body.size()});
  std::ranges::copy(body, bytes.begin() + format::kHeaderBytes);
  seal(bytes, {.body_bytes = body.size()});
  return bytes;
}

std::size_t body_offset(Bytes envelope) noexcept {
  return number_at<std::uint16_t>(envelope, format::kHeaderBytesAt);
}

Result<SignedBody> open_envelope(Bytes bytes, const WireLimits& limits) {
  KVFERRY_ASSIGN_OR_RETURN(const Header header, check_frame(bytes, limits));
  SignedBody opened{bytes.subspan(header.header_bytes, header.body_bytes), std::nullopt};
  if (header.signature_kind == SignatureKind::kEd25519) {
    const Bytes trailer = bytes.subspan(header.header_bytes + header.body_bytes);
    EnvelopeSignature& signature = opened.signature.emplace();
    std::ranges::copy(trailer.first(format::kPublicKeyBytes), signature.public_key.begin());
    std::ranges::copy(trailer.subspan(format::kPublicKeyBytes), signature.signature.begin());
  }
  return opened;
}

Result<std::vector<std::byte>> with_signature(Bytes bytes, const EnvelopeSignature& signature) {
  KVFERRY_ASSIGN_OR_RETURN(const Header header, check_frame(bytes, WireLimits{}));
  const Bytes kept = bytes.first(header.header_bytes + header.body_bytes);
  const std::size_t size = kept.size() + trailer_bytes(SignatureKind::kEd25519);
  if (size > WireLimits{}.message_bytes) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("message: {} bytes with a signature, limit {}", size,
                             WireLimits{}.message_bytes)};
  }
  std::vector<std::byte> out;
  out.reserve(size);
  out.assign(kept.begin(), kept.end());
  put_number(std::span{out}, format::kSignatureKindAt,
             static_cast<std::uint16_t>(SignatureKind::kEd25519));
  seal(out, header);
  out.insert(out.end(), signature.public_key.begin(), signature.public_key.end());
  out.insert(out.end(), signature.signature.begin(), signature.signature.end());
  return out;
}

}  // namespace kvferry::wire
