// SPDX-License-Identifier: Apache-2.0
#include "agent/peer_process.hpp"

#include <poll.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <utility>

#include "kvferry/base/try.hpp"
#include "memory/system.hpp"

namespace kvferry::agent {
namespace {

Error read_error(pid_t process, int error_number) {
  const std::string what = "cannot read memory of process " + std::to_string(process);
  if (error_number == EPERM) {
    return memory::system_error(
        ErrorCode::kRefused,
        what +
            " (allow it: sysctl kernel.yama.ptrace_scope=0, or PR_SET_PTRACER in the owner, or "
            "memory that kvferry allocates)",
        error_number);
  }
  return memory::system_error(ErrorCode::kUnavailable, what, error_number);
}

/// Gathers pieces and reads them with as few system calls as it can.
class Reader {
 public:
  explicit Reader(pid_t process) : process_{process} {}

  Result<void> add(std::byte* from, std::byte* to, std::size_t bytes) {
    remote_[count_] = {from, bytes};
    local_[count_] = {to, bytes};
    return ++count_ == kPieces ? flush() : Result<void>{};
  }

  Result<void> flush() {
    std::size_t first = 0;
    while (first < count_) {
      const ssize_t got = process_vm_readv(process_, &local_[first], count_ - first,
                                           &remote_[first], count_ - first, 0);
      if (got < 0) {
        return read_error(process_, errno);
      }
      if (got == 0) {
        return read_error(process_, EFAULT);
      }
      first = advance(first, static_cast<std::size_t>(got));
    }
    count_ = 0;
    return {};
  }

 private:
  // One system call for 64 pieces costs less than their copies; the arrays stay on the stack.
  static constexpr std::size_t kPieces = 64;

  /// The first piece that is not wholly read; what is left of it starts where reading stopped.
  std::size_t advance(std::size_t first, std::size_t got) {
    while (first < count_ && got >= local_[first].iov_len) {
      got -= local_[first].iov_len;
      ++first;
    }
    if (got > 0) {
      for (iovec* end : {&local_[first], &remote_[first]}) {
        end->iov_base = static_cast<std::byte*>(end->iov_base) + got;
        end->iov_len -= got;
      }
    }
    return first;
  }

  pid_t process_;
  std::size_t count_{0};
  std::array<iovec, kPieces> local_{};
  std::array<iovec, kPieces> remote_{};
};

}  // namespace

Result<std::shared_ptr<PeerProcess>> PeerProcess::open(pid_t id) {
  if (id == 0) {
    return Error{
        ErrorCode::kRefused,
        "the peer's process cannot be seen from here: it needs the same process namespace"};
  }
  UniqueFd descriptor{static_cast<int>(syscall(SYS_pidfd_open, id, 0U))};
  if (!descriptor) {
    return memory::system_error(ErrorCode::kUnavailable, "no process " + std::to_string(id), errno);
  }
  return std::shared_ptr<PeerProcess>{new PeerProcess{id, std::move(descriptor)}};
}

bool PeerProcess::is_alive() noexcept {
  if (is_known_dead()) {
    return false;
  }
  pollfd entry{descriptor_.get(), POLLIN, 0};
  int ready = 0;
  do {
    ready = poll(&entry, 1, 0);
  } while (ready < 0 && errno == EINTR);
  if (ready > 0) {
    set_dead();
  }
  return ready == 0;
}

Result<void> PeerProcess::read(std::span<const Run> runs, std::span<std::byte* const> sources,
                               std::span<std::byte* const> destinations) {
  Reader reader{id_};
  for (const Run& run : runs) {
    std::byte* from = sources[run.source.region] + run.source.offset_bytes;
    std::byte* to = destinations[run.destination.region] + run.destination.offset_bytes;
    for (std::uint64_t piece = 0; run.bytes > 0 && piece < run.count; ++piece) {
      KVFERRY_RETURN_IF_ERROR(reader.add(from, to, run.bytes));
      from += run.source.stride_bytes;
      to += run.destination.stride_bytes;
    }
  }
  KVFERRY_RETURN_IF_ERROR(reader.flush());
  // The number means this process only while it runs: had it ended, another may have it by now.
  if (!is_alive()) {
    return Error{ErrorCode::kUnavailable, "process " + std::to_string(id_) + " is gone"};
  }
  return {};
}

}  // namespace kvferry::agent
