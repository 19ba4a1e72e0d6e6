// SPDX-License-Identifier: Apache-2.0
#include "output.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

namespace kvferry::tool {

void occupy_standard_descriptors() noexcept {
  // The lowest that is free is taken. Reading from what is open for writing fails, and so on.
  for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) < 0 &&
        ::open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY) != descriptor) {
      std::_Exit(kExitUnavailable);
    }
  }
}

int exit_code_of(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kIncompatible:
    case ErrorCode::kCorrupt: return kExitInvalid;
    case ErrorCode::kRefused:
    case ErrorCode::kUnavailable:
    case ErrorCode::kStale:
    case ErrorCode::kBusy: return kExitUnavailable;
    case ErrorCode::kDeadline:
    case ErrorCode::kCancelled: return kExitDeadline;
    case ErrorCode::kWrongBytes: return kExitWrongBytes;
  }
  return kExitInvalid;
}

int fail(const Error& error) {
  print_error("kvferry: " + error.message + "\n");
  return exit_code_of(error.code);
}

void print_json(const nlohmann::ordered_json& document) {
  // File names are any bytes; a document is UTF-8.
  print(document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void print_error(std::string_view text) noexcept {
  std::fwrite(text.data(), 1, text.size(), stderr);
}

bool flush_output() {
  if (std::ferror(stdout) != 0) {
    print_error("kvferry: standard output: not everything could be written\n");
    return false;
  }
  if (std::fflush(stdout) != 0) {
    print_error(fmt::format("kvferry: standard output: {}\n", std::strerror(errno)));
    return false;
  }
  return true;
}

std::string human_bytes(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 6> kUnits{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) {
    return fmt::format("{} B", bytes);
  }
  std::size_t unit{0};
  double size = static_cast<double>(bytes) / 1024;
  while (size >= 1024 && unit + 1 < kUnits.size()) {
    size /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", size, kUnits[unit]);
}

std::string printable(std::string_view text) {
  constexpr bool kEscapeAllButAscii = true;
  return nlohmann::json(text).dump(-1, ' ', kEscapeAllButAscii,
                                   nlohmann::json::error_handler_t::replace);
}

std::string Table::to_string() const {
  std::vector<std::size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  std::string text;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += fmt::format("{:<{}}  ", row[i], widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

}  // namespace kvferry::tool
