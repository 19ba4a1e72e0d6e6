// SPDX-License-Identifier: Apache-2.0
#include "commands.hpp"
#include "envelope_json.hpp"
#include "files.hpp"
#include "kvferry/base/try.hpp"
#include "kvferry/wire/serialized_layout.hpp"
#include "message_json.hpp"
#include "output.hpp"

namespace kvferry::tool {
namespace {

/// The largest message takes twice its bytes for a blob, and about four times for regions.
constexpr std::size_t kDocumentBytesMax = std::size_t{256} << 20;

Result<void> encode(const EncodeOptions& options) {
  KVFERRY_ASSIGN_OR_RETURN(const auto bytes, read_input(options.file, kDocumentBytesMax));
  const std::string_view text{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  if (options.format == "envelope" || (options.format == "auto" && describes_envelope(text))) {
    KVFERRY_ASSIGN_OR_RETURN(const SignedEnvelope envelope, envelope_of(text));
    KVFERRY_ASSIGN_OR_RETURN(const auto written, write_envelope(envelope));
    print({reinterpret_cast<const char*>(written.data()), written.size()});
    return {};
  }
  KVFERRY_ASSIGN_OR_RETURN(const Described described, message_of(text, format_of(options.format)));
  const wire::RdmaLayoutDescriptors& message = described.message;
  KVFERRY_ASSIGN_OR_RETURN(
      const auto packed, wire::SerializedLayout::pack(message.worker_address, message.nixl_metadata,
                                                      message.layouts, described.format));
  // What nobody would read, such as a name above the limits, is not written either.
  KVFERRY_ASSIGN_OR_RETURN(const wire::MessageView read,
                           wire::decode_view_as(described.format, packed.as_bytes()));
  static_cast<void>(read);
  print({reinterpret_cast<const char*>(packed.as_bytes().data()), packed.len()});
  return {};
}

}  // namespace

int run_encode(const EncodeOptions& options) {
  const Result<void> done = encode(options);
  return done ? kExitYes : fail(done.error());
}

}  // namespace kvferry::tool
