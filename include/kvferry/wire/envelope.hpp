// SPDX-License-Identifier: Apache-2.0
#pragma once

// kvferry's own message: what formats A and B say, and what they cannot - which life of the worker
// it is from and how often that has changed, until when it holds, for whom it is, what peers may do
// with a layout, guards. Its body is Protocol Buffers (proto/kvferry/v1), its frame a header that
// covers every bit with a checksum, and optionally a signature over exactly the body.
//
//   std::vector<std::byte> bytes = *wire::encode_envelope(envelope);
//   bytes = *wire::with_signature(bytes, {key.public_key().bytes(), key.sign(body).bytes});
//
//   wire::SignedBody signed_body = *wire::open_envelope(bytes);   // then trust::verify(...)
//   wire::Envelope received = *wire::decode_envelope(bytes);

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kvferry/base/access.hpp"
#include "kvferry/base/epoch.hpp"
#include "kvferry/base/ids.hpp"
#include "kvferry/base/result.hpp"
#include "kvferry/base/run.hpp"
#include "kvferry/base/storage_kind.hpp"
#include "kvferry/layout/packed.hpp"
#include "kvferry/wire/limits.hpp"
#include "kvferry/wire/message_view.hpp"
#include "kvferry/wire/metadata.hpp"

namespace kvferry::wire {

/// What one kind of agent needs to reach the worker's memory.
struct AgentBlob {
  std::string kind{};                       ///< AgentFacts::kind: "shm"
  std::vector<std::byte> blob{};            ///< opaque here
  std::vector<std::byte> unknown_fields{};  ///< of a newer writer, as they came

  friend bool operator==(const AgentBlob&, const AgentBlob&) = default;
};

/// One layout of an envelope.
struct EnvelopeLayout {
  LayoutId id{};
  StorageKind location{};
  Access access{Access::kRead};  ///< of peers; never none
  std::optional<LogicalType> tier{};
  layout::Description description{};
  std::vector<Region> regions{};
  /// Of the layout with the same id, which comes before it with its other planes; empty: none.
  std::string plane{};
  std::string model{};  ///< whose cache it is, in words that its users agree on; empty: not told
  std::string group{};  ///< of layouts that share block ids, such as "window"; empty: the only one
  /// Where the blocks' guards lie: one 64-bit sequence number for each block.
  std::optional<Region> guards{};
  std::vector<std::byte> unknown_fields{};  ///< of a newer writer, as they came

  friend bool operator==(const EnvelopeLayout&, const EnvelopeLayout&) = default;
};

/// Everything that one envelope says.
///
/// Source: docs/spec/envelope.md.
struct Envelope {
  WorkerAddress worker_address{};
  Epoch epoch{};
  std::uint64_t generation{1};  ///< grows with every change in one epoch
  /// When it was written, by the writer's wall clock; written as whole milliseconds.
  std::chrono::system_clock::time_point issued{};
  /// How long after `issued` it holds; 0: until another one comes.
  std::chrono::milliseconds lease{0};
  std::string audience{};  ///< name of the worker it is meant for; empty: all
  std::vector<AgentBlob> agents{};
  std::vector<EnvelopeLayout> layouts{};
  std::vector<std::byte> unknown_fields{};  ///< of a newer writer, as they came

  friend bool operator==(const Envelope&, const Envelope&) = default;
};

/// Who signed, and the signature, as bytes; package trust says whether it is good.
struct EnvelopeSignature {
  std::array<std::byte, 32> public_key{};  ///< Ed25519
  std::array<std::byte, 64> signature{};   ///< of exactly the body

  friend bool operator==(const EnvelopeSignature&, const EnvelopeSignature&) = default;
};

/// The frame of an envelope, taken off.
///
/// Lifetime: `body` points into the bytes that were opened.
struct SignedBody {
  std::span<const std::byte> body{};
  std::optional<EnvelopeSignature> signature{};
};

/// Whether `bytes` begin as an envelope does. No message of format A or B does that has a name
/// without control characters, as all have that can be imported.
[[nodiscard]] bool is_envelope(std::span<const std::byte> bytes) noexcept;

/// Writes an envelope without a signature. What is unknown is written as it came.
///
/// Errors: kInvalidArgument naming the first value that cannot be written or would be refused by
///         every reader that has these limits.
[[nodiscard]] Result<std::vector<std::byte>> encode_envelope(const Envelope& envelope,
                                                             const WireLimits& limits = {});

/// Checks the frame: magic, versions, lengths, checksum.
///
/// Errors: kCorrupt naming field, offset, value and bound; kIncompatible when only newer readers
///         may read it.
[[nodiscard]] Result<SignedBody> open_envelope(std::span<const std::byte> bytes,
                                               const WireLimits& limits = WireLimits{});

/// The same envelope with `signature`, in place of one that it has.
///
/// Errors: those of open_envelope().
[[nodiscard]] Result<std::vector<std::byte>> with_signature(std::span<const std::byte> bytes,
                                                            const EnvelopeSignature& signature);

/// Reads an envelope. Whether a signature is good is not looked at.
///
/// Errors: those of open_envelope(); kCorrupt for a body that is none or says what cannot be;
///         kIncompatible naming the features that must be understood and are not.
[[nodiscard]] Result<Envelope> decode_envelope(std::span<const std::byte> bytes,
                                               const WireLimits& limits = WireLimits{});

/// What an envelope shares with a message of format B, so that the same rules are asked of both.
///
/// Lifetime: names point into `envelope`.
[[nodiscard]] MessageView view_of(const Envelope& envelope);

}  // namespace kvferry::wire
