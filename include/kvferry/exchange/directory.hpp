// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "kvferry/exchange/exchange.hpp"

namespace kvferry::exchange {

/// What is read from a directory at most; a file that is larger is no entry.
struct DirectoryLimits {
  std::size_t record_bytes{std::size_t{64} << 10U};  ///< a record has a few hundred
  std::size_t format_bytes{std::size_t{64} << 20U};  ///< the largest message that is decoded
  std::size_t files{65'536};                         ///< in one listing
};

/// An exchange that is a directory of one machine and one user: NAME.json is a worker's record,
/// and beside it lies one file for each format, such as NAME.a.
///
/// Source: docs/spec/exchange.md.
class DirectoryExchange final : public Exchange {
 public:
  /// Opens `path`, making it (mode 0700) when only it and none of its parents is missing.
  ///
  /// Errors: kRefused when it is a symbolic link, another user owns it, or group or others may
  ///         write; kUnavailable when it cannot be opened or made.
  [[nodiscard]] static Result<std::unique_ptr<DirectoryExchange>> create(
      std::string_view path, const DirectoryLimits& limits = DirectoryLimits{});

  /// Opens `path` as create() does, but makes nothing.
  ///
  /// Shape:  null when it is missing and its parents are there: nobody has published yet.
  /// Errors: as of create().
  [[nodiscard]] static Result<std::unique_ptr<DirectoryExchange>> find(
      std::string_view path, const DirectoryLimits& limits = DirectoryLimits{});
  ~DirectoryExchange() override;

  Result<void> publish(const Publication& publication, TimePoint deadline) override;
  [[nodiscard]] Result<Listing> list(TimePoint deadline) override;
  [[nodiscard]] Result<FetchedWorker> fetch(std::string_view name, TimePoint deadline) override;
  [[nodiscard]] Result<std::unique_ptr<Watch>> watch() override;
  Result<void> withdraw(std::string_view name, Epoch epoch, TimePoint deadline) override;

 private:
  struct State;
  explicit DirectoryExchange(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace kvferry::exchange
