// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/digest.hpp"
#include "kvferry/base/epoch.hpp"
#include "kvferry/base/ids.hpp"
#include "kvferry/base/result.hpp"

namespace kvferry::wire {

// The numbers of control messages: docs/spec/control.md, sections 2 and 4.
inline constexpr std::uint32_t kControlMagic = 0x4346564B;  // "KVFC"
inline constexpr std::uint16_t kControlVersion = 1;
inline constexpr std::size_t kControlHeaderBytes = 40;
inline constexpr std::size_t kControlChecksumBytes = 8;
/// With the longest of everything a message stays below 64 KiB, the longest notification of an
/// agent.
inline constexpr std::size_t kControlContactBytesMax = 4096;
inline constexpr std::size_t kControlTextBytesMax = 1024;
/// Block ids, and with them sequences, of one hold.
inline constexpr std::size_t kHoldNumbersMax = 7168;
/// Boxes of one question for digests, and digests of its answer.
inline constexpr std::size_t kDigestsMax = 2048;
inline constexpr std::size_t kControlPlaneBytesMax = 64;
inline constexpr std::size_t kControlBytesMax = std::size_t{64} << 10U;

/// How a reader can be answered.
struct ControlContact {
  WorkerId worker{};
  std::vector<std::byte> blob;  ///< what Agent::contact_metadata() gave; 1 to 4,088 bytes

  friend bool operator==(const ControlContact&, const ControlContact&) = default;
};

/// Names one request: an answer and a release repeat what the hold said.
struct ControlRequest {
  Epoch epoch{};  ///< of the reader
  std::uint64_t number{0};

  friend bool operator==(const ControlRequest&, const ControlRequest&) = default;
};

/// Reader: hold these blocks of yours for me.
struct Hold {
  LayoutHandle layout{};  ///< as the owner names it
  /// From the owner's receipt: the clocks of two workers differ. At least 1.
  std::chrono::milliseconds duration{0};
  std::vector<BlockId> blocks;
  std::vector<std::uint64_t> sequences;  ///< of the guard of each block, or none at all

  friend bool operator==(const Hold&, const Hold&) = default;
};

/// Owner: they are held.
struct Held {
  friend bool operator==(const Held&, const Held&) = default;
};

/// Owner: they are not, or what was sent cannot be understood.
struct Refused {
  Error why;

  friend bool operator==(const Refused&, const Refused&) = default;
};

/// Reader: no longer needed.
struct Release {
  std::optional<Error> error;  ///< nothing: all bytes have arrived

  friend bool operator==(const Release&, const Release&) = default;
};

/// Reader: tell me the digests of these parts of your blocks.
struct AskDigests {
  LayoutHandle layout{};  ///< as the owner names it
  std::string plane{};    ///< empty: the data
  /// How long the answer is wanted, from the owner's receipt. At least 1.
  std::chrono::milliseconds duration{0};
  std::uint64_t first_outer{0};  ///< in the layout, as all ranges here: it may be a rank's part
  std::uint64_t outers{0};
  std::uint64_t first_head{0};
  std::uint64_t heads{0};  ///< 0: token, head and element are one piece, in the order of memory
  std::vector<DigestBox> boxes;  ///< whose layers are counted in the layout, too

  friend bool operator==(const AskDigests&, const AskDigests&) = default;
};

/// Owner: here they are, one for each box.
struct ToldDigests {
  std::vector<Digest> digests;

  friend bool operator==(const ToldDigests&, const ToldDigests&) = default;
};

/// An error as a peer tells it, fit for logs and terminals: its text may be any bytes.
[[nodiscard]] Error harmless(const Error& told);

using ControlBody = std::variant<Hold, Held, Refused, Release, AskDigests, ToldDigests>;

struct ControlMessage {
  ControlRequest request{};
  std::optional<ControlContact> contact{};  ///< of the sender, where an answer is wanted
  ControlBody body;

  friend bool operator==(const ControlMessage&, const ControlMessage&) = default;
};

/// What every version can read of a message: enough to answer one that it does not know.
struct ControlFrame {
  std::uint16_t version{0};
  std::uint16_t type{0};
  ControlRequest request{};
  std::optional<ControlContact> contact{};
  std::span<const std::byte> body;  ///< inside the bytes that were opened
};

/// Whether `bytes` begin as a control message does.
[[nodiscard]] bool is_control(std::span<const std::byte> bytes) noexcept;

/// Texts of errors are cut at kControlTextBytesMax, where a character ends.
///
/// Errors: kInvalidArgument naming what is above its limit, or cannot be said.
[[nodiscard]] Result<std::vector<std::byte>> encode_control(const ControlMessage& message);

/// Checks all that is the same in every version. Total.
///
/// Errors: kCorrupt naming the field, its offset, its value and its bound.
[[nodiscard]] Result<ControlFrame> open_control(std::span<const std::byte> bytes);

/// Reads the body of a frame. Total.
///
/// Errors: kIncompatible for a version or type that is not known here, to be answered; kCorrupt as
///         above.
[[nodiscard]] Result<ControlMessage> read_control(const ControlFrame& frame);

}  // namespace kvferry::wire
