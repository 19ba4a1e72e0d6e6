// SPDX-License-Identifier: Apache-2.0
#include "exchange/files.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <thread>

#include "kvferry/base/try.hpp"

namespace kvferry::exchange {
namespace {

// The lock is held for two or three renames; waiting in the kernel could not be ended in time.
constexpr std::chrono::milliseconds kLockRetry{1};

constexpr mode_t kDirectoryMode = 0700;
constexpr mode_t kFileMode = 0600;
constexpr mode_t kOthersWrite = S_IWGRP | S_IWOTH;

Result<void> write_all(const UniqueFd& file, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file.get(), bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR) {
      return system_error("write", errno);
    }
    bytes = bytes.subspan(written < 0 ? 0 : static_cast<std::size_t>(written));
  }
  return {};
}

Result<void> check_private(const UniqueFd& directory, const std::string& path) {
  struct stat status {};
  if (::fstat(directory.get(), &status) != 0) {
    return system_error(path, errno);
  }
  if (status.st_uid != ::geteuid()) {
    return Error{ErrorCode::kRefused, path + ": belongs to user " + std::to_string(status.st_uid) +
                                          ", not to user " + std::to_string(::geteuid())};
  }
  if ((status.st_mode & kOthersWrite) != 0) {
    return Error{ErrorCode::kRefused, path + ": group or others may write it, use mode 0700"};
  }
  return {};
}

}  // namespace

Error system_error(std::string_view what, int error_number) {
  const bool refused = error_number == ELOOP || error_number == ENOTDIR || error_number == EISDIR;
  return Error{refused ? ErrorCode::kRefused : ErrorCode::kUnavailable,
               std::string{what} + ": " + std::generic_category().message(error_number)};
}

Result<UniqueFd> open_file(int directory, const std::string& name) {
  // Without O_NONBLOCK a pipe that somebody put there would hold us for ever.
  UniqueFd file{
      ::openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)};
  if (file.get() < 0) {
    return system_error(name, errno);
  }
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) {
    return system_error(name, errno);
  }
  if (!S_ISREG(status.st_mode)) {
    return Error{ErrorCode::kRefused, name + ": not a regular file"};
  }
  return file;
}

Result<std::string> read_all(const UniqueFd& file, std::size_t bytes_max) {
  std::string text;
  std::array<char, 4096> buffer{};
  while (true) {
    const ssize_t count = ::read(file.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      return system_error("read", errno);
    }
    if (count == 0) {
      return text;
    }
    if (static_cast<std::size_t>(count) > bytes_max - text.size()) {
      return Error{ErrorCode::kCorrupt, "more than " + std::to_string(bytes_max) + " bytes"};
    }
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

Result<void> replace_file(int directory, const std::string& name,
                          std::span<const std::byte> bytes) {
  const std::string temporary = ".tmp-" + name;
  // Left behind by a writer that died: nobody else writes now.
  if (::unlinkat(directory, temporary.c_str(), 0) != 0 && errno != ENOENT) {
    return system_error(temporary, errno);
  }
  {
    const UniqueFd file{::openat(directory, temporary.c_str(),
                                 O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kFileMode)};
    if (file.get() < 0) {
      return system_error(temporary, errno);
    }
    KVFERRY_RETURN_IF_ERROR(write_all(file, bytes));
  }
  if (::renameat(directory, temporary.c_str(), directory, name.c_str()) != 0) {
    return system_error(name, errno);
  }
  return {};
}

Result<UniqueFd> open_private_directory(std::string_view path) {
  // A slash at the end would make open() follow a symbolic link.
  while (path.size() > 1 && path.back() == '/') {
    path.remove_suffix(1);
  }
  const std::string name{path};
  if (::mkdir(name.c_str(), kDirectoryMode) != 0 && errno != EEXIST) {
    return Error{ErrorCode::kUnavailable,
                 name + ": cannot be made: " + std::generic_category().message(errno)};
  }
  UniqueFd directory{::open(name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
  if (directory.get() < 0) {
    return system_error(name, errno);
  }
  KVFERRY_RETURN_IF_ERROR(check_private(directory, name));
  return directory;
}

Result<UniqueFd> lock_directory(int directory, Lock lock, TimePoint deadline) {
  // A descriptor of its own for every lock: threads that share one would share the lock too.
  UniqueFd own{::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (own.get() < 0) {
    return system_error("lock", errno);
  }
  const int kind = lock == Lock::kShared ? LOCK_SH : LOCK_EX;
  while (::flock(own.get(), kind | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) {
      return system_error("lock", errno);
    }
    if (std::chrono::steady_clock::now() >= deadline) {
      return Error{ErrorCode::kDeadline, "the exchange is locked by another worker"};
    }
    std::this_thread::sleep_for(kLockRetry);
  }
  return own;
}

}  // namespace kvferry::exchange
