// SPDX-License-Identifier: Apache-2.0
#include "exchange/directory_watch.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstring>
#include <utility>
#include <vector>

#include "base/files.hpp"
#include "exchange/record.hpp"
#include "kvferry/base/try.hpp"

namespace kvferry::exchange {
namespace {

// What is renamed into place, and what others write in place; and the end of the directory itself.
constexpr std::uint32_t kEntryEvents =
    IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF;
constexpr std::uint32_t kEndEvents = IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED;

// Some 100 events at a time: one call of wait() takes a bounded share of an endless stream.
constexpr std::size_t kEventBytes = 8192;
constexpr int kReadyMax = 16;

/// A wait that epoll understands, rounded up: rounded down it would spin before the deadline.
int milliseconds_until(TimePoint deadline) {
  const TimePoint now = std::chrono::steady_clock::now();
  if (deadline <= now) {
    return 0;
  }
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now).count();
  return static_cast<int>(std::min<std::chrono::milliseconds::rep>(left, INT_MAX));
}

/// The path by which an open file can be named again.
std::string descriptor_path(const UniqueFd& file) {
  return "/proc/self/fd/" + std::to_string(file.get());
}

/// Where an open file is now; for a removed one nothing that is a path.
Result<std::string> place_of(const UniqueFd& file) {
  std::array<char, PATH_MAX> buffer{};
  const ssize_t count = ::readlink(descriptor_path(file).c_str(), buffer.data(), buffer.size());
  if (count < 0) {
    return system_error("its place", errno);
  }
  return std::string{buffer.data(), static_cast<std::size_t>(count)};
}

/// Watches are limited for each user, beside what is limited for each process.
Error watch_error(std::string_view what, int error_number) {
  Error error = system_error(what, error_number);
  if (error_number == ENOSPC) {
    error = Error{ErrorCode::kBusy, std::string{what} + ": the watches of this user are used up"};
  }
  return error;
}

Result<int> add_watch(const UniqueFd& inotify, const std::string& path, std::uint32_t events) {
  // IN_MASK_ADD: the root directory is its own parent.
  const int number = ::inotify_add_watch(inotify.get(), path.c_str(), events | IN_MASK_ADD);
  if (number < 0) {
    return watch_error("watch", errno);
  }
  return number;
}

Result<void> wait_for(const UniqueFd& epoll, int descriptor) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = descriptor;
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, descriptor, &event) != 0) {
    return watch_error("epoll", errno);
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<DirectoryWatch>> DirectoryWatch::create(int directory,
                                                               const std::string& path,
                                                               const DirectoryLimits& limits) {
  std::unique_ptr<DirectoryWatch> made{new DirectoryWatch{path, limits}};
  if (Result<void> started = made->start(directory); !started) {
    return std::move(started).error().with_context(path);
  }
  return made;
}

Result<void> DirectoryWatch::start(int directory) {
  directory_ = UniqueFd{::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  epoll_ = UniqueFd{directory_ ? ::epoll_create1(EPOLL_CLOEXEC) : -1};
  inotify_ = UniqueFd{epoll_ ? ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK) : -1};
  if (!inotify_) {
    return system_error("watch", errno);
  }
  KVFERRY_ASSIGN_OR_RETURN(place_, place_of(directory_));
  KVFERRY_ASSIGN_OR_RETURN(entries_,
                           add_watch(inotify_, descriptor_path(directory_), kEntryEvents));
  // A directory that somebody holds open, as we do, tells nobody that it was removed; its parent
  // does.
  Result<int> parent = add_watch(inotify_, descriptor_path(directory_) + "/..", IN_DELETE);
  if (!parent) {
    return std::move(parent).error().with_context("its parent");
  }
  KVFERRY_RETURN_IF_ERROR(wait_for(epoll_, inotify_.get()));
  if (is_gone()) {
    return Error{ErrorCode::kUnavailable, "was removed"};
  }
  KVFERRY_RETURN_IF_ERROR(look_at_all());
  KVFERRY_RETURN_IF_ERROR(look_at_changed());
  told_.clear();  // The caller makes his first list after this.
  return {};
}

Result<Changes> DirectoryWatch::wait(TimePoint deadline) {
  while (true) {
    const bool is_pending = lost_ || tell_all_ || !changed_.empty() || !told_.empty();
    if (!gone_) {
      KVFERRY_RETURN_IF_ERROR(take_what_is_ready(is_pending ? TimePoint::min() : deadline));
    }
    if (gone_) {
      return Error{ErrorCode::kUnavailable, path_ + ": the directory was removed or moved"};
    }
    KVFERRY_RETURN_IF_ERROR(look_at_changed());
    if (tell_all_ || !told_.empty()) {
      Changes changes{{told_.begin(), told_.end()}, tell_all_};
      told_.clear();
      tell_all_ = false;
      return changes;
    }
    if (std::chrono::steady_clock::now() >= deadline) {
      return Changes{};
    }
  }
}

Result<void> DirectoryWatch::take_what_is_ready(TimePoint deadline) {
  std::array<epoll_event, kReadyMax> ready{};
  const int count =
      ::epoll_wait(epoll_.get(), ready.data(), kReadyMax, milliseconds_until(deadline));
  if (count < 0 && errno != EINTR) {
    return system_error(path_ + ": epoll", errno);
  }
  for (int i = 0; i < count; ++i) {
    const int descriptor = ready[static_cast<std::size_t>(i)].data.fd;
    if (descriptor == inotify_.get()) {
      KVFERRY_RETURN_IF_ERROR(take_file_events());
    } else {
      take_end_of(descriptor);
    }
  }
  return {};
}

Result<void> DirectoryWatch::take_file_events() {
  alignas(inotify_event) std::array<char, kEventBytes> buffer;
  const ssize_t count = ::read(inotify_.get(), buffer.data(), buffer.size());
  if (count < 0) {
    return errno == EAGAIN || errno == EINTR ? Result<void>{}
                                             : system_error(path_ + ": inotify", errno);
  }
  std::size_t at = 0;
  while (at < static_cast<std::size_t>(count)) {
    inotify_event event{};
    std::memcpy(&event, &buffer[at], sizeof event);
    const char* const name = &buffer[at] + sizeof event;
    take_file_event(event, {name, ::strnlen(name, event.len)});
    at += sizeof event + event.len;
  }
  gone_ = gone_ || is_gone();
  return {};
}

void DirectoryWatch::take_file_event(const inotify_event& event, std::string_view file) {
  if ((event.mask & IN_Q_OVERFLOW) != 0) {
    lost_ = true;
  } else if (event.wd == entries_) {
    gone_ = gone_ || (event.mask & kEndEvents) != 0;
    if (const auto name = name_of_record(file)) {
      changed_.emplace(*name);
    }
  }
}

void DirectoryWatch::take_end_of(int process) {
  const auto owner = std::ranges::find_if(
      owners_, [=](const auto& entry) { return entry.second.process.get() == process; });
  if (owner != owners_.end()) {
    told_.insert(owner->first);
    forget(owner);
  }
}

Result<void> DirectoryWatch::look_at_changed() {
  if (lost_) {
    KVFERRY_RETURN_IF_ERROR(look_at_all());
    lost_ = false;
    tell_all_ = true;
  }
  while (!changed_.empty()) {
    KVFERRY_RETURN_IF_ERROR(look_at(*changed_.begin()));
    told_.insert(changed_.extract(changed_.begin()));
  }
  return {};
}

Result<void> DirectoryWatch::look_at(const std::string& name) {
  const Result<FileRecord> record = read_record(directory_.get(), name, limits_.record_bytes);
  if (!record && record.error().code == ErrorCode::kBusy) {
    return Error{record.error()}.with_context(path_);
  }
  const auto known = owners_.find(name);
  if (known != owners_.end()) {
    if (record && record->stored.owner == known->second.identity) {
      return {};
    }
    forget(known);
  }
  if (!record) {
    return {};
  }
  Result<UniqueFd> process = open_process(record->stored.owner);
  if (!process) {
    return std::move(process).error().with_context(path_);
  }
  if (*process) {
    KVFERRY_RETURN_IF_ERROR(wait_for(epoll_, process->get()));
    owners_.emplace(name, Owner{record->stored.owner, *std::move(process)});
  }
  return {};
}

Result<void> DirectoryWatch::look_at_all() {
  Result<std::vector<std::string>> files = file_names(directory_.get(), limits_.files);
  if (!files) {
    return std::move(files).error().with_context(path_);
  }
  for (const std::string& file : *files) {
    if (const auto name = name_of_record(file)) {
      changed_.emplace(*name);
    }
  }
  for (const auto& [name, owner] : owners_) {
    changed_.insert(name);
  }
  return {};
}

void DirectoryWatch::forget(Owners::iterator owner) {
  // Closing it would not do while a forked child has it open too.
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, owner->second.process.get(), nullptr);
  owners_.erase(owner);
}

bool DirectoryWatch::is_gone() const {
  struct stat status {};
  const bool removed = ::fstat(directory_.get(), &status) == 0 && status.st_nlink == 0;
  const Result<std::string> place = place_of(directory_);
  return removed || (place && *place != place_);
}

}  // namespace kvferry::exchange
