// SPDX-License-Identifier: Apache-2.0
#include "exchange/process.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <utility>

#include "base/files.hpp"
#include "exchange/files.hpp"
#include "kvferry/base/try.hpp"

namespace kvferry::exchange {
namespace {

constexpr std::size_t kProcBytesMax = 4096;  // one line each

Result<std::string> read_proc(const std::string& path) {
  KVFERRY_ASSIGN_OR_RETURN(const UniqueFd file, open_file(AT_FDCWD, path));
  KVFERRY_ASSIGN_OR_RETURN(std::string text, read_all(file, kProcBytesMax));
  return text;
}

Result<std::string> read_boot_id() {
  KVFERRY_ASSIGN_OR_RETURN(std::string text, read_proc("/proc/sys/kernel/random/boot_id"));
  text.resize(std::min(text.find('\n'), text.size()));
  return text;
}

/// Nothing when there is no such process.
Result<std::optional<ProcessStat>> stat_of(std::uint64_t pid) {
  const Result<std::string> text = read_proc("/proc/" + std::to_string(pid) + "/stat");
  if (!text && text.error().code == ErrorCode::kBusy) {
    return text.error();
  }
  return text ? parse_process_stat(*text) : std::nullopt;
}

}  // namespace

std::optional<ProcessStat> parse_process_stat(std::string_view text) {
  // "PID (COMMAND) STATE PPID ..."; the command may hold spaces and brackets, so its end is the
  // last one. The start time is field 22, counted from 1 at the pid; the state is field 3.
  constexpr int kFieldsFromStateToStart = 19;
  const std::size_t command_end = text.rfind(')');
  if (command_end == std::string_view::npos || text.size() < command_end + 3) {
    return std::nullopt;
  }
  text.remove_prefix(command_end + 2);
  ProcessStat stat{text.front(), 0};
  for (int i = 0; i < kFieldsFromStateToStart; ++i) {
    const std::size_t space = text.find(' ');
    if (space == std::string_view::npos) {
      return std::nullopt;
    }
    text.remove_prefix(space + 1);
  }
  const char* const end = text.data() + text.size();
  if (std::from_chars(text.data(), end, stat.start_time).ec != std::errc{}) {
    return std::nullopt;
  }
  return stat;
}

Result<ProcessIdentity> own_process() {
  ProcessIdentity own;
  KVFERRY_ASSIGN_OR_RETURN(own.boot_id, read_boot_id());
  own.pid = static_cast<std::uint64_t>(::getpid());
  KVFERRY_ASSIGN_OR_RETURN(const std::optional<ProcessStat> stat, stat_of(own.pid));
  if (!stat) {
    return Error{ErrorCode::kUnavailable, "/proc/" + std::to_string(own.pid) + "/stat: unreadable"};
  }
  own.start_time = stat->start_time;
  return own;
}

Result<bool> is_alive(const ProcessIdentity& process) {
  // Another boot id means an earlier boot of this machine: a directory of other machines, and of
  // containers that do not see each other's processes, needs leases instead.
  const Result<std::string> boot_id = read_boot_id();
  if (!boot_id && boot_id.error().code == ErrorCode::kBusy) {
    return boot_id.error();
  }
  if (!boot_id || *boot_id != process.boot_id) {
    return false;
  }
  KVFERRY_ASSIGN_OR_RETURN(const std::optional<ProcessStat> stat, stat_of(process.pid));
  return stat && stat->start_time == process.start_time && stat->state != 'Z' && stat->state != 'X';
}

Result<UniqueFd> open_process(const ProcessIdentity& process) {
  KVFERRY_ASSIGN_OR_RETURN(const bool alive, is_alive(process));
  if (!alive) {
    return UniqueFd{};
  }
  UniqueFd opened{static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(process.pid), 0U))};
  if (!opened) {
    return errno == ESRCH ? Result<UniqueFd>{UniqueFd{}}
                          : system_error("process " + std::to_string(process.pid), errno);
  }
  // It may have ended before it was opened, and its pid may be another's.
  KVFERRY_ASSIGN_OR_RETURN(const bool still_alive, is_alive(process));
  return still_alive ? std::move(opened) : UniqueFd{};
}

}  // namespace kvferry::exchange
