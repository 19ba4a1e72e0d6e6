// SPDX-License-Identifier: Apache-2.0
#include "trust/files.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/files.hpp"
#include "base/unique_fd.hpp"
#include "kvferry/base/try.hpp"
#include "trust/key_file.hpp"
#include "trust/sodium.hpp"

namespace kvferry::trust {
namespace {

constexpr std::size_t kTemporaryNameBytes = 16;  // random, so that no two writers meet

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
  if (::fsync(file.get()) != 0) {
    return system_error("flush", errno);
  }
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

Result<std::size_t> read_key_file(int directory, const std::string& name, Secrecy secrecy,
                                  std::span<std::byte> buffer) {
  KVFERRY_ASSIGN_OR_RETURN(const UniqueFd file, open_file(directory, name));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) {
    return system_error(name, errno);
  }
  const mode_t forbidden = secrecy == Secrecy::kSecret ? kOthersUse : kOthersWrite;
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
  if (!directory) {
    return system_error(path, errno);
  }
  std::array<std::byte, kTemporaryNameBytes> random{};
  ::randombytes_buf(random.data(), random.size());
  const std::string temporary = ".kvferry-key-" + encode_hex(random);
  const mode_t mode = secrecy == Secrecy::kSecret ? 0600 : 0644;
  const UniqueFd file{::openat(directory.get(), temporary.c_str(),
                               O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)};
  if (!file) {
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
