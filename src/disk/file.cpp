// SPDX-License-Identifier: Apache-2.0
#include "kvferry/disk/file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <limits>
#include <memory>
#include <system_error>
#include <utility>

#include "base/files.hpp"
#include "base/unique_fd.hpp"
#include "kvferry/base/try.hpp"

namespace kvferry::disk {
namespace {

/// Of direct transfers: what every file system and sector size takes.
constexpr std::uint64_t kDirectAlignment = 4096;

/// An open file, and whether it was made for this.
struct Opened {
  UniqueFd descriptor;
  bool made{false};
};

Error refused(const std::string& path, const std::string& what) {
  return Error{ErrorCode::kRefused, path + ": " + what};
}

std::string text_of(int error_number) { return std::generic_category().message(error_number); }

Result<Opened> open_or_make(const std::string& path) {
  // Not blocking: a named pipe would wait for its other end.
  constexpr int kFlags = O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  constexpr mode_t kOwnerOnly = S_IRUSR | S_IWUSR;
  for (int attempt = 0; attempt < 2; ++attempt) {  // Somebody may make or remove it in between.
    UniqueFd made{::open(path.c_str(), kFlags | O_CREAT | O_EXCL, kOwnerOnly)};
    if (made) {
      return Opened{std::move(made), true};
    }
    if (errno != EEXIST) {
      return system_error(path, errno);
    }
    UniqueFd known{::open(path.c_str(), kFlags)};
    if (known) {
      return Opened{std::move(known), false};
    }
    if (errno != ENOENT) {
      return system_error(path, errno);
    }
  }
  return system_error(path, ENOENT);
}

Result<struct stat> status_of(const UniqueFd& file, const std::string& path) {
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) {
    return system_error(path, errno);
  }
  return status;
}

Result<void> lock(const UniqueFd& file, const std::string& path) {
  if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) {
    return {};
  }
  if (errno == EWOULDBLOCK) {
    return Error{ErrorCode::kBusy, path + ": another worker has it open"};
  }
  return system_error(path + ": lock", errno);
}

Result<void> check_kind_and_size(const UniqueFd& file, const std::string& path,
                                 std::uint64_t size_bytes) {
  KVFERRY_ASSIGN_OR_RETURN(const struct stat status, status_of(file, path));
  if (!S_ISREG(status.st_mode)) {
    return refused(path, "no regular file");
  }
  const auto known = static_cast<std::uint64_t>(status.st_size);
  if (known != 0 && known != size_bytes) {
    return refused(path, "has " + std::to_string(known) + " bytes, and the layout needs " +
                             std::to_string(size_bytes) +
                             ": name another file, or remove this one if it is of no use");
  }
  return {};
}

/// Before anything is written: a disk that runs full in the middle harms others too.
Result<void> check_room(const UniqueFd& file, const std::string& path, std::uint64_t size_bytes) {
  struct statvfs room {};
  if (::fstatvfs(file.get(), &room) != 0) {
    return system_error(path + ": free space", errno);
  }
  KVFERRY_ASSIGN_OR_RETURN(const struct stat status, status_of(file, path));
  constexpr std::uint64_t kBlockBytes = 512;  // Of st_blocks, whatever the file system has.
  const std::uint64_t held = static_cast<std::uint64_t>(status.st_blocks) * kBlockBytes;
  const std::uint64_t needed = size_bytes > held ? size_bytes - held : 0;
  const std::uint64_t unit = room.f_frsize;
  const std::uint64_t free_units = room.f_bavail;
  if (needed / unit + (needed % unit == 0 ? 0 : 1) > free_units) {
    return Error{ErrorCode::kBusy, path + ": needs " + std::to_string(needed) +
                                       " bytes more, and the file system has room for " +
                                       std::to_string(free_units * unit)};
  }
  return {};
}

/// Reserves the file's space; where that cannot be had, its size alone, and says why.
Result<std::string> preallocate(const UniqueFd& file, const std::string& path,
                                std::uint64_t size_bytes) {
  const auto size = static_cast<off_t>(size_bytes);
  while (::fallocate(file.get(), 0, 0, size) != 0) {
    if (errno == EINTR) {
      continue;
    }
    if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL) {
      const int reason = errno;
      return reason == ENOSPC || reason == EDQUOT
                 ? Error{ErrorCode::kBusy, path + ": no room for " + std::to_string(size_bytes) +
                                               " bytes: " + text_of(reason)}
                 : system_error(path + ": reserve space", reason);
    }
    std::string why = text_of(errno);
    if (::ftruncate(file.get(), size) != 0) {
      return system_error(path + ": set size", errno);
    }
    return why;
  }
  return std::string{};
}

/// Opens the same file once more, past the page cache, and proves that it can be read so.
Result<UniqueFd> open_direct(const UniqueFd& file) {
  const std::string same = "/proc/self/fd/" + std::to_string(file.get());
  UniqueFd direct{::open(same.c_str(), O_RDWR | O_CLOEXEC | O_DIRECT)};
  if (!direct) {
    return system_error("O_DIRECT", errno);
  }
  const std::unique_ptr<void, decltype(&std::free)> page{
      std::aligned_alloc(kDirectAlignment, kDirectAlignment), &std::free};
  if (page == nullptr) {
    return Error{ErrorCode::kUnavailable, "O_DIRECT: no memory to try it with"};
  }
  if (::pread(direct.get(), page.get(), kDirectAlignment, 0) < 0) {
    return system_error("O_DIRECT: read", errno);
  }
  return direct;
}

/// Takes back what open() did to a file, unless it is kept.
class Undo {
 public:
  Undo(const Opened& opened, const std::string& path) : opened_{opened}, path_{path} {}
  Undo(const Undo&) = delete;
  Undo& operator=(const Undo&) = delete;
  ~Undo() {
    if (!kept_ && opened_.made) {
      ::unlink(path_.c_str());
    } else if (!kept_ && sized_) {
      static_cast<void>(::ftruncate(opened_.descriptor.get(), 0));
    }
  }
  void sized() noexcept { sized_ = true; }
  void keep() noexcept { kept_ = true; }

 private:
  const Opened& opened_;
  const std::string& path_;
  bool sized_{false};
  bool kept_{false};
};

}  // namespace

Result<FilePtr> File::open(const FileOptions& options, std::uint64_t size_bytes) {
  const std::string& path = options.path;
  constexpr auto kLargest = static_cast<std::uint64_t>(std::numeric_limits<off_t>::max());
  if (path.empty() || size_bytes == 0 || size_bytes > kLargest) {
    return Error{ErrorCode::kInvalidArgument,
                 path.empty() ? std::string{"path: empty"}
                              : path + ": a file of " + std::to_string(size_bytes) +
                                    " bytes cannot be (1 to " + std::to_string(kLargest) + ")"};
  }
  KVFERRY_ASSIGN_OR_RETURN(Opened opened, open_or_make(path));
  Undo undo{opened, path};
  KVFERRY_RETURN_IF_ERROR(check_kind_and_size(opened.descriptor, path, size_bytes));
  KVFERRY_RETURN_IF_ERROR(lock(opened.descriptor, path));
  KVFERRY_RETURN_IF_ERROR(check_room(opened.descriptor, path, size_bytes));
  undo.sized();
  FileFacts facts;
  KVFERRY_ASSIGN_OR_RETURN(facts.why_not_preallocated,
                           preallocate(opened.descriptor, path, size_bytes));
  UniqueFd direct;
  if (options.direct == Direct::kNever) {
    facts.why_not_direct = "not asked for";
  } else if (auto opened_direct = open_direct(opened.descriptor)) {
    direct = *std::move(opened_direct);
    facts.direct_alignment = kDirectAlignment;
  } else if (options.direct == Direct::kAlways) {
    return refused(path, opened_direct.error().message);
  } else {
    facts.why_not_direct = std::move(opened_direct).error().message;
  }
  // make_shared cannot reach the private constructor.
  std::shared_ptr<File> file{new File};
  file->path_ = path;
  file->size_bytes_ = size_bytes;
  file->facts_ = std::move(facts);
  file->descriptor_ = opened.descriptor.get();
  file->direct_descriptor_ = direct.get();
  undo.keep();
  static_cast<void>(opened.descriptor.release());
  static_cast<void>(direct.release());
  return FilePtr{std::move(file)};
}

File::~File() {
  for (const int descriptor : {descriptor_, direct_descriptor_}) {
    if (descriptor >= 0) {
      ::close(descriptor);
    }
  }
}

}  // namespace kvferry::disk
