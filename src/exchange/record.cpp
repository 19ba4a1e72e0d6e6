// SPDX-License-Identifier: Apache-2.0
#include "exchange/record.hpp"

#include <sys/stat.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/files.hpp"
#include "exchange/files.hpp"
#include "kvferry/base/try.hpp"

namespace kvferry::exchange {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kRecordVersion = 1;
constexpr std::size_t kFormatNameMax = 8;
constexpr std::string_view kRecordSuffix{".json"};

Error corrupt(const std::string& field, const std::string& what) {
  return Error{ErrorCode::kCorrupt, field + ": " + what};
}

Result<std::string> string_field(const Json& object, const char* field) {
  const auto found = object.find(field);
  if (found == object.end() || !found->is_string()) {
    return corrupt(field, "missing, or not a string");
  }
  return found->get<std::string>();
}

Result<std::uint64_t> number_field(const Json& object, const char* field) {
  const auto found = object.find(field);
  if (found == object.end() || !found->is_number_unsigned()) {
    return corrupt(field, "missing, or not a number of at least 0");
  }
  return found->get<std::uint64_t>();
}

std::optional<std::uint64_t> parse_number(std::string_view text, int base) {
  std::uint64_t value{0};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

Result<WorkerRecord> decode_worker(const Json& object) {
  WorkerRecord worker;
  KVFERRY_ASSIGN_OR_RETURN(worker.name, string_field(object, "name"));
  if (const Result<void> valid = validate_name(worker.name); !valid) {
    return Error{ErrorCode::kCorrupt, valid.error().message};
  }
  KVFERRY_ASSIGN_OR_RETURN(const std::string id, string_field(object, "worker_id"));
  const auto worker_id = parse_number(id, 10);
  if (!worker_id) {
    return corrupt("worker_id", "not a number of 64 bits");
  }
  worker.worker_id = WorkerId{*worker_id};
  KVFERRY_ASSIGN_OR_RETURN(const std::string epoch, string_field(object, "epoch"));
  const std::string_view digits{epoch};
  const auto high = parse_number(digits.substr(0, 16), 16);
  const auto low = parse_number(digits.substr(std::min<std::size_t>(16, digits.size())), 16);
  if (digits.size() != 32 || !high || !low) {
    return corrupt("epoch", "not 32 hexadecimal digits");
  }
  worker.epoch = Epoch{*high, *low};
  KVFERRY_ASSIGN_OR_RETURN(worker.generation, number_field(object, "generation"));
  return worker;
}

Result<ProcessIdentity> decode_owner(const Json& object) {
  ProcessIdentity owner;
  KVFERRY_ASSIGN_OR_RETURN(owner.boot_id, string_field(object, "boot_id"));
  KVFERRY_ASSIGN_OR_RETURN(owner.pid, number_field(object, "pid"));
  KVFERRY_ASSIGN_OR_RETURN(owner.start_time, number_field(object, "start_time"));
  return owner;
}

Result<FormatDigests> decode_formats(const Json& object) {
  const auto found = object.find("formats");
  if (found == object.end() || !found->is_object()) {
    return corrupt("formats", "missing, or not an object");
  }
  FormatDigests formats;
  for (const auto& item : found->items()) {
    const std::string field = "formats." + item.key();
    if (!validate_format(item.key()) || !item.value().is_object()) {
      return corrupt(field, "not the name of a format, or not an object");
    }
    FormatDigest digest;
    KVFERRY_ASSIGN_OR_RETURN(digest.bytes, number_field(item.value(), "bytes"));
    KVFERRY_ASSIGN_OR_RETURN(digest.xxh3_128, string_field(item.value(), "xxh3_128"));
    formats.emplace(item.key(), std::move(digest));
  }
  return formats;
}

}  // namespace

Result<void> validate_format(std::string_view format) {
  const bool characters =
      format.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789") == std::string_view::npos;
  if (format.empty() || format.size() > kFormatNameMax || !characters || format == "json") {
    return Error{ErrorCode::kInvalidArgument,
                 "format: not one to eight of a-z and 0-9, or it is 'json'"};
  }
  return {};
}

FormatDigest digest_of(std::span<const std::byte> bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return FormatDigest{bytes.size(), to_string(Epoch{hash.high64, hash.low64})};
}

std::string encode_record(const StoredRecord& record) {
  Json formats = Json::object();
  for (const auto& [name, digest] : record.formats) {
    formats[name] = Json{{"bytes", digest.bytes}, {"xxh3_128", digest.xxh3_128}};
  }
  const Json object{{"version", kRecordVersion},
                    {"name", record.worker.name},
                    // A string: many readers of JSON hold numbers as doubles.
                    {"worker_id", std::to_string(record.worker.worker_id.value())},
                    {"epoch", to_string(record.worker.epoch)},
                    {"generation", record.worker.generation},
                    {"boot_id", record.owner.boot_id},
                    {"pid", record.owner.pid},
                    {"start_time", record.owner.start_time},
                    {"formats", std::move(formats)}};
  return object.dump(2) + "\n";
}

Result<StoredRecord> decode_record(std::string_view text) {
  const Json object = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) {
    return Error{ErrorCode::kCorrupt, "not a JSON object"};
  }
  KVFERRY_ASSIGN_OR_RETURN(const std::uint64_t version, number_field(object, "version"));
  if (version != kRecordVersion) {
    return corrupt("version",
                   std::to_string(version) + " is not " + std::to_string(kRecordVersion));
  }
  StoredRecord record;
  KVFERRY_ASSIGN_OR_RETURN(record.worker, decode_worker(object));
  KVFERRY_ASSIGN_OR_RETURN(record.owner, decode_owner(object));
  KVFERRY_ASSIGN_OR_RETURN(record.formats, decode_formats(object));
  return record;
}

std::string record_file(std::string_view name) { return std::string{name}.append(kRecordSuffix); }

std::optional<std::string_view> name_of_record(std::string_view file) {
  if (!file.ends_with(kRecordSuffix)) {
    return std::nullopt;
  }
  file.remove_suffix(kRecordSuffix.size());
  return validate_name(file) ? std::optional{file} : std::nullopt;
}

Result<FileRecord> read_record(int directory, std::string_view name, std::size_t bytes_max) {
  const std::string file_name = record_file(name);
  KVFERRY_ASSIGN_OR_RETURN(const UniqueFd file, open_file(directory, file_name));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) {
    return system_error(file_name, errno);
  }
  Result<std::string> text = read_all(file, bytes_max);
  if (!text) {
    return std::move(text).error().with_context(file_name);
  }
  Result<StoredRecord> stored = decode_record(*text);
  if (!stored) {
    return std::move(stored).error().with_context(file_name);
  }
  if (stored->worker.name != name) {
    return Error{ErrorCode::kCorrupt, file_name + ": name: is the record of another worker"};
  }
  const std::chrono::system_clock::duration written =
      std::chrono::seconds{status.st_mtim.tv_sec} +
      std::chrono::duration_cast<std::chrono::system_clock::duration>(
          std::chrono::nanoseconds{status.st_mtim.tv_nsec});
  return FileRecord{*std::move(stored), std::chrono::system_clock::time_point{written}};
}

}  // namespace kvferry::exchange
