// SPDX-License-Identifier: Apache-2.0
#include "disk/queue.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "base/files.hpp"
#include "kvferry/base/try.hpp"

namespace kvferry::disk {
namespace {

/// Ends taken from the backend at a time.
constexpr std::size_t kEndsAtATime = 64;

/// How often an operation that moved nothing is tried again where the kernel says that it may.
constexpr unsigned kMostTries = 100;

/// More operations than any disk works on at a time.
constexpr std::size_t kMostDepth = 4096;

/// Of a tag: the lower bits name the slot, the others its use.
constexpr std::uint64_t kSlotBits = 16;
constexpr std::uint64_t kSlotMask = (std::uint64_t{1} << kSlotBits) - 1;

bool fits_direct(const Piece& piece) {
  const std::uint64_t alignment = piece.file->facts().direct_alignment;
  return alignment != 0 &&
         (piece.offset | piece.bytes | reinterpret_cast<std::uintptr_t>(piece.memory)) %
                 alignment ==
             0;
}

std::string place_of(const Piece& piece, Direction direction) {
  return piece.file->path() + ": " + (direction == Direction::kRead ? "read" : "write") + " of " +
         std::to_string(piece.bytes) + " bytes at " + std::to_string(piece.offset);
}

/// Why a piece could not be moved; `result` is 0 or minus an errno value.
Error failure(const Piece& piece, Direction direction, std::int64_t result) {
  const std::string place = place_of(piece, direction);
  if (result == 0) {
    return Error{
        ErrorCode::kUnavailable,
        place + (direction == Direction::kRead ? ": the file ends before it: somebody cut it"
                                               : ": nothing was written")};
  }
  const int reason = static_cast<int>(-result);
  if (reason == ENOSPC || reason == EDQUOT) {
    return Error{ErrorCode::kBusy, place + ": no room on the disk"};
  }
  return system_error(place, reason);
}

}  // namespace

Queue::Queue(std::unique_ptr<Backend> backend, std::size_t depth)
    : backend_{std::move(backend)}, slots_(depth) {
  for (std::size_t slot = depth; slot > 0; --slot) {
    free_.push_back(slot - 1);
  }
}

Result<std::shared_ptr<Queue>> Queue::open(const IoOptions& options, const LogHook& log) {
  const std::size_t depth = options.depth;
  if (depth == 0 || depth > kMostDepth) {
    return Error{ErrorCode::kInvalidArgument,
                 "depth: " + std::to_string(depth) + " is not 1 to " + std::to_string(kMostDepth)};
  }
  if (options.through != Through::kThreads) {
    auto uring = make_uring_backend(depth);
    if (uring) {
      return create(*std::move(uring), depth);
    }
    if (options.through == Through::kIoUring) {
      return std::move(uring).error();
    }
    if (log) {
      log(LogLevel::kInfo, "files are read and written by threads: " + uring.error().message);
    }
  }
  KVFERRY_ASSIGN_OR_RETURN(auto threads, make_thread_backend(depth));
  return create(std::move(threads), depth);
}

Result<std::shared_ptr<Queue>> Queue::create(std::unique_ptr<Backend> backend, std::size_t depth) {
  // make_shared cannot reach the private constructor.
  std::shared_ptr<Queue> queue{new Queue{std::move(backend), depth}};
  try {
    queue->thread_ = std::thread{[queue] { queue->run(); }};
  } catch (const std::system_error& failure) {
    return Error{ErrorCode::kUnavailable, std::string{"cannot start a thread: "} + failure.what()};
  }
  // The thread may be the last to let go of a transfer, and with it of the queue: so it has a
  // share of its own, and only what callers hold ends it.
  return std::shared_ptr<Queue>{queue.get(), [queue](Queue*) { queue->stop(); }};
}

void Queue::stop() {
  {
    const MutexLock lock{mutex_};
    stopping_ = true;
  }
  backend_->wake();
  if (thread_.get_id() == std::this_thread::get_id()) {
    thread_.detach();
  } else {
    thread_.join();
  }
}

void Queue::read_cached(std::vector<Piece>& pieces) {
  auto left = pieces.begin();
  for (; left != pieces.end() && !fits_direct(*left); ++left) {
    const std::uint64_t moved = backend_->read_cached(
        {Direction::kRead, left->file->descriptor(), left->offset, {left->memory, left->bytes}});
    if (moved < left->bytes) {
      left->offset += moved;
      left->memory += moved;
      left->bytes -= moved;
      break;
    }
  }
  pieces.erase(pieces.begin(), left);
}

RequestNumber Queue::post(Request request) {
  std::vector<Operation> operations;
  RequestNumber number{0};
  {
    const MutexLock lock{mutex_};
    number = next_number_++;
    const bool has_pieces = !request.pieces.empty();
    requests_.emplace(number, State{std::move(request)});
    if (has_pieces) {
      waiting_.push_back(number);
    }
    take_next(operations);
  }
  backend_->submit(operations);
  return number;
}

void Queue::take_next(std::vector<Operation>& operations) {
  while (!free_.empty() && !waiting_.empty()) {
    const RequestNumber number = waiting_.front();
    const auto found = requests_.find(number);
    if (found == requests_.end() || !found->second.has_more()) {  // Cancelled.
      waiting_.pop_front();
      continue;
    }
    State& state = found->second;
    const std::size_t slot = free_.back();
    free_.pop_back();
    slots_[slot] = {number, state.request.pieces[state.next], slots_[slot].uses + 1, 0, true,
                    false};
    ++state.next;
    ++state.in_flight;
    operations.push_back(operation_in(slot));
    if (!state.has_more()) {
      waiting_.pop_front();
    }
  }
}

Operation Queue::operation_in(std::size_t slot) const {
  const Slot& taken = slots_[slot];
  const Piece& piece = taken.rest;
  const bool direct = !taken.through_cache && fits_direct(piece);
  return {requests_.at(taken.request).request.direction,
          direct ? piece.file->direct_descriptor() : piece.file->descriptor(),
          piece.offset,
          {piece.memory, piece.bytes},
          (taken.uses << kSlotBits) | slot};
}

bool Queue::goes_on(Slot& slot, State& state, std::int64_t result) {
  Piece& rest = slot.rest;
  if (result > 0) {
    const auto moved = std::min(static_cast<std::uint64_t>(result), rest.bytes);
    rest.offset += moved;
    rest.memory += moved;
    rest.bytes -= moved;
    slot.tries = 0;
    return rest.bytes != 0;
  }
  if ((result == -EINTR || result == -EAGAIN) && ++slot.tries < kMostTries) {
    return true;
  }
  if (result == -EINVAL && !slot.through_cache && fits_direct(rest)) {
    slot.through_cache = true;  // A file system that takes O_DIRECT, but not here.
    return true;
  }
  state.stopped = true;
  if (!state.error) {
    state.error = failure(rest, state.request.direction, result);
  }
  return false;
}

void Queue::note(const Ended& ended, Todo& todo) {
  const std::size_t index = ended.tag & kSlotMask;
  if (index >= slots_.size() || !slots_[index].taken ||
      slots_[index].uses != ended.tag >> kSlotBits) {
    return;  // An end that was told already.
  }
  Slot& slot = slots_[index];
  State& state = requests_.at(slot.request);
  if (goes_on(slot, state, ended.result) && !state.stopped) {
    ++slot.uses;
    todo.operations.push_back(operation_in(index));
    return;
  }
  slot.taken = false;
  free_.push_back(index);
  --state.in_flight;
  if (state.ended()) {
    todo.told.push_back(state.request.waker);
  }
}

void Queue::run() {
  std::array<Ended, kEndsAtATime> ended;
  while (true) {
    const std::size_t count = backend_->wait(ended);
    Todo todo;
    {
      const MutexLock lock{mutex_};
      for (const Ended& one : std::span{ended}.first(count)) {
        note(one, todo);
      }
      take_next(todo.operations);
      if (stopping_ && free_.size() == slots_.size()) {
        return;
      }
    }
    backend_->submit(todo.operations);
    for (const std::weak_ptr<Waker>& waiting : todo.told) {
      if (const auto waker = waiting.lock()) {
        waker->wake();
      }
    }
  }
}

Result<bool> Queue::poll(RequestNumber number) const {
  const MutexLock lock{mutex_};
  const auto found = requests_.find(number);
  if (found == requests_.end()) {
    return true;
  }
  if (!found->second.ended()) {
    return false;
  }
  return found->second.error ? Result<bool>{*found->second.error} : Result<bool>{true};
}

void Queue::cancel(RequestNumber number) {
  const MutexLock lock{mutex_};
  const auto found = requests_.find(number);
  if (found == requests_.end() || found->second.ended()) {
    return;
  }
  State& state = found->second;
  state.stopped = true;
  if (!state.error) {
    state.error = Error{ErrorCode::kCancelled, "cancelled"};
  }
}

bool Queue::quiet(RequestNumber number) const {
  const MutexLock lock{mutex_};
  const auto found = requests_.find(number);
  return found == requests_.end() || found->second.ended();
}

void Queue::release(RequestNumber number) {
  std::optional<State> done;  // Ends after the lock: it may be the last to hold a file.
  const MutexLock lock{mutex_};
  const auto found = requests_.find(number);
  if (found != requests_.end() && found->second.ended()) {
    done = std::move(found->second);
    requests_.erase(found);
  }
}

}  // namespace kvferry::disk
