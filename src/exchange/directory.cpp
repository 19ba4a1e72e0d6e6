// SPDX-License-Identifier: Apache-2.0
#include "kvferry/exchange/directory.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <utility>

#include "base/files.hpp"
#include "base/mutex.hpp"
#include "exchange/directory_watch.hpp"
#include "exchange/files.hpp"
#include "exchange/process.hpp"
#include "exchange/record.hpp"
#include "kvferry/base/try.hpp"

// How a reader gets one publication without a lock: each file is replaced by a rename, so it is
// whole; and the record holds the digest of every format's bytes, so a reader sees when the two
// are of different publications. Then it tries once more under the lock, where nobody is halfway:
// if they still differ, the owner died between two renames, and the entry is damaged.

namespace kvferry::exchange {
namespace {

std::string format_file(std::string_view name, std::string_view format) {
  return std::string{name}.append(".").append(format);
}

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text.data(), text.size()});
}

bool is_there(int directory, const std::string& file) {
  struct stat status {};
  return ::fstatat(directory, file.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
}

/// Whether the file of a listing belongs to a record, or is gone since.
bool is_accounted_for(int directory, std::string_view name, const std::string& file) {
  // In this order: a withdrawal removes the record last.
  return is_there(directory, record_file(name)) || !is_there(directory, file);
}

Result<FoundWorker> found_worker(const FileRecord& record) {
  FoundWorker found;
  found.record = record.stored.worker;
  KVFERRY_ASSIGN_OR_RETURN(found.alive, is_alive(record.stored.owner));
  found.published = record.written;
  for (const auto& [format, digest] : record.stored.formats) {
    found.formats.push_back(format);
  }
  return found;
}

Result<void> remove_file(int directory, const std::string& name) {
  if (::unlinkat(directory, name.c_str(), 0) != 0 && errno != ENOENT) {
    return system_error(name, errno);
  }
  return {};
}

}  // namespace

struct DirectoryExchange::State {
  UniqueFd directory;
  std::string path;
  DirectoryLimits limits;
  Mutex mutex{};
  /// What this object has published and not withdrawn, by name.
  std::map<std::string, StoredRecord, std::less<>> published KVFERRY_GUARDED_BY(mutex){};

  [[nodiscard]] Result<void> check(const Publication& publication) const;
  /// The record that is there, if any. Under the lock.
  [[nodiscard]] Result<std::optional<StoredRecord>> occupant(std::string_view name) const;
  [[nodiscard]] Result<void> write(const StoredRecord& record, const Formats& formats) const;
  [[nodiscard]] Result<Formats> read_formats(const StoredRecord& record) const;
  [[nodiscard]] Result<FetchedWorker> read_worker(std::string_view name) const;
  /// Adds what `file` is to a listing.
  [[nodiscard]] Result<void> add(const std::string& file, Listing& listing) const;
  /// Removes the messages of a publication of this object whose record somebody took away.
  [[nodiscard]] Result<void> remove_messages(std::string_view name, Epoch epoch);
};

Result<void> DirectoryExchange::State::check(const Publication& publication) const {
  KVFERRY_RETURN_IF_ERROR(validate_name(publication.record.name));
  for (const auto& [format, bytes] : publication.formats) {
    KVFERRY_RETURN_IF_ERROR(validate_format(format));
    if (bytes.size() > limits.format_bytes) {
      return Error{ErrorCode::kInvalidArgument, "format " + format + ": " +
                                                    std::to_string(bytes.size()) + " bytes of " +
                                                    std::to_string(limits.format_bytes)};
    }
  }
  return {};
}

Result<std::optional<StoredRecord>> DirectoryExchange::State::occupant(
    std::string_view name) const {
  if (!is_there(directory.get(), record_file(name))) {
    return std::optional<StoredRecord>{};
  }
  Result<FileRecord> found = read_record(directory.get(), name, limits.record_bytes);
  if (!found && found.error().code == ErrorCode::kBusy) {
    return std::move(found).error();
  }
  if (!found) {
    // It may be another program's, or a newer kvferry's: it is not ours to throw away.
    return Error{ErrorCode::kRefused,
                 found.error().message + "; remove it if nobody needs it (" + path + ")"};
  }
  return std::optional{std::move(found->stored)};
}

Result<void> DirectoryExchange::State::write(const StoredRecord& record,
                                             const Formats& formats) const {
  // The record first: then no format's file is ever there without a record that explains it.
  const std::string& name = record.worker.name;
  const std::string text = encode_record(record);
  KVFERRY_RETURN_IF_ERROR(replace_file(directory.get(), record_file(name), bytes_of(text)));
  for (const auto& [format, bytes] : formats) {
    KVFERRY_RETURN_IF_ERROR(replace_file(directory.get(), format_file(name, format), bytes));
  }
  return {};
}

Result<Formats> DirectoryExchange::State::read_formats(const StoredRecord& record) const {
  Formats formats;
  for (const auto& [format, expected] : record.formats) {
    const std::string file_name = format_file(record.worker.name, format);
    KVFERRY_ASSIGN_OR_RETURN(const UniqueFd file, open_file(directory.get(), file_name));
    Result<std::string> text = read_all(file, limits.format_bytes);
    if (!text) {
      return std::move(text).error().with_context(file_name);
    }
    const std::span<const std::byte> bytes = bytes_of(*text);
    if (!(digest_of(bytes) == expected)) {
      return Error{ErrorCode::kCorrupt, file_name + ": " + std::to_string(bytes.size()) +
                                            " bytes that are not the " +
                                            std::to_string(expected.bytes) + " of its record"};
    }
    formats.emplace(format, std::vector<std::byte>{bytes.begin(), bytes.end()});
  }
  return formats;
}

Result<void> DirectoryExchange::State::remove_messages(std::string_view name, Epoch epoch) {
  const MutexLock own_lock{mutex};
  const auto mine = published.find(name);
  if (mine == published.end() || !(mine->second.worker.epoch == epoch)) {
    return {};
  }
  for (const auto& [format, digest] : mine->second.formats) {
    // Without a record they are nobody's, unless somebody put other bytes there.
    const std::string file_name = format_file(name, format);
    const auto file = open_file(directory.get(), file_name);
    const auto text = file ? read_all(*file, limits.format_bytes) : file.error();
    if (text && digest_of(bytes_of(*text)) == digest) {
      KVFERRY_RETURN_IF_ERROR(remove_file(directory.get(), file_name));
    }
  }
  published.erase(mine);
  return {};
}

Result<FetchedWorker> DirectoryExchange::State::read_worker(std::string_view name) const {
  if (!is_there(directory.get(), record_file(name))) {
    return Error{ErrorCode::kUnavailable,
                 "no worker '" + std::string{name} + "' in the exchange " + path};
  }
  KVFERRY_ASSIGN_OR_RETURN(const FileRecord record,
                           read_record(directory.get(), name, limits.record_bytes));
  Result<Formats> formats = read_formats(record.stored);
  if (!formats) {
    const bool busy = formats.error().code == ErrorCode::kBusy;
    return Error{busy ? ErrorCode::kBusy : ErrorCode::kCorrupt, std::move(formats).error().message};
  }
  KVFERRY_ASSIGN_OR_RETURN(FoundWorker found, found_worker(record));
  return FetchedWorker{std::move(found), *std::move(formats)};
}

DirectoryExchange::DirectoryExchange(std::unique_ptr<State> state) : state_{std::move(state)} {}
DirectoryExchange::~DirectoryExchange() = default;

Result<std::unique_ptr<DirectoryExchange>> DirectoryExchange::create(
    std::string_view path, const DirectoryLimits& limits) {
  KVFERRY_ASSIGN_OR_RETURN(UniqueFd directory, open_private_directory(path));
  std::unique_ptr<State> state{new State{std::move(directory), std::string{path}, limits}};
  return std::unique_ptr<DirectoryExchange>{new DirectoryExchange{std::move(state)}};
}

Result<std::unique_ptr<DirectoryExchange>> DirectoryExchange::find(std::string_view path,
                                                                   const DirectoryLimits& limits) {
  KVFERRY_ASSIGN_OR_RETURN(UniqueFd directory, find_private_directory(path));
  if (!directory) {
    return std::unique_ptr<DirectoryExchange>{};
  }
  std::unique_ptr<State> state{new State{std::move(directory), std::string{path}, limits}};
  return std::unique_ptr<DirectoryExchange>{new DirectoryExchange{std::move(state)}};
}

Result<void> DirectoryExchange::publish(const Publication& publication, TimePoint deadline) {
  KVFERRY_RETURN_IF_ERROR(state_->check(publication));
  const WorkerRecord& record = publication.record;
  KVFERRY_ASSIGN_OR_RETURN(const ProcessIdentity own, own_process());
  KVFERRY_ASSIGN_OR_RETURN(const UniqueFd lock,
                           lock_directory(state_->directory.get(), Lock::kExclusive, deadline));
  KVFERRY_ASSIGN_OR_RETURN(const std::optional<StoredRecord> old, state_->occupant(record.name));
  const bool is_own = old && old->owner == own && old->worker.epoch == record.epoch;
  const Result<bool> lives = old ? is_alive(old->owner) : Result<bool>{false};
  if (!lives) {
    return lives.error();
  }
  if (!is_own && *lives) {
    return Error{ErrorCode::kRefused, "worker '" + record.name + "' lives already: process " +
                                          std::to_string(old->owner.pid)};
  }
  if (is_own && old->worker.generation > record.generation) {
    return Error{ErrorCode::kStale, "generation " + std::to_string(record.generation) + " after " +
                                        std::to_string(old->worker.generation)};
  }
  StoredRecord stored{record, own, {}};
  for (const auto& [format, bytes] : publication.formats) {
    stored.formats.emplace(format, digest_of(bytes));
  }
  KVFERRY_RETURN_IF_ERROR(state_->write(stored, publication.formats));
  for (const auto& [format, digest] : old ? old->formats : FormatDigests{}) {
    if (!stored.formats.contains(format)) {
      KVFERRY_RETURN_IF_ERROR(
          remove_file(state_->directory.get(), format_file(record.name, format)));
    }
  }
  const MutexLock own_lock{state_->mutex};
  state_->published.insert_or_assign(record.name, std::move(stored));
  return {};
}

Result<void> DirectoryExchange::State::add(const std::string& file, Listing& listing) const {
  const std::size_t dot = file.rfind('.');
  const std::string name = file.substr(0, dot);
  const std::string format = dot == std::string::npos ? std::string{} : file.substr(dot + 1);
  if (file == record_file(name)) {
    const Result<FileRecord> record = read_record(directory.get(), name, limits.record_bytes);
    if (record) {
      KVFERRY_ASSIGN_OR_RETURN(FoundWorker found, found_worker(*record));
      listing.workers.push_back(std::move(found));
    } else if (record.error().code == ErrorCode::kBusy) {
      return record.error();
    } else if (is_there(directory.get(), file)) {
      listing.skipped.push_back(Skipped{file, record.error().message});
    }
  } else if (!validate_format(format) || !is_accounted_for(directory.get(), name, file)) {
    listing.skipped.push_back(Skipped{file, "belongs to no record"});
  }
  return {};
}

Result<Listing> DirectoryExchange::list(TimePoint /*deadline: it waits for nobody*/) {
  Result<std::vector<std::string>> files =
      file_names(state_->directory.get(), state_->limits.files);
  if (!files) {
    return std::move(files).error().with_context(state_->path);
  }
  Listing listing;
  for (const std::string& file : *files) {
    if (file.front() != '.') {  // What is being written.
      KVFERRY_RETURN_IF_ERROR(state_->add(file, listing));
    }
  }
  return listing;
}

Result<std::unique_ptr<Watch>> DirectoryExchange::watch() {
  KVFERRY_ASSIGN_OR_RETURN(
      std::unique_ptr<DirectoryWatch> made,
      DirectoryWatch::create(state_->directory.get(), state_->path, state_->limits));
  return std::unique_ptr<Watch>{std::move(made)};
}

Result<FetchedWorker> DirectoryExchange::fetch(std::string_view name, TimePoint deadline) {
  KVFERRY_RETURN_IF_ERROR(validate_name(name));
  Result<FetchedWorker> fetched = state_->read_worker(name);
  if (fetched || fetched.error().code != ErrorCode::kCorrupt) {
    return fetched;
  }
  KVFERRY_ASSIGN_OR_RETURN(const UniqueFd lock,
                           lock_directory(state_->directory.get(), Lock::kShared, deadline));
  return state_->read_worker(name);
}

Result<void> DirectoryExchange::withdraw(std::string_view name, Epoch epoch, TimePoint deadline) {
  KVFERRY_RETURN_IF_ERROR(validate_name(name));
  KVFERRY_ASSIGN_OR_RETURN(const ProcessIdentity own, own_process());
  KVFERRY_ASSIGN_OR_RETURN(const UniqueFd lock,
                           lock_directory(state_->directory.get(), Lock::kExclusive, deadline));
  KVFERRY_ASSIGN_OR_RETURN(const std::optional<StoredRecord> old, state_->occupant(name));
  if (!old) {
    return state_->remove_messages(name, epoch);
  }
  if (!(old->owner == own) || !(old->worker.epoch == epoch)) {
    return Error{ErrorCode::kRefused, "worker '" + std::string{name} + "' is process " +
                                          std::to_string(old->owner.pid) +
                                          " or another epoch: not ours to withdraw"};
  }
  for (const auto& [format, digest] : old->formats) {
    KVFERRY_RETURN_IF_ERROR(remove_file(state_->directory.get(), format_file(name, format)));
  }
  KVFERRY_RETURN_IF_ERROR(remove_file(state_->directory.get(), record_file(name)));
  const MutexLock own_lock{state_->mutex};
  state_->published.erase(std::string{name});
  return {};
}

}  // namespace kvferry::exchange
