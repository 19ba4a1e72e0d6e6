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

#include "base/files.hpp"
#include "kvferry/base/try.hpp"

namespace kvferry::exchange {
namespace {

// The lock is held for two or three renames; waiting in the kernel could not be ended in time.
constexpr std::chrono::milliseconds kLockRetry{1};

constexpr mode_t kDirectoryMode = 0700;
constexpr mode_t kFileMode = 0600;

}  // namespace

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
    if (!file) {
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
  const std::string name{path};
  if (::mkdir(name.c_str(), kDirectoryMode) != 0 && errno != EEXIST) {
    return Error{ErrorCode::kUnavailable,
                 name + ": cannot be made: " + std::generic_category().message(errno)};
  }
  return open_own_directory(name);
}

Result<UniqueFd> find_private_directory(std::string_view path) {
  const std::string name{path};
  struct stat status {};
  if (::lstat(name.c_str(), &status) == 0 || errno != ENOENT) {
    return open_own_directory(name);
  }
  const std::size_t end = name.find_last_not_of('/');
  const std::size_t slash = name.rfind('/', end);
  const std::string parent = slash == std::string::npos ? "." : name.substr(0, slash + 1);
  if (name.empty() || ::stat(parent.c_str(), &status) != 0) {
    return system_error(name, errno);
  }
  return UniqueFd{};
}

Result<UniqueFd> lock_directory(int directory, Lock lock, TimePoint deadline) {
  // A descriptor of its own for every lock: threads that share one would share the lock too.
  UniqueFd own{::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!own) {
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
