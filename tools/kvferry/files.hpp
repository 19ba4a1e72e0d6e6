// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvferry/base/result.hpp"

namespace kvferry::tool {

/// The bytes of a file, or of standard input for "-".
///
/// Errors: kUnavailable naming the file when it cannot be read; kCorrupt when it holds more than
///         `bytes_max`, of which no more than that is read.
[[nodiscard]] Result<std::vector<std::byte>> read_input(const std::string& file,
                                                        std::size_t bytes_max);

/// Writes `text` to a file, which is made or replaced.
///
/// Errors: kUnavailable naming the file when it cannot be written.
[[nodiscard]] Result<void> write_output(const std::string& file, std::string_view text);

/// A file that appears whole or not at all, in place of one of its name that is there: readers see
/// what was there before or what is there now. What a symbolic link leads to is replaced, not the
/// link. What is no file, such as a pipe or a device, is written to as it is.
class OutputFile {
 public:
  /// Makes sure that it can be written; until commit() nothing of that name changes.
  ///
  /// Errors: kUnavailable naming the file; also for a pipe that nobody reads, and for a link to
  /// what
  ///         is not there or has no name.
  [[nodiscard]] static Result<OutputFile> open(const std::string& name);

  OutputFile(OutputFile&&) noexcept = default;
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile();

  /// Errors: kUnavailable naming the file when it cannot be written.
  [[nodiscard]] Result<void> write(std::span<const std::byte> bytes);

  /// Gives what was written its name.
  ///
  /// Errors: kUnavailable naming the file when it cannot be written.
  [[nodiscard]] Result<void> commit();

 private:
  struct Close {
    void operator()(std::FILE* stream) const { std::fclose(stream); }
  };

  OutputFile(std::string name, std::string path, std::string temporary, int descriptor);

  std::string name_;       ///< as it was given
  std::string path_;       ///< where it leads to
  std::string temporary_;  ///< empty where there is nothing to take away
  std::unique_ptr<std::FILE, Close> stream_;
};

/// For a process that ends at once: takes away what was begun by OutputFile and is not committed.
void remove_unfinished_outputs();

/// Puts a file of `bytes` where `file` is or will be, as OutputFile does.
///
/// Errors: kUnavailable naming the file when it cannot be written.
[[nodiscard]] Result<void> replace_output(const std::string& file,
                                          std::span<const std::byte> bytes);

}  // namespace kvferry::tool
