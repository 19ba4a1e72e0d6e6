// SPDX-License-Identifier: Apache-2.0
#include "files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <mutex>
#include <set>

#include "kvferry/base/epoch.hpp"
#include "kvferry/base/try.hpp"

namespace kvferry::tool {
namespace {

constexpr std::size_t kChunkBytes = std::size_t{1} << 16;

Error cannot_read(const std::string& name) {
  return Error{ErrorCode::kUnavailable, fmt::format("{}: {}", name, std::strerror(errno))};
}

Error cannot_write(const std::string& name) {
  return Error{ErrorCode::kUnavailable, fmt::format("{}: {}", name, std::strerror(errno))};
}

/// A name beside `file` that nobody has.
Result<std::string> name_beside(const std::filesystem::path& file) {
  KVFERRY_ASSIGN_OR_RETURN(const Epoch drawn, draw_epoch());
  return (file.parent_path() / fmt::format(".kvferry-{}", to_string(drawn))).string();
}

/// Opens what is no file, such as a pipe, for writing; does not wait until somebody reads it.
int open_at_once(const std::string& name) {
  const int opened = ::open(name.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  if (opened >= 0) {
    ::fcntl(opened, F_SETFL, ::fcntl(opened, F_GETFL) & ~O_NONBLOCK);
  }
  return opened;
}

/// Names of files that were begun and are not committed yet. A process that ends in the middle of
/// one cannot run destructors.
class Unfinished {
 public:
  void add(const std::string& name) {
    const std::lock_guard lock{mutex_};
    names_.insert(name);
  }
  void remove(const std::string& name) {
    const std::lock_guard lock{mutex_};
    names_.erase(name);
  }
  void unlink_all() {
    const std::lock_guard lock{mutex_};
    for (const std::string& name : names_) {
      ::unlink(name.c_str());
    }
  }

 private:
  std::mutex mutex_;
  std::set<std::string> names_;
};

Unfinished& unfinished() {
  static Unfinished all;
  return all;
}

/// Where the file is or will be that `name` leads to.
Result<std::string> resolved(const std::string& name, bool is_there) {
  std::error_code failed;
  const std::filesystem::path path = std::filesystem::canonical(name, failed);
  if (!failed) {
    return path.string();
  }
  struct ::stat link {};
  if (::lstat(name.c_str(), &link) == 0 && S_ISLNK(link.st_mode)) {
    return Error{ErrorCode::kUnavailable,
                 fmt::format("{}: a link to {}", name,
                             is_there ? "a file that has no name any more" : "what is not there")};
  }
  return name;
}

}  // namespace

Result<std::vector<std::byte>> read_input(const std::string& file, std::size_t bytes_max) {
  const bool is_stdin = file == "-";
  const std::string name = is_stdin ? "standard input" : file;
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> owned{
      is_stdin ? nullptr : std::fopen(file.c_str(), "rb"), &std::fclose};
  if (!is_stdin && owned == nullptr) {
    return cannot_read(name);
  }
  std::FILE* const stream = is_stdin ? stdin : owned.get();
  std::vector<std::byte> bytes;
  while (bytes.size() <= bytes_max) {
    // Doubles, so that a large file is not copied again for each piece.
    const std::size_t before = bytes.size();
    bytes.resize(std::max(kChunkBytes, 2 * before));
    const std::size_t got = std::fread(bytes.data() + before, 1, bytes.size() - before, stream);
    const bool ended = got < bytes.size() - before;
    bytes.resize(before + got);
    if (std::ferror(stream) != 0) {
      return cannot_read(name);
    }
    if (ended) {
      break;
    }
  }
  if (bytes.size() > bytes_max) {
    return Error{ErrorCode::kCorrupt,
                 fmt::format("{}: more than the limit of {} bytes", name, bytes_max)};
  }
  return bytes;
}

Result<void> write_output(const std::string& file, std::string_view text) {
  std::FILE* const stream = std::fopen(file.c_str(), "wb");
  const bool written =
      stream != nullptr && std::fwrite(text.data(), 1, text.size(), stream) == text.size();
  const int why = errno;
  const bool closed = stream != nullptr && std::fclose(stream) == 0;
  if (!written || !closed) {
    return Error{ErrorCode::kUnavailable,
                 fmt::format("{}: {}", file, std::strerror(written ? errno : why))};
  }
  return {};
}

OutputFile::OutputFile(std::string name, std::string path, std::string temporary, int descriptor)
    : name_{std::move(name)},
      path_{std::move(path)},
      temporary_{std::move(temporary)},
      stream_{::fdopen(descriptor, "wb")} {}

OutputFile::~OutputFile() {
  if (stream_ != nullptr && !temporary_.empty()) {
    ::unlink(temporary_.c_str());
    unfinished().remove(temporary_);
  }
}

Result<OutputFile> OutputFile::open(const std::string& name) {
  if (name.empty()) {
    return Error{ErrorCode::kUnavailable, "the name of a file to write is empty"};
  }
  struct ::stat found {};
  std::string path{name};
  std::string temporary;
  int descriptor{-1};
  const bool is_there = ::stat(name.c_str(), &found) == 0;
  if (is_there && !S_ISREG(found.st_mode)) {
    descriptor = open_at_once(name);
  } else {
    KVFERRY_ASSIGN_OR_RETURN(path, resolved(name, is_there));
    KVFERRY_ASSIGN_OR_RETURN(temporary, name_beside(path));
    unfinished().add(temporary);
    descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  }
  if (descriptor < 0) {
    const int why = errno;
    unfinished().remove(temporary);
    errno = why;
    return cannot_write(name);
  }
  return OutputFile{name, std::move(path), std::move(temporary), descriptor};
}

Result<void> OutputFile::write(std::span<const std::byte> bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), stream_.get()) != bytes.size()) {
    return cannot_write(name_);
  }
  return {};
}

Result<void> OutputFile::commit() {
  if (std::fflush(stream_.get()) != 0) {
    return cannot_write(name_);
  }
  const int descriptor = ::fileno(stream_.get());
  struct ::stat before {};
  const bool keeps_mode = !temporary_.empty() && ::stat(path_.c_str(), &before) == 0;
  if (!temporary_.empty() && (::fsync(descriptor) != 0 ||
                              (keeps_mode && ::fchmod(descriptor, before.st_mode & 07777U) != 0) ||
                              ::rename(temporary_.c_str(), path_.c_str()) != 0)) {
    return cannot_write(name_);
  }
  unfinished().remove(temporary_);
  temporary_.clear();
  return {};
}

void remove_unfinished_outputs() { unfinished().unlink_all(); }

Result<void> replace_output(const std::string& file, std::span<const std::byte> bytes) {
  KVFERRY_ASSIGN_OR_RETURN(OutputFile output, OutputFile::open(file));
  KVFERRY_RETURN_IF_ERROR(output.write(bytes));
  return output.commit();
}

}  // namespace kvferry::tool
