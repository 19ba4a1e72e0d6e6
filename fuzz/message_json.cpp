// SPDX-License-Identifier: Apache-2.0
// Any text is a message's document or refused. What is read is packed into bytes that decode to
// the same message in the same format, whose document is read again the same.
#include "message_json.hpp"

#include <nlohmann/json.hpp>
#include <optional>

#include "fuzz/fuzz.hpp"
#include "kvferry/wire/serialized_layout.hpp"

namespace kvferry::fuzz {
namespace {

/// The letter of a format in a document.
std::string_view letter_of(wire::MessageFormat format) {
  return format == wire::MessageFormat::kA ? "A" : "B";
}

/// What the bytes of a message say of it: what is not said in format B is written as its default.
wire::RdmaLayoutDescriptors as_written(const tool::Described& described) {
  wire::RdmaLayoutDescriptors message = described.message;
  if (described.format == wire::MessageFormat::kB) {
    for (wire::LocalLayoutDescriptor& local : message.layouts) {
      local.logical_type = local.logical_type.value_or(wire::LogicalType::kG2);
    }
  }
  return message;
}

void check_message(const tool::Described& described) {
  const auto& [format, message] = described;
  const auto packed = wire::SerializedLayout::pack(message.worker_address, message.nixl_metadata,
                                                   message.layouts, format);
  must(packed.has_value(), "what was read can be packed");
  const auto view = wire::decode_view_as(format, packed->as_bytes());
  const wire::RdmaLayoutDescriptors written = as_written(described);
  must(view.has_value() && wire::to_owned(*view) == written,
       "the bytes say what the document says");
  const nlohmann::ordered_json document{{"format", letter_of(format)},
                                        {"value", tool::value_of(*view)}};
  const auto again = tool::message_of(document.dump(), std::nullopt);
  must(again.has_value() && again->format == format && again->message == written,
       "the message's document says the same");
}

}  // namespace

void one_input(std::span<const std::byte> input) {
  using Format = std::optional<wire::MessageFormat>;
  for (const Format given :
       {Format{}, Format{wire::MessageFormat::kA}, Format{wire::MessageFormat::kB}}) {
    const auto described = tool::message_of(as_text(input), given);
    if (described) {
      must(!given || described->format == *given, "a format that is given counts");
      check_message(*described);
      continue;
    }
    const Error& error = described.error();
    must(error.code == ErrorCode::kCorrupt || error.code == ErrorCode::kInvalidArgument,
         "what is no document is kCorrupt or kInvalidArgument");
    must(error.message.find(": ") != std::string::npos, "a refusal says where and why");
  }
}

}  // namespace kvferry::fuzz
