// SPDX-License-Identifier: Apache-2.0
#include <liburing.h>

#include <cstdint>
#include <limits>
#include <thread>
#include <utility>

#include "base/files.hpp"
#include "base/mutex.hpp"
#include "disk/backend.hpp"
#include "kvferry/base/try.hpp"

namespace kvferry::disk {
namespace {

/// Of what wake() submits; no operation has it.
constexpr std::uint64_t kWakeTag = std::numeric_limits<std::uint64_t>::max();

/// How often the kernel is asked to take what it has no memory for, at once.
constexpr int kAttempts = 1000;

class UringBackend final : public Backend {
 public:
  UringBackend() = default;
  ~UringBackend() override {
    if (made_) {
      io_uring_queue_exit(&ring_);
    }
  }

  [[nodiscard]] Result<void> open(std::size_t depth) {
    // Room for all operations and a wake.
    const int made = io_uring_queue_init(static_cast<unsigned>(depth + 1), &ring_, 0);
    if (made < 0) {
      return system_error("io_uring", -made);
    }
    made_ = true;
    return {};
  }

  [[nodiscard]] std::string_view name() const noexcept override { return "io_uring"; }

  void submit(std::span<const Operation> operations) override {
    const MutexLock lock{mutex_};
    for (const Operation& operation : operations) {
      io_uring_sqe* const entry = io_uring_get_sqe(&ring_);  // There is room: see open().
      const auto bytes = static_cast<unsigned>(operation.memory.size());
      if (operation.direction == Direction::kRead) {
        io_uring_prep_read(entry, operation.descriptor, operation.memory.data(), bytes,
                           operation.offset);
      } else {
        io_uring_prep_write(entry, operation.descriptor, operation.memory.data(), bytes,
                            operation.offset);
      }
      io_uring_sqe_set_data64(entry, operation.tag);
    }
    hand_over();
  }

  [[nodiscard]] std::size_t wait(std::span<Ended> ended) override {
    io_uring_cqe* first{nullptr};
    if (io_uring_wait_cqe(&ring_, &first) != 0) {
      return 0;  // A signal.
    }
    std::size_t count{0};
    unsigned seen{0};
    unsigned head{0};
    io_uring_cqe* entry{nullptr};
    io_uring_for_each_cqe(&ring_, head, entry) {
      const std::uint64_t tag = io_uring_cqe_get_data64(entry);
      if (tag != kWakeTag && count == ended.size()) {
        break;
      }
      if (tag != kWakeTag) {
        ended[count++] = {tag, entry->res};
      }
      ++seen;
    }
    io_uring_cq_advance(&ring_, seen);
    return count;
  }

  void wake() override {
    const MutexLock lock{mutex_};
    io_uring_sqe* const entry = io_uring_get_sqe(&ring_);
    if (entry != nullptr) {
      io_uring_prep_nop(entry);
      io_uring_sqe_set_data64(entry, kWakeTag);
      hand_over();
    }
  }

 private:
  /// What the kernel does not take now, for want of memory, goes with the next submission.
  void hand_over() KVFERRY_REQUIRES(mutex_) {
    for (int attempt = 0; attempt < kAttempts && io_uring_sq_ready(&ring_) != 0; ++attempt) {
      if (io_uring_submit(&ring_) < 0) {
        std::this_thread::yield();
      }
    }
  }

  io_uring ring_{};
  bool made_{false};
  Mutex mutex_;  ///< of the submission side of ring_
};

}  // namespace

Result<std::unique_ptr<Backend>> make_uring_backend(std::size_t depth) {
  auto backend = std::make_unique<UringBackend>();
  KVFERRY_RETURN_IF_ERROR(backend->open(depth));
  return std::unique_ptr<Backend>{std::move(backend)};
}

}  // namespace kvferry::disk
