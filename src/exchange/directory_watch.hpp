// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "base/unique_fd.hpp"
#include "exchange/process.hpp"
#include "kvferry/exchange/directory.hpp"
#include "kvferry/exchange/exchange.hpp"

struct inotify_event;

namespace kvferry::exchange {

/// Sees what happens in an exchange directory: inotify for its records, and for each live owner a
/// descriptor that is readable once its process has ended, because a process that is killed leaves
/// its record as it was. All of them are waited for at once, with epoll.
///
/// Source: docs/spec/exchange.md.
class DirectoryWatch final : public Watch {
 public:
  /// Watches the directory that is open as `directory`; `path` is for messages.
  ///
  /// Errors: as of Exchange::watch().
  [[nodiscard]] static Result<std::unique_ptr<DirectoryWatch>> create(
      int directory, const std::string& path, const DirectoryLimits& limits);

  [[nodiscard]] Result<Changes> wait(TimePoint deadline) override;
  [[nodiscard]] int event_fd() const noexcept override { return epoll_.get(); }

 private:
  struct Owner {
    ProcessIdentity identity;
    UniqueFd process;
  };
  using Owners = std::map<std::string, Owner, std::less<>>;

  DirectoryWatch(const std::string& path, const DirectoryLimits& limits)
      : path_{path}, limits_{limits} {}

  [[nodiscard]] Result<void> start(int directory);
  /// Waits until something is ready, and takes note of it.
  [[nodiscard]] Result<void> take_what_is_ready(TimePoint deadline);
  [[nodiscard]] Result<void> take_file_events();
  void take_file_event(const inotify_event& event, std::string_view file);
  void take_end_of(int process);
  /// Sees who owns the entries that have changed, and keeps their names to be told.
  [[nodiscard]] Result<void> look_at_changed();
  [[nodiscard]] Result<void> look_at(const std::string& name);
  [[nodiscard]] Result<void> look_at_all();
  void forget(Owners::iterator owner);
  [[nodiscard]] bool is_gone() const;

  std::string path_;
  DirectoryLimits limits_;
  UniqueFd directory_;
  std::string place_;  ///< where the directory was when the watch was made
  UniqueFd epoll_;
  UniqueFd inotify_;
  int entries_{-1};  ///< inotify's number for the directory; its parent has another
  Owners owners_;    ///< the live ones, by the name of their entry
  std::set<std::string, std::less<>> changed_;  ///< not looked at since
  std::set<std::string, std::less<>> told_;     ///< looked at, for the next call to tell
  bool lost_{false};                            ///< events were dropped: all is to be looked at
  bool tell_all_{false};
  bool gone_{false};
};

}  // namespace kvferry::exchange
