// SPDX-License-Identifier: Apache-2.0
// Any bytes are a control message, or refused with kCorrupt, or with kIncompatible when they are
// from a version that is not known; what is read is written back as the same bytes. A checksum
// keeps nearly every change away from the code behind it, so each input is also looked at with
// length and checksum made right.
#include "wire/control.hpp"

#include <algorithm>

#include "fuzz/fuzz.hpp"
#include "tests/framed_bytes.hpp"

namespace kvferry::fuzz {
namespace {

constexpr std::size_t kLengthAt = 8;

void check_hold(const wire::Hold& hold) {
  must(!hold.blocks.empty(), "a hold names blocks");
  must(hold.blocks.size() + hold.sequences.size() <= wire::kHoldNumbersMax, "numbers are limited");
  must(hold.sequences.empty() || hold.sequences.size() == hold.blocks.size(),
       "every block has its sequence, or none has");
  must(hold.duration.count() > 0, "a hold lasts");
}

void check(std::span<const std::byte> bytes) {
  const auto frame = wire::open_control(bytes);
  if (!frame) {
    must(frame.error().code == ErrorCode::kCorrupt, "what is no message is kCorrupt");
    must(frame.error().message.find(" at ") != std::string::npos, "a refusal says where");
    return;
  }
  must(wire::is_control(bytes), "a message begins as one");
  const auto message = wire::read_control(*frame);
  if (!message) {
    const ErrorCode code = message.error().code;
    const bool known = frame->version == wire::kControlVersion && frame->type >= 1 &&
                       frame->type <= std::variant_size_v<wire::ControlBody>;
    must(code == (known ? ErrorCode::kCorrupt : ErrorCode::kIncompatible),
         "what is not known is kIncompatible, what is known and wrong kCorrupt");
    return;
  }
  must(message->request == frame->request, "the request is the frame's");
  if (const auto* hold = std::get_if<wire::Hold>(&message->body)) {
    check_hold(*hold);
  }
  const auto written = wire::encode_control(*message);
  must(written.has_value(), "what was read can be written");
  must(std::ranges::equal(*written, bytes), "a message is written back");
}

}  // namespace

void one_input(std::span<const std::byte> input) {
  check(input);
  if (input.size() >= wire::kControlHeaderBytes + wire::kControlChecksumBytes) {
    check(testing::resealed(input, kLengthAt));
  }
}

}  // namespace kvferry::fuzz
