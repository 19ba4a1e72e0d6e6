// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
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

/// NAME.json.
[[nodiscard]] std::string record_file(std::string_view name);

/// NAME, when `file` is NAME.json; nothing for any other file.
[[nodiscard]] std::optional<std::string_view> name_of_record(std::string_view file);

/// A record as it lies in the directory.
struct FileRecord {
  StoredRecord stored;
  std::chrono::system_clock::time_point written;
};

/// Reads the record of worker `name` below `directory`.
///
/// Errors: kCorrupt when it is none, larger than `bytes_max`, or another worker's; kRefused when it
///         is no regular file; kBusy; kUnavailable.
[[nodiscard]] Result<FileRecord> read_record(int directory, std::string_view name,
                                             std::size_t bytes_max);

}  // namespace kvferry::exchange
