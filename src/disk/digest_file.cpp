// SPDX-License-Identifier: Apache-2.0
#include "disk/digest_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/bytes.hpp"
#include "base/files.hpp"
#include "kvferry/base/try.hpp"

namespace kvferry::disk {
namespace {

constexpr std::uint64_t kMagic = 0x3153474944465648;  // "HVFDIGS1"
constexpr std::uint64_t kHeaderBytes = 64;
constexpr std::uint64_t kEntryBytes = 24;
/// Entries written, or read, at a time.
constexpr std::uint64_t kAtATime = 4096;

using Bytes = std::vector<std::byte>;

/// A digest and what tells that it is whole, and of that place.
void put_entry(ByteWriter& out, std::uint64_t index, const Digest& digest) {
  ByteWriter sealed;
  sealed.number(digest.low);
  sealed.number(digest.high);
  out.raw(sealed.bytes());
  out.number(static_cast<std::uint64_t>(
      XXH3_64bits_withSeed(sealed.bytes().data(), sealed.bytes().size(), index + 1)));
}

std::optional<Digest> read_entry(std::span<const std::byte> bytes, std::uint64_t index) {
  ByteReader in{bytes};
  const std::uint64_t low = *in.number<std::uint64_t>();
  const Digest digest{low, *in.number<std::uint64_t>()};
  ByteWriter expected;
  put_entry(expected, index, digest);
  return std::ranges::equal(expected.bytes(), bytes) ? std::optional{digest} : std::nullopt;
}

Bytes header_of(const Digest& subject, std::uint64_t count) {
  ByteWriter out;
  out.number(kMagic);
  out.number(count);
  out.number(subject.low);
  out.number(subject.high);
  Bytes bytes = std::move(out).take();
  bytes.resize(kHeaderBytes);
  return bytes;
}

Result<void> write_all(const UniqueFd& file, const std::string& path,
                       std::span<const std::byte> bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t written =
        ::pwrite(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written > 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(written));
      offset += static_cast<std::uint64_t>(written);
    } else if (written == 0 || errno == ENOSPC || errno == EDQUOT) {
      return Error{ErrorCode::kBusy, path + ": no room on the disk"};
    } else if (errno != EINTR) {
      return system_error(path, errno);
    }
  }
  return {};
}

/// As many as there are, up to the size of `bytes`.
Result<std::size_t> read_some(const UniqueFd& file, const std::string& path,
                              std::span<std::byte> bytes, std::uint64_t offset) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::pread(file.get(), bytes.data() + done, bytes.size() - done,
                                static_cast<off_t>(offset + done));
    if (got == 0) {
      break;
    }
    if (got < 0 && errno != EINTR) {
      return system_error(path, errno);
    }
    done += static_cast<std::size_t>(std::max<ssize_t>(got, 0));
  }
  return done;
}

}  // namespace

Result<std::shared_ptr<DigestFile>> DigestFile::open(const std::string& path, const Digest& subject,
                                                     std::uint64_t count) {
  // make_shared cannot reach the private constructor.
  std::shared_ptr<DigestFile> file{new DigestFile{path, subject, count}};
  KVFERRY_RETURN_IF_ERROR(file->load());
  return file;
}

Result<void> DigestFile::load() {
  const MutexLock lock{mutex_};
  UniqueFd file{::open(path_.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
  if (!file) {
    return errno == ENOENT ? Result<void>{} : system_error(path_, errno);
  }
  Bytes bytes(kHeaderBytes);
  KVFERRY_ASSIGN_OR_RETURN(const std::size_t got, read_some(file, path_, bytes, 0));
  if (got != 0 && ByteReader{bytes}.number<std::uint64_t>() != kMagic) {
    return Error{ErrorCode::kRefused,
                 path_ + ": is no file of digests, and its place is taken: rename it"};
  }
  if (bytes != header_of(subject_, known_.size())) {
    return {};  // Of another layout: the first put() makes it anew.
  }
  bytes.resize(kAtATime * kEntryBytes);
  for (std::uint64_t first = 0; first < known_.size(); first += kAtATime) {
    KVFERRY_ASSIGN_OR_RETURN(const std::size_t size,
                             read_some(file, path_, bytes, kHeaderBytes + first * kEntryBytes));
    const std::uint64_t entries =
        std::min<std::uint64_t>(size / kEntryBytes, known_.size() - first);
    for (std::uint64_t i = 0; i < entries; ++i) {
      known_[first + i] =
          read_entry(std::span{bytes}.subspan(i * kEntryBytes, kEntryBytes), first + i);
    }
    if (entries < kAtATime) {
      break;
    }
  }
  descriptor_ = std::move(file);
  return {};
}

std::optional<Digest> DigestFile::get(std::uint64_t index) const {
  const MutexLock lock{mutex_};
  return index < known_.size() ? known_[index] : std::nullopt;
}

/// Begins an empty file: what is not written there reads as zeros, which is no entry.
Result<void> DigestFile::make() {
  constexpr mode_t kOwnerOnly = S_IRUSR | S_IWUSR;
  UniqueFd file{
      ::open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, kOwnerOnly)};
  if (!file) {
    return system_error(path_, errno);
  }
  KVFERRY_RETURN_IF_ERROR(write_all(file, path_, header_of(subject_, known_.size()), 0));
  descriptor_ = std::move(file);
  return {};
}

Result<void> DigestFile::write(std::uint64_t index, std::span<const std::byte> bytes) {
  return write_all(descriptor_, path_, bytes, kHeaderBytes + index * kEntryBytes);
}

Result<void> DigestFile::put(std::uint64_t index, const Digest& digest) {
  const MutexLock lock{mutex_};
  if (!descriptor_) {
    KVFERRY_RETURN_IF_ERROR(make());
  }
  known_[index].reset();
  ByteWriter out;
  put_entry(out, index, digest);
  KVFERRY_RETURN_IF_ERROR(write(index, out.bytes()));
  known_[index] = digest;
  return {};
}

Result<void> DigestFile::drop(std::uint64_t first, std::uint64_t count) {
  const MutexLock lock{mutex_};
  const auto begin = known_.begin() + static_cast<std::ptrdiff_t>(first);
  const auto end = begin + static_cast<std::ptrdiff_t>(count);
  if (!descriptor_ || std::all_of(begin, end, [](const auto& one) { return !one.has_value(); })) {
    return {};
  }
  KVFERRY_RETURN_IF_ERROR(write(first, Bytes(count * kEntryBytes)));
  std::fill(begin, end, std::nullopt);
  return {};
}

}  // namespace kvferry::disk
