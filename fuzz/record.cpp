// SPDX-License-Identifier: Apache-2.0
// Any text is a record of the exchange or refused with kCorrupt. What is read has names that are
// harmless as file names, and is written and read again the same.
#include "exchange/record.hpp"

#include "fuzz/fuzz.hpp"

namespace kvferry::fuzz {

void one_input(std::span<const std::byte> input) {
  const auto record = exchange::decode_record(as_text(input));
  if (!record) {
    must(record.error().code == ErrorCode::kCorrupt, "what is no record is kCorrupt");
    must(!record.error().message.empty(), "a refusal says why");
    return;
  }
  must(exchange::validate_name(record->worker.name).has_value(), "the name can name a worker");
  for (const auto& [format, digest] : record->formats) {
    must(exchange::validate_format(format).has_value(), "a format's name can name one");
  }
  const std::string written = exchange::encode_record(*record);
  const auto again = exchange::decode_record(written);
  must(again.has_value(), "what was written is read");
  must(*again == *record, "what was written says the same");
  must(exchange::encode_record(*again) == written, "the same record is the same text");
}

}  // namespace kvferry::fuzz
