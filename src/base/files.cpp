// SPDX-License-Identifier: Apache-2.0
#include "base/files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <system_error>

#include "kvferry/base/try.hpp"

namespace kvferry {

namespace {

ErrorCode code_of(int error_number) {
  switch (error_number) {
    case ELOOP:
    case ENOTDIR:
    case EISDIR: return ErrorCode::kRefused;
    case EMFILE:
    case ENFILE: return ErrorCode::kBusy;
    default: return ErrorCode::kUnavailable;
  }
}

}  // namespace

Error system_error(std::string_view what, int error_number) {
  return Error{code_of(error_number),
               std::string{what} + ": " + std::generic_category().message(error_number)};
}

Result<void> check_owner_and_mode(const struct stat& status, mode_t forbidden,
                                  const std::string& name) {
  if (status.st_uid != ::geteuid()) {
    return Error{ErrorCode::kRefused, name + ": belongs to user " + std::to_string(status.st_uid) +
                                          ", not to user " + std::to_string(::geteuid())};
  }
  if ((status.st_mode & forbidden) != 0) {
    const bool may_read = (forbidden & S_IRGRP) != 0;
    return Error{ErrorCode::kRefused,
                 name + ": group or others may " +
                     (may_read ? "use it, give it mode 0600" : "write it, use chmod go-w")};
  }
  return {};
}

Result<UniqueFd> open_own_directory(const std::string& path) {
  // A slash at the end would make open() follow a symbolic link.
  const std::size_t end = path.find_last_not_of('/');
  const std::string name = end == std::string::npos ? path.substr(0, 1) : path.substr(0, end + 1);
  UniqueFd directory{::open(name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
  struct stat status {};
  if (!directory || ::fstat(directory.get(), &status) != 0) {
    return system_error(path, errno);
  }
  KVFERRY_RETURN_IF_ERROR(check_owner_and_mode(status, kOthersWrite, path));
  return directory;
}

Result<UniqueFd> open_file(int directory, const std::string& name) {
  // Without O_NONBLOCK a pipe that somebody put there would hold us for ever.
  UniqueFd file{
      ::openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)};
  if (!file && errno == ELOOP) {
    return Error{ErrorCode::kRefused, name + ": is a symbolic link"};
  }
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0) {
    return system_error(name, errno);
  }
  if (!S_ISREG(status.st_mode)) {
    return Error{ErrorCode::kRefused, name + ": is no regular file"};
  }
  return file;
}

Result<std::vector<std::string>> file_names(int directory, std::size_t files_max) {
  UniqueFd own{::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  const auto close_stream = [](DIR* open) { ::closedir(open); };
  const std::unique_ptr<DIR, decltype(close_stream)> stream{own ? ::fdopendir(own.get()) : nullptr,
                                                            close_stream};
  if (!stream) {
    return system_error("list", errno);
  }
  static_cast<void>(own.release());  // The stream closes it.
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* const entry = ::readdir(stream.get())) {
    const std::string_view name{entry->d_name};
    if (name != "." && name != "..") {
      names.emplace_back(name);
    }
    if (names.size() > files_max) {
      return Error{ErrorCode::kRefused, "holds more than " + std::to_string(files_max) + " files"};
    }
    errno = 0;
  }
  if (errno != 0) {
    return system_error("list", errno);
  }
  std::ranges::sort(names);
  return names;
}

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

}  // namespace kvferry
