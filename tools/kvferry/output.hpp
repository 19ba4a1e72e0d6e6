// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvferry/base/error.hpp"

// What every command does the same way: exit codes, errors, JSON and tables.

namespace kvferry::tool {

inline constexpr int kExitYes = 0;          // done; the answer is yes
inline constexpr int kExitNo = 1;           // done; the answer is no
inline constexpr int kExitUsage = 2;        // the command line alone is wrong
inline constexpr int kExitInvalid = 3;      // it can be read but is not valid
inline constexpr int kExitUnavailable = 4;  // something needed is not there
inline constexpr int kExitDeadline = 5;     // a deadline passed, or cancelled
inline constexpr int kExitWrongBytes = 6;   // bytes arrived wrong, or nobody knows

/// Opens something where standard input, output or error are closed, so that no file or memory that
/// is opened later takes their place and is written what was meant for a person. What is read from
/// it or written to it fails as before.
void occupy_standard_descriptors() noexcept;

/// The exit code that says what `code` says.
[[nodiscard]] int exit_code_of(ErrorCode code) noexcept;

/// Says on stderr what went wrong, as "kvferry: message", and gives the exit code for it.
int fail(const Error& error);

/// Prints one JSON document and a line end on stdout.
void print_json(const nlohmann::ordered_json& document);

/// Prints `text` on stdout as it is.
void print(std::string_view text);

/// Prints `text` on stderr, whatever becomes of it: where nobody can be told, the exit code tells.
void print_error(std::string_view text) noexcept;

/// Whether all that was printed arrived; if not, says so on stderr.
[[nodiscard]] bool flush_output();

/// "512 B", "4.0 KiB", "62.5 MiB".
[[nodiscard]] std::string human_bytes(std::uint64_t bytes);

/// `text`, which may come from a peer, in quotes and fit for a terminal: all but printable ASCII is
/// escaped.
[[nodiscard]] std::string printable(std::string_view text);

/// Rows of cells, printed in aligned columns with two spaces between them.
class Table {
 public:
  explicit Table(std::vector<std::string> heads) { rows_.push_back(std::move(heads)); }

  void add_row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  [[nodiscard]] std::string to_string() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace kvferry::tool
