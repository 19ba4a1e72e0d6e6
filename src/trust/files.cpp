// SPDX-License-Identifier: Apache-2.0
#include "trust/files.hpp"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <string_view>
#include <system_error>

#include "kvferry/base/try.hpp"
#include "trust/key_file.hpp"
#include "trust/sodium.hpp"

namespace kvferry::trust {
namespace {

constexpr mode_t kOthersWrite = S_IWGRP | S_IWOTH;
constexpr std::size_t kTemporaryNameBytes = 16;  // random, so that no two writers meet

Error system_error(std::string_view what, int error_number) {
  const bool refused = error_number == ELOOP || error_number == ENOTDIR;
  return Error{refused ? ErrorCode::kRefused : ErrorCode::kUnavailable,
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

Result<void> write_all(const UniqueFd& file, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file.get(), bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR) {
      return system_error("write", errno);
    }
    bytes = bytes.subspan(written < 0 ? 0 : static_cast<std::size_t>(written));
  }
  if (::fsync(file.get()) != 0) {
    return system_error("flush", errno);
  }
  return {};
}

struct Place {
  std::string directory;
  std::string name;
};

Result<Place> place_of(const std::string& path) {
  const std::size_t name = path.rfind('/') + 1;  // npos + 1 is 0
  if (name == path.size()) {
    return Error{ErrorCode::kInvalidArgument, "file: '" + path + "' names none"};
  }
  return Place{name == 0 ? "." : path.substr(0, name), path.substr(name)};
}

/// Writes `temporary` and gives it its name, if nothing has that.
Result<void> write_and_link(const UniqueFd& file, std::span<const std::byte> bytes, int directory,
                            const std::string& temporary, const std::string& name) {
  KVFERRY_RETURN_IF_ERROR(write_all(file, bytes));
  // Unlike rename(), link() never replaces anything; and unlike O_EXCL on the name itself, it
  // shows the file only when it is complete.
  if (::linkat(directory, temporary.c_str(), directory, name.c_str(), 0) == 0) {
    return {};
  }
  if (errno == EEXIST) {
    return Error{ErrorCode::kRefused, "is there already, and is not overwritten"};
  }
  return system_error("link", errno);
}

}  // namespace

Result<UniqueFd> open_own_directory(const std::string& path) {
  // A slash at the end would make open() follow a symbolic link.
  const std::size_t end = path.find_last_not_of('/');
  const std::string name = end == std::string::npos ? path.substr(0, 1) : path.substr(0, end + 1);
  UniqueFd directory{::open(name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
  if (directory.get() < 0) {
    return system_error(path, errno);
  }
  struct stat status {};
  if (::fstat(directory.get(), &status) != 0) {
    return system_error(path, errno);
  }
  KVFERRY_RETURN_IF_ERROR(check_owner_and_mode(status, kOthersWrite, path));
  return directory;
}

Result<std::vector<std::string>> file_names(int directory, std::size_t files_max) {
  const int own = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (own < 0) {
    return system_error("list", errno);
  }
  const auto close_stream = [](DIR* open) { ::closedir(open); };
  const std::unique_ptr<DIR, decltype(close_stream)> stream{::fdopendir(own), close_stream};
  if (!stream) {
    const UniqueFd closes{own};
    return system_error("list", errno);
  }
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

Result<std::size_t> read_key_file(int directory, const std::string& name, Secrecy secrecy,
                                  std::span<std::byte> buffer) {
  // Without O_NONBLOCK a pipe that lies there would hold us for ever.
  const UniqueFd file{
      ::openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)};
  if (file.get() < 0) {
    return errno == ELOOP ? Error{ErrorCode::kRefused, name + ": is a symbolic link"}
                          : system_error(name, errno);
  }
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) {
    return system_error(name, errno);
  }
  if (!S_ISREG(status.st_mode)) {
    return Error{ErrorCode::kRefused, name + ": is no regular file"};
  }
  const mode_t forbidden = secrecy == Secrecy::kSecret ? S_IRWXG | S_IRWXO : kOthersWrite;
  KVFERRY_RETURN_IF_ERROR(check_owner_and_mode(status, forbidden, name));
  std::size_t size_bytes{0};
  while (size_bytes < buffer.size()) {
    const auto rest = buffer.subspan(size_bytes);
    const ssize_t count = ::read(file.get(), rest.data(), rest.size());
    if (count == 0) {
      break;
    }
    if (count < 0 && errno != EINTR) {
      return system_error(name, errno);
    }
    size_bytes += count < 0 ? 0 : static_cast<std::size_t>(count);
  }
  return size_bytes;
}

Result<std::string> read_public_file(int directory, const std::string& name) {
  std::string text(kPublicFileBytes + 1, '\0');
  KVFERRY_ASSIGN_OR_RETURN(
      const std::size_t size_bytes,
      read_key_file(directory, name, Secrecy::kPublic, std::as_writable_bytes(std::span{text})));
  text.resize(size_bytes);
  return text;
}

Result<void> write_new_file(const std::string& path, std::span<const std::byte> bytes,
                            Secrecy secrecy) {
  KVFERRY_RETURN_IF_ERROR(set_up_sodium());
  KVFERRY_ASSIGN_OR_RETURN(const Place place, place_of(path));
  const UniqueFd directory{::open(place.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (directory.get() < 0) {
    return system_error(path, errno);
  }
  std::array<std::byte, kTemporaryNameBytes> random{};
  ::randombytes_buf(random.data(), random.size());
  const std::string temporary = ".kvferry-key-" + encode_hex(random);
  const mode_t mode = secrecy == Secrecy::kSecret ? 0600 : 0644;
  const UniqueFd file{::openat(directory.get(), temporary.c_str(),
                               O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)};
  if (file.get() < 0) {
    return system_error(path, errno);
  }
  Result<void> linked = write_and_link(file, bytes, directory.get(), temporary, place.name);
  // If this fails, the file stays, as closed to others as the key that it is.
  ::unlinkat(directory.get(), temporary.c_str(), 0);
  if (!linked) {
    return std::move(linked).error().with_context(path);
  }
  if (::fsync(directory.get()) != 0 && errno != EINVAL) {  // Some file systems cannot.
    return system_error(path + ": is written, and may be lost with the power", errno);
  }
  return {};
}

}  // namespace kvferry::trust
