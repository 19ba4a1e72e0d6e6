// SPDX-License-Identifier: Apache-2.0
#include "exchange/process.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

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

std::optional<ProcessStat> stat_of(std::uint64_t pid) {
  const Result<std::string> text = read_proc("/proc/" + std::to_string(pid) + "/stat");
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
  const std::optional<ProcessStat> stat = stat_of(own.pid);
  if (!stat) {
    return Error{ErrorCode::kUnavailable, "/proc/" + std::to_string(own.pid) + "/stat: unreadable"};
  }
  own.start_time = stat->start_time;
  return own;
}

bool is_alive(const ProcessIdentity& process) {
  // Another boot id means an earlier boot of this machine: a directory of other machines, and of
  // containers that do not see each other's processes, needs leases instead.
  const Result<std::string> boot_id = read_boot_id();
  if (!boot_id || *boot_id != process.boot_id) {
    return false;
  }
  const std::optional<ProcessStat> stat = stat_of(process.pid);
  return stat && stat->start_time == process.start_time && stat->state != 'Z' && stat->state != 'X';
}

}  // namespace kvferry::exchange
