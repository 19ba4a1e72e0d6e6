// SPDX-License-Identifier: Apache-2.0
#include "wire/control.hpp"

#include <xxhash.h>

#include <algorithm>
#include <limits>
#include <string_view>
#include <utility>

#include "base/bytes.hpp"
#include "kvferry/base/try.hpp"
#include "wire/text.hpp"

namespace kvferry::wire {
namespace {

enum class ControlType : std::uint16_t {
  kHold = 1,
  kHeld = 2,
  kRefused = 3,
  kRelease = 4,
  kAskDigests = 5,
  kToldDigests = 6
};

constexpr auto kLastType = static_cast<std::uint16_t>(ControlType::kToldDigests);
constexpr auto kLastErrorCode = static_cast<std::uint16_t>(ErrorCode::kWrongBytes);
constexpr std::size_t kLengthAt = 8;
constexpr std::size_t kContactLengthAt = 12;
constexpr std::size_t kWorkerBytes = 8;
constexpr std::size_t kNumberAt = 32;
constexpr std::size_t kHoldBytes = 32;
constexpr std::size_t kAskBytes = 64;
constexpr std::size_t kBoxBytes = 20;
constexpr std::size_t kDigestBytes = 16;
// Ten thousand days: far above what an owner grants, far below what overflows.
constexpr std::uint64_t kDurationMsMax = std::uint64_t{10'000} * 24 * 3600 * 1000;

std::uint64_t checksum(std::span<const std::byte> bytes) noexcept {
  return XXH3_64bits(bytes.data(), bytes.size());
}

Error corrupt(std::string_view field, std::size_t at, std::string_view what) {
  return Error{ErrorCode::kCorrupt,
               std::string{field} + " at " + std::to_string(at) + ": " + std::string{what}};
}

Error invalid(std::string message) {
  return Error{ErrorCode::kInvalidArgument, std::move(message)};
}

std::string of(std::uint64_t value, std::uint64_t bound) {
  return std::to_string(value) + " of " + std::to_string(bound);
}

/// The longest beginning of `text` that fits and does not end inside a UTF-8 character.
std::string_view cut(std::string_view text) noexcept {
  if (text.size() <= kControlTextBytesMax) {
    return text;
  }
  std::size_t size = kControlTextBytesMax;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0U) == 0x80U) {
    --size;
  }
  return text.substr(0, size);
}

void put_error(ByteWriter& out, const std::optional<Error>& error) {
  out.number(error ? static_cast<std::uint16_t>(error->code) : std::uint16_t{0});
  if (error) {
    out.text(cut(error->message));
  }
}

Result<void> check_duration(std::chrono::milliseconds duration) {
  const auto duration_ms = duration.count();
  if (duration_ms < 1 || static_cast<std::uint64_t>(duration_ms) > kDurationMsMax) {
    return invalid("a duration of " + std::to_string(duration_ms) + " ms, from 1 to " +
                   std::to_string(kDurationMsMax));
  }
  return {};
}

Result<void> check_count(std::string_view what, std::size_t count) {
  if (count == 0 || count > kDigestsMax) {
    return invalid(std::string{what} + ": " + std::to_string(count) + ", 1 to " +
                   std::to_string(kDigestsMax));
  }
  return {};
}

Result<void> put_ask(ByteWriter& out, const AskDigests& ask) {
  KVFERRY_RETURN_IF_ERROR(check_duration(ask.duration));
  KVFERRY_RETURN_IF_ERROR(check_count("boxes", ask.boxes.size()));
  if (ask.plane.size() > kControlPlaneBytesMax) {
    return invalid("plane: " + of(ask.plane.size(), kControlPlaneBytesMax) + " bytes");
  }
  out.number(ask.layout.low_bits());
  out.number(ask.layout.high_bits());
  out.number(static_cast<std::uint64_t>(ask.duration.count()));
  for (const std::uint64_t value : {ask.first_outer, ask.outers, ask.first_head, ask.heads}) {
    out.number(value);
  }
  out.number(static_cast<std::uint32_t>(ask.boxes.size()));
  out.number(static_cast<std::uint32_t>(ask.plane.size()));
  out.text(ask.plane);
  for (const DigestBox& box : ask.boxes) {
    out.number(box.block.value());
    for (const std::uint64_t value : {box.layer, box.first_token, box.tokens}) {
      if (value > std::numeric_limits<std::uint32_t>::max()) {
        return invalid("box: " + of(value, std::numeric_limits<std::uint32_t>::max()));
      }
      out.number(static_cast<std::uint32_t>(value));
    }
  }
  return {};
}

Result<void> put_told(ByteWriter& out, const ToldDigests& told) {
  KVFERRY_RETURN_IF_ERROR(check_count("digests", told.digests.size()));
  out.number(static_cast<std::uint32_t>(told.digests.size()));
  for (const Digest& digest : told.digests) {
    out.number(digest.low);
    out.number(digest.high);
  }
  return {};
}

Result<void> put_hold(ByteWriter& out, const Hold& hold) {
  KVFERRY_RETURN_IF_ERROR(check_duration(hold.duration));
  if (!hold.sequences.empty() && hold.sequences.size() != hold.blocks.size()) {
    return invalid("hold: " + std::to_string(hold.sequences.size()) + " sequences for " +
                   std::to_string(hold.blocks.size()) + " blocks");
  }
  const std::size_t numbers = hold.blocks.size() + hold.sequences.size();
  if (hold.blocks.empty() || numbers > kHoldNumbersMax) {
    return invalid("hold: " + std::to_string(numbers) + " block ids and sequences, 1 to " +
                   std::to_string(kHoldNumbersMax));
  }
  out.number(hold.layout.low_bits());
  out.number(hold.layout.high_bits());
  out.number(static_cast<std::uint64_t>(hold.duration.count()));
  out.number(static_cast<std::uint32_t>(hold.blocks.size()));
  out.number(static_cast<std::uint32_t>(hold.sequences.size()));
  for (const BlockId block : hold.blocks) {
    out.number(block.value());
  }
  for (const std::uint64_t sequence : hold.sequences) {
    out.number(sequence);
  }
  return {};
}

/// Reads one body. Offsets in errors are counted from its start.
class BodyReader {
 public:
  explicit BodyReader(std::span<const std::byte> bytes) noexcept : in_{bytes} {}

  Result<ControlBody> hold() {
    if (in_.left() < kHoldBytes) {
      return corrupt("hold", 0, of(in_.left(), kHoldBytes) + " bytes");
    }
    Hold hold;
    const std::uint64_t low = *in_.number<std::uint64_t>();
    hold.layout = LayoutHandle::from_bits(*in_.number<std::uint64_t>(), low);
    KVFERRY_ASSIGN_OR_RETURN(hold.duration, duration());
    const std::uint64_t blocks = *in_.number<std::uint32_t>();
    const std::uint64_t sequences = *in_.number<std::uint32_t>();
    if (blocks == 0 || blocks + sequences > kHoldNumbersMax) {
      return corrupt("block count", 24, of(blocks + sequences, kHoldNumbersMax));
    }
    if (sequences != 0 && sequences != blocks) {
      return corrupt("sequence count", 28, of(sequences, blocks));
    }
    if (in_.left() != (blocks + sequences) * sizeof(std::uint64_t)) {
      return corrupt("block ids", kHoldBytes,
                     std::to_string(blocks + sequences) + " numbers in " +
                         std::to_string(in_.left()) + " bytes");
    }
    hold.blocks.reserve(blocks);
    for (std::uint64_t i = 0; i < blocks; ++i) {
      hold.blocks.emplace_back(*in_.number<std::uint64_t>());
    }
    hold.sequences.reserve(sequences);
    for (std::uint64_t i = 0; i < sequences; ++i) {
      hold.sequences.push_back(*in_.number<std::uint64_t>());
    }
    return ControlBody{std::move(hold)};
  }

  Result<ControlBody> held() const {
    if (in_.left() != 0) {
      return corrupt("held", 0, of(in_.left(), 0) + " bytes");
    }
    return ControlBody{Held{}};
  }

  Result<ControlBody> refused() {
    KVFERRY_ASSIGN_OR_RETURN(std::optional<Error> why, error());
    if (!why) {
      return corrupt("error code", 0, "0 refuses nothing");
    }
    return ControlBody{Refused{*std::move(why)}};
  }

  Result<ControlBody> release() {
    KVFERRY_ASSIGN_OR_RETURN(std::optional<Error> told, error());
    return ControlBody{Release{std::move(told)}};
  }

  Result<ControlBody> ask_digests() {
    if (in_.left() < kAskBytes) {
      return corrupt("digests asked", 0, of(in_.left(), kAskBytes) + " bytes");
    }
    AskDigests ask;
    const std::uint64_t low = *in_.number<std::uint64_t>();
    ask.layout = LayoutHandle::from_bits(*in_.number<std::uint64_t>(), low);
    KVFERRY_ASSIGN_OR_RETURN(ask.duration, duration());
    for (std::uint64_t* const value :
         {&ask.first_outer, &ask.outers, &ask.first_head, &ask.heads}) {
      *value = *in_.number<std::uint64_t>();
    }
    const std::uint64_t boxes = *in_.number<std::uint32_t>();
    if (boxes == 0 || boxes > kDigestsMax) {
      return corrupt("box count", 56, of(boxes, kDigestsMax));
    }
    const std::uint64_t plane_bytes = *in_.number<std::uint32_t>();
    if (plane_bytes > kControlPlaneBytesMax) {
      return corrupt("plane length", 60, of(plane_bytes, kControlPlaneBytesMax));
    }
    if (in_.left() != plane_bytes + boxes * kBoxBytes) {
      return corrupt("boxes", kAskBytes,
                     std::to_string(boxes) + " boxes and a name of " + std::to_string(plane_bytes) +
                         " in " + std::to_string(in_.left()) + " bytes");
    }
    ask.plane = as_text(*in_.raw(plane_bytes));
    ask.boxes.reserve(boxes);
    for (std::uint64_t i = 0; i < boxes; ++i) {
      DigestBox box;
      box.block = BlockId{*in_.number<std::uint64_t>()};
      for (std::uint64_t* const value : {&box.layer, &box.first_token, &box.tokens}) {
        *value = *in_.number<std::uint32_t>();
      }
      ask.boxes.push_back(box);
    }
    return ControlBody{std::move(ask)};
  }

  Result<ControlBody> told_digests() {
    const auto count = in_.number<std::uint32_t>();
    if (!count || *count == 0 || *count > kDigestsMax || in_.left() != *count * kDigestBytes) {
      return corrupt("digests", 0,
                     std::to_string(count.value_or(0)) + " of " + std::to_string(kDigestsMax) +
                         " in " + std::to_string(in_.left()) + " bytes");
    }
    ToldDigests told;
    told.digests.reserve(*count);
    for (std::uint32_t i = 0; i < *count; ++i) {
      const std::uint64_t low = *in_.number<std::uint64_t>();
      told.digests.push_back({low, *in_.number<std::uint64_t>()});
    }
    return ControlBody{std::move(told)};
  }

 private:
  /// The second field of what is wanted for a time.
  Result<std::chrono::milliseconds> duration() {
    const std::uint64_t duration_ms = *in_.number<std::uint64_t>();
    if (duration_ms == 0 || duration_ms > kDurationMsMax) {
      return corrupt("duration", 16, of(duration_ms, kDurationMsMax) + " ms");
    }
    return std::chrono::milliseconds{duration_ms};
  }

  Result<std::optional<Error>> error() {
    const auto code = in_.number<std::uint16_t>();
    if (!code) {
      return corrupt("error code", 0, of(in_.left(), sizeof(std::uint16_t)) + " bytes");
    }
    if (*code > kLastErrorCode) {
      return corrupt("error code", 0, of(*code, kLastErrorCode));
    }
    if (in_.left() > (*code == 0 ? 0 : kControlTextBytesMax)) {
      return corrupt("error text", in_.at(),
                     of(in_.left(), *code == 0 ? 0 : kControlTextBytesMax) + " bytes");
    }
    const std::string text{as_text(*in_.raw(in_.left()))};
    if (*code == 0) {
      return std::optional<Error>{};
    }
    return std::optional<Error>{Error{static_cast<ErrorCode>(*code), text}};
  }

  ByteReader in_;
};

Result<ControlType> put_body(ByteWriter& out, const ControlBody& body) {
  if (const auto* hold = std::get_if<Hold>(&body)) {
    KVFERRY_RETURN_IF_ERROR(put_hold(out, *hold));
    return ControlType::kHold;
  }
  if (const auto* ask = std::get_if<AskDigests>(&body)) {
    KVFERRY_RETURN_IF_ERROR(put_ask(out, *ask));
    return ControlType::kAskDigests;
  }
  if (const auto* told = std::get_if<ToldDigests>(&body)) {
    KVFERRY_RETURN_IF_ERROR(put_told(out, *told));
    return ControlType::kToldDigests;
  }
  if (const auto* refused = std::get_if<Refused>(&body)) {
    put_error(out, refused->why);
    return ControlType::kRefused;
  }
  if (const auto* release = std::get_if<Release>(&body)) {
    put_error(out, release->error);
    return ControlType::kRelease;
  }
  return ControlType::kHeld;
}

}  // namespace

Error harmless(const Error& told) { return {told.code, harmless_text(told.message)}; }

bool is_control(std::span<const std::byte> bytes) noexcept {
  return ByteReader{bytes}.number<std::uint32_t>() == kControlMagic;
}

Result<std::vector<std::byte>> encode_control(const ControlMessage& message) {
  if (message.request.number == 0) {
    return invalid("request number: 0 is not at least 1");
  }
  ByteWriter contact;
  if (message.contact) {
    contact.number(message.contact->worker.value());
    contact.raw(message.contact->blob);
    if (message.contact->blob.empty() || contact.bytes().size() > kControlContactBytesMax) {
      return invalid("contact of " + of(contact.bytes().size(), kControlContactBytesMax) +
                     " bytes");
    }
  }
  ByteWriter body;
  KVFERRY_ASSIGN_OR_RETURN(const ControlType type, put_body(body, message.body));
  ByteWriter out;
  out.number(kControlMagic);
  out.number(kControlVersion);
  out.number(static_cast<std::uint16_t>(type));
  out.number(static_cast<std::uint32_t>(kControlHeaderBytes + contact.bytes().size() +
                                        body.bytes().size() + kControlChecksumBytes));
  out.number(static_cast<std::uint32_t>(contact.bytes().size()));
  out.number(message.request.epoch.high);
  out.number(message.request.epoch.low);
  out.number(message.request.number);
  out.raw(contact.bytes());
  out.raw(body.bytes());
  out.number(checksum(out.bytes()));
  return std::move(out).take();
}

Result<ControlFrame> open_control(std::span<const std::byte> bytes) {
  constexpr std::size_t kLeast = kControlHeaderBytes + kControlChecksumBytes;
  if (bytes.size() < kLeast || bytes.size() > kControlBytesMax) {
    return corrupt("message", 0,
                   std::to_string(bytes.size()) + " bytes, " + std::to_string(kLeast) + " to " +
                       std::to_string(kControlBytesMax));
  }
  if (!is_control(bytes)) {
    return corrupt("magic", 0, "is not that of a control message");
  }
  ByteReader in{bytes};
  (void)in.number<std::uint32_t>();
  ControlFrame frame;
  frame.version = *in.number<std::uint16_t>();
  frame.type = *in.number<std::uint16_t>();
  if (const auto length = *in.number<std::uint32_t>(); length != bytes.size()) {
    return corrupt("length", kLengthAt, of(length, bytes.size()));
  }
  const std::size_t end = bytes.size() - kControlChecksumBytes;
  if (*ByteReader{bytes.subspan(end)}.number<std::uint64_t>() != checksum(bytes.first(end))) {
    return corrupt("checksum", end, "differs");
  }
  const std::size_t contact_bytes = *in.number<std::uint32_t>();
  frame.request.epoch.high = *in.number<std::uint64_t>();
  frame.request.epoch.low = *in.number<std::uint64_t>();
  frame.request.number = *in.number<std::uint64_t>();
  if (frame.request.number == 0) {
    return corrupt("request number", kNumberAt, "0 is not at least 1");
  }
  const std::size_t room = std::min(end - kControlHeaderBytes, kControlContactBytesMax);
  if (contact_bytes > room || (contact_bytes != 0 && contact_bytes <= kWorkerBytes)) {
    return corrupt("contact length", kContactLengthAt, of(contact_bytes, room));
  }
  if (contact_bytes != 0) {
    frame.contact.emplace();
    frame.contact->worker = WorkerId{*in.number<std::uint64_t>()};
    const auto blob = *in.raw(contact_bytes - kWorkerBytes);
    frame.contact->blob.assign(blob.begin(), blob.end());
  }
  frame.body = *in.raw(end - in.at());
  return frame;
}

Result<ControlMessage> read_control(const ControlFrame& frame) {
  if (frame.version != kControlVersion) {
    return Error{ErrorCode::kIncompatible,
                 "control messages of version " + std::to_string(frame.version) +
                     " are not known here, only of version " + std::to_string(kControlVersion)};
  }
  BodyReader in{frame.body};
  const auto read = [&]() -> Result<ControlBody> {
    switch (static_cast<ControlType>(frame.type)) {
      case ControlType::kHold: return in.hold();
      case ControlType::kHeld: return in.held();
      case ControlType::kRefused: return in.refused();
      case ControlType::kRelease: return in.release();
      case ControlType::kAskDigests: return in.ask_digests();
      case ControlType::kToldDigests: return in.told_digests();
    }
    return Error{ErrorCode::kIncompatible,
                 "control messages of type " + std::to_string(frame.type) +
                     " are not known here, only 1 to " + std::to_string(kLastType)};
  };
  KVFERRY_ASSIGN_OR_RETURN(ControlBody body, read());
  return ControlMessage{frame.request, frame.contact, std::move(body)};
}

}  // namespace kvferry::wire
