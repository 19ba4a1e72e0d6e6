// SPDX-License-Identifier: Apache-2.0
#include "memory/system.hpp"

#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

namespace kvferry::memory {

Mapping::Mapping(Mapping&& other) noexcept
    : bytes_{std::exchange(other.bytes_, {})}, owner_{other.owner_} {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  std::swap(owner_, other.owner_);
  return *this;
}

Mapping::~Mapping() {
  if (!bytes_.empty() && owner_ == getpid()) {
    munmap(bytes_.data(), bytes_.size());
  }
}

Result<Mapping> Mapping::of_file(int descriptor, std::uint64_t size_bytes, int protection,
                                 int flags) {
  void* address = mmap(nullptr, size_bytes, protection, flags | MAP_SHARED, descriptor, 0);
  if (address == MAP_FAILED) {
    const bool denied = errno == EACCES || errno == EPERM;
    return system_error(denied ? ErrorCode::kRefused : ErrorCode::kUnavailable,
                        "cannot map " + std::to_string(size_bytes) + " bytes", errno);
  }
  Mapping made;
  made.bytes_ = {static_cast<std::byte*>(address), size_bytes};
  made.owner_ = getpid();
  if (madvise(address, size_bytes, MADV_DONTFORK) != 0) {
    return system_error(ErrorCode::kUnavailable, "cannot keep memory from forked children", errno);
  }
  return made;
}

Error system_error(ErrorCode code, std::string_view what, int error_number) {
  return Error{code, std::string{what} + ": " + std::system_category().message(error_number)};
}

Result<void> fill_random(std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t got = getrandom(bytes.data(), bytes.size(), 0);
    if (got < 0 && errno != EINTR) {
      return system_error(ErrorCode::kUnavailable, "no random bytes", errno);
    }
    bytes = bytes.subspan(got > 0 ? static_cast<std::size_t>(got) : 0);
  }
  return {};
}

}  // namespace kvferry::memory
