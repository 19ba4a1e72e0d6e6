// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "exchange/process.hpp"
#include "kvferry/base/result.hpp"
#include "kvferry/exchange/exchange.hpp"

namespace kvferry::exchange {

/// What the file of one format holds, so that a reader sees whether it is of the same publication
/// as the record.
struct FormatDigest {
  std::uint64_t bytes{0};
  std::string xxh3_128;  ///< 32 hexadecimal digits

  friend bool operator==(const FormatDigest&, const FormatDigest&) = default;
};

using FormatDigests = std::map<std::string, FormatDigest, std::less<>>;

/// All that NAME.json says.
struct StoredRecord {
  WorkerRecord worker;
  ProcessIdentity owner;
  FormatDigests formats;

  friend bool operator==(const StoredRecord&, const StoredRecord&) = default;
};

/// Whether `format` can name a format. "json" is the record's own suffix.
///
/// Errors: kInvalidArgument.
[[nodiscard]] Result<void> validate_format(std::string_view format);

[[nodiscard]] FormatDigest digest_of(std::span<const std::byte> bytes);

/// The record as JSON.
///
/// Source: docs/spec/exchange.md.
[[nodiscard]] std::string encode_record(const StoredRecord& record);

/// Reads what encode_record() wrote; fields that it does not know are passed over.
///
/// Errors: kCorrupt naming the first field that is missing or not what it should be.
[[nodiscard]] Result<StoredRecord> decode_record(std::string_view text);

}  // namespace kvferry::exchange
