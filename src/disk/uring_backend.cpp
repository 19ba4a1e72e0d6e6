// SPDX-License-Identifier: Apache-2.0
#include <liburing.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <thread>
#include <utility>
#include <vector>

#include "base/files.hpp"
#include "base/mutex.hpp"
#include "base/unique_fd.hpp"
#include "disk/backend.hpp"
#include "disk/cached.hpp"
#include "kvferry/base/try.hpp"

namespace kvferry::disk {
namespace {

/// Of the read that wake() ends; no operation has it.
constexpr std::uint64_t kWakeTag = std::numeric_limits<std::uint64_t>::max();

/// What is done only by the thread that waits: it submits too, so that the kernel tells ends to
/// nobody else. Older kernels know less, down to nothing.
constexpr std::array<unsigned, 2> kFlags{
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_R_DISABLED, 0};

/// The ring is the waiting thread's alone; others leave their operations with it and wake it.
class UringBackend final : public Backend {
 public:
  UringBackend() = default;
  ~UringBackend() override {
    if (made_) {
      io_uring_queue_exit(&ring_);
    }
  }

  [[nodiscard]] Result<void> open(std::size_t depth) {
    const auto entries = static_cast<unsigned>(depth + 1);  // All operations, and waking.
    int made{-EINVAL};
    for (std::size_t i = 0; i < kFlags.size() && made == -EINVAL; ++i) {
      made = io_uring_queue_init(entries, &ring_, kFlags[i]);
    }
    if (made < 0) {
      return system_error("io_uring", -made);
    }
    made_ = true;
    bell_ = UniqueFd{::eventfd(0, EFD_CLOEXEC)};
    if (!bell_) {
      return system_error("io_uring: eventfd", errno);
    }
    return {};
  }

  [[nodiscard]] std::string_view name() const noexcept override { return "io_uring"; }

  [[nodiscard]] std::uint64_t read_cached(const Operation& operation) override {
    return disk::read_cached(operation);
  }

  void submit(std::span<const Operation> operations) override {
    bool asleep{false};
    if (!operations.empty()) {
      const MutexLock lock{mutex_};
      left_.insert(left_.end(), operations.begin(), operations.end());
      asleep = std::exchange(asleep_, false);
    }
    if (asleep) {
      ring_bell();
    }
  }

  [[nodiscard]] std::size_t wait(std::span<Ended> ended) override {
    if (!enabled_) {
      enabled_ = true;
      if ((ring_.flags & IORING_SETUP_R_DISABLED) != 0) {
        // From here on this thread's. Not every liburing has the function that is this call.
        ::syscall(SYS_io_uring_register, ring_.ring_fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
      }
    }
    while (true) {
      prepare_all();
      const int entered = io_uring_submit_and_wait(&ring_, 1);
      if (entered < 0 && entered != -EINTR) {
        std::this_thread::yield();  // No memory now: what is left goes with the next.
      }
      const std::size_t count = collect(ended);
      const MutexLock lock{mutex_};
      asleep_ = false;
      if (std::exchange(woken_, false) || count != 0) {
        return count;
      }
    }
  }

  void wake() override {
    {
      const MutexLock lock{mutex_};
      woken_ = true;
    }
    ring_bell();
  }

 private:
  void ring_bell() {
    static_cast<void>(::eventfd_write(bell_.get(), 1));  // Fails only when it rings already.
  }

  /// Hands what was left to the ring, and has it listen to the bell.
  void prepare_all() {
    if (!listening_) {
      if (io_uring_sqe* const entry = io_uring_get_sqe(&ring_); entry != nullptr) {
        io_uring_prep_read(entry, bell_.get(), &rung_, sizeof rung_, 0);
        io_uring_sqe_set_data64(entry, kWakeTag);
        listening_ = true;
      }
    }
    const MutexLock lock{mutex_};
    std::size_t taken{0};
    for (; taken < left_.size() && prepare(left_[taken]); ++taken) {
    }
    left_.erase(left_.begin(), left_.begin() + static_cast<std::ptrdiff_t>(taken));
    asleep_ = true;
  }

  [[nodiscard]] bool prepare(const Operation& operation) {
    io_uring_sqe* const entry = io_uring_get_sqe(&ring_);
    if (entry == nullptr) {
      return false;
    }
    const auto bytes = static_cast<unsigned>(operation.memory.size());
    if (operation.direction == Direction::kRead) {
      io_uring_prep_read(entry, operation.descriptor, operation.memory.data(), bytes,
                         operation.offset);
    } else {
      io_uring_prep_write(entry, operation.descriptor, operation.memory.data(), bytes,
                          operation.offset);
    }
    io_uring_sqe_set_data64(entry, operation.tag);
    return true;
  }

  [[nodiscard]] std::size_t collect(std::span<Ended> ended) {
    std::size_t count{0};
    unsigned seen{0};
    unsigned head{0};
    io_uring_cqe* entry{nullptr};
    io_uring_for_each_cqe(&ring_, head, entry) {
      const std::uint64_t tag = io_uring_cqe_get_data64(entry);
      if (tag == kWakeTag) {
        listening_ = false;
      } else if (count == ended.size()) {
        break;
      } else {
        ended[count++] = {tag, entry->res};
      }
      ++seen;
    }
    io_uring_cq_advance(&ring_, seen);
    return count;
  }

  // Of the thread that waits.
  io_uring ring_{};
  bool made_{false};
  bool enabled_{false};
  bool listening_{false};  ///< a read of the bell is under way
  std::uint64_t rung_{0};

  UniqueFd bell_;
  Mutex mutex_;
  std::vector<Operation> left_ KVFERRY_GUARDED_BY(mutex_);  ///< for the waiting thread to submit
  bool asleep_ KVFERRY_GUARDED_BY(mutex_){false};           ///< it may be: the bell has to be rung
  bool woken_ KVFERRY_GUARDED_BY(mutex_){false};
};

}  // namespace

Result<std::unique_ptr<Backend>> make_uring_backend(std::size_t depth) {
  auto backend = std::make_unique<UringBackend>();
  KVFERRY_RETURN_IF_ERROR(backend->open(depth));
  return std::unique_ptr<Backend>{std::move(backend)};
}

}  // namespace kvferry::disk
