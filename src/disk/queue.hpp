// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/mutex.hpp"
#include "base/waker.hpp"
#include "disk/backend.hpp"
#include "kvferry/base/log.hpp"
#include "kvferry/base/result.hpp"
#include "kvferry/disk/file.hpp"
#include "kvferry/disk/io.hpp"

namespace kvferry::disk {

/// Bytes that move between a file and memory.
struct Piece {
  const File* file{nullptr};
  std::uint64_t offset{0};
  std::byte* memory{nullptr};
  std::uint64_t bytes{0};
};

/// Pieces that are done when all are.
struct Request {
  Direction direction{Direction::kRead};
  std::vector<Piece> pieces;
  std::weak_ptr<Waker> waker{};              ///< told when it has ended
  std::shared_ptr<const void> keep_alive{};  ///< files and memory, until no byte can move any more
};

using RequestNumber = std::uint64_t;

/// Carries out requests on files, at most `depth` operations at a time, in the order of their
/// coming. Short reads and writes are continued, and one that moves nothing is an error.
///
/// Threads: any, all methods.
class Queue {
 public:
  /// Errors: kInvalidArgument for a depth out of range; kUnavailable when there is no thread, or
  ///         no io_uring though it is asked for.
  [[nodiscard]] static Result<std::shared_ptr<Queue>> open(const IoOptions& options,
                                                           const LogHook& log);
  /// Over a backend of the caller that was made for `depth`.
  [[nodiscard]] static Result<std::shared_ptr<Queue>> create(std::unique_ptr<Backend> backend,
                                                             std::size_t depth);
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;
  /// Waits for operations under way. Whoever waits for one whose end never comes keeps the queue.
  ~Queue() = default;

  [[nodiscard]] std::string_view backend() const noexcept { return backend_->name(); }

  /// Reads on the thread of the caller what lies in the page cache of the first pieces of a read,
  /// and takes it out of `pieces`: nobody has to be woken for it. It does not wait for a disk.
  void read_cached(std::vector<Piece>& pieces);

  [[nodiscard]] RequestNumber post(Request request);

  /// Whether it has ended well; false: not yet.
  ///
  /// Errors: kUnavailable for what the system refuses, naming file and place; kBusy where the disk
  ///         is full.
  [[nodiscard]] Result<bool> poll(RequestNumber number) const;

  /// Starts no more of its operations; those that are under way end by themselves.
  void cancel(RequestNumber number);

  /// Whether no byte of it can move any more. True for a number that is not known.
  [[nodiscard]] bool quiet(RequestNumber number) const;

  /// Drops what is known of a request that is quiet; without effect on any other.
  void release(RequestNumber number);

 private:
  struct State {
    Request request;
    std::size_t next{0};       ///< the first piece that has not been started
    std::size_t in_flight{0};  ///< operations
    bool stopped{false};       ///< no more are started
    std::optional<Error> error{};

    [[nodiscard]] bool has_more() const noexcept {
      return !stopped && next != request.pieces.size();
    }
    [[nodiscard]] bool ended() const noexcept { return in_flight == 0 && !has_more(); }
  };

  /// A place for one operation.
  struct Slot {
    RequestNumber request{0};
    Piece rest{};           ///< what is still to be moved
    std::uint64_t uses{0};  ///< of the slot: tells an end from one that comes twice
    unsigned tries{0};      ///< that moved nothing
    bool taken{false};
    bool through_cache{false};  ///< whatever the file can
  };

  Queue(std::unique_ptr<Backend> backend, std::size_t depth);

  void run();
  /// Ends the thread; on that thread itself, once it is done with what it is at.
  void stop();
  /// What has to be done about ends, once the mutex is free.
  struct Todo {
    std::vector<Operation> operations{};
    std::vector<std::weak_ptr<Waker>> told{};
  };

  void note(const Ended& ended, Todo& todo) KVFERRY_REQUIRES(mutex_);
  /// Whether the operation of a slot has to go on, or once more.
  [[nodiscard]] bool goes_on(Slot& slot, State& state, std::int64_t result)
      KVFERRY_REQUIRES(mutex_);
  /// Fills the slots that are free.
  void take_next(std::vector<Operation>& operations) KVFERRY_REQUIRES(mutex_);
  [[nodiscard]] Operation operation_in(std::size_t slot) const KVFERRY_REQUIRES(mutex_);

  const std::unique_ptr<Backend> backend_;
  mutable Mutex mutex_;
  RequestNumber next_number_ KVFERRY_GUARDED_BY(mutex_){1};
  std::unordered_map<RequestNumber, State> requests_ KVFERRY_GUARDED_BY(mutex_);
  std::deque<RequestNumber> waiting_ KVFERRY_GUARDED_BY(mutex_);  ///< those that have more
  std::vector<Slot> slots_ KVFERRY_GUARDED_BY(mutex_);
  std::vector<std::size_t> free_ KVFERRY_GUARDED_BY(mutex_);
  bool stopping_ KVFERRY_GUARDED_BY(mutex_){false};
  std::thread thread_;
};

}  // namespace kvferry::disk
