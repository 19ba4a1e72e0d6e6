// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/mutex.hpp"
#include "kvferry/transfer/statistics.hpp"
#include "kvferry/transfer/transfer.hpp"

namespace kvferry::transfer {

/// Counts what the transfers of a manager come to. Two short locks for each transfer.
///
/// Threads: any.
class Meter {
 public:
  /// A transfer of so many parts is about to start; at most `most` parts may be without end.
  ///
  /// Errors: kBusy when there are too many.
  [[nodiscard]] Result<void> begin(std::size_t parts, std::size_t most);
  /// A part of a transfer has its report.
  void note_end(const TransferReport& report, std::uint64_t bytes_planned, std::uint64_t requests);
  /// Something that was not quiet at its end is.
  void note_quiet();
  void note_refused(ErrorCode code);

  [[nodiscard]] Statistics statistics() const;

 private:
  mutable Mutex mutex_;
  std::map<std::string, RouteStatistics, std::less<>> routes_ KVFERRY_GUARDED_BY(mutex_);
  ErrorCounts refused_ KVFERRY_GUARDED_BY(mutex_){};
  std::size_t in_flight_ KVFERRY_GUARDED_BY(mutex_){0};
  std::size_t quarantined_ KVFERRY_GUARDED_BY(mutex_){0};
};

}  // namespace kvferry::transfer
