// SPDX-License-Identifier: Apache-2.0
// Any text is a layout of format A or B or refused with kCorrupt. What is read is written, and read
// again as the same layout and the same text.
#include "fuzz/fuzz.hpp"
#include "kvferry/wire/metadata.hpp"

namespace kvferry::fuzz {
namespace {

using wire::LayoutDescriptor;

void check(std::span<const std::byte> input, wire::MessageFormat format) {
  const auto layout = LayoutDescriptor::from_json(as_text(input), {}, format);
  const auto same = LayoutDescriptor::from_json_bytes(input, {}, format);
  must(layout.has_value() == same.has_value(), "bytes are read as text is");
  if (!layout) {
    must(layout.error().code == ErrorCode::kCorrupt, "what is no layout is kCorrupt");
    must(!layout.error().message.empty() && layout.error().message.front() != ':',
         "a refusal says where and why");
    return;
  }
  must(*layout == *same, "bytes say what text says");
  const auto written = layout->to_json(format);
  must(written.has_value(), "what was read can be written");
  const auto again = LayoutDescriptor::from_json(*written, {}, format);
  must(again.has_value(), "what was written is read");
  must(*again == *layout, "what was written says the same");
  must(*again->to_json(format) == *written, "the same layout is the same text");
}

}  // namespace

void one_input(std::span<const std::byte> input) {
  check(input, wire::MessageFormat::kA);
  check(input, wire::MessageFormat::kB);
}

}  // namespace kvferry::fuzz
