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

/// All of `bytes`, down to the disk.
bool write_all(int file, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR) {
      return false;
    }
    bytes = bytes.subspan(written < 0 ? 0 : static_cast<std::size_t>(written));
  }
  return ::fsync(file) == 0;
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

Result<void> replace_output(const std::string& file, std::span<const std::byte> bytes) {
  std::error_code is_new;
  const std::filesystem::path resolved = std::filesystem::canonical(file, is_new);
  const std::filesystem::path path = is_new ? std::filesystem::path{file} : resolved;
  KVFERRY_ASSIGN_OR_RETURN(const Epoch drawn, draw_epoch());
  const std::string temporary =
      (path.parent_path() / fmt::format(".kvferry-{}", to_string(drawn))).string();
  const int opened = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (opened < 0) {
    return cannot_write(file);
  }
  struct ::stat before {};
  const bool written = write_all(opened, bytes) && (::stat(path.c_str(), &before) != 0 ||
                                                    ::fchmod(opened, before.st_mode & 07777U) == 0);
  if (!written || ::rename(temporary.c_str(), path.c_str()) != 0) {
    const Error error = cannot_write(file);
    ::unlink(temporary.c_str());
    ::close(opened);
    return error;
  }
  ::close(opened);
  return {};
}

}  // namespace kvferry::tool
