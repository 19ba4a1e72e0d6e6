// SPDX-License-Identifier: Apache-2.0
#pragma once

// How workers find each other: named opaque bytes, published by their owner and fetched by peers.
//
//   auto exchange = DirectoryExchange::create("/run/user/1000/kvferry");
//   Publication mine{{.name = "decode", .worker_id = WorkerId{7}, .epoch = *draw_epoch()},
//                    {{"a", message_bytes}}};
//   (*exchange)->publish(mine, deadline);
//   Result<FetchedWorker> peer = (*exchange)->fetch("prefill", deadline);
//
// An exchange knows no message: it carries one file for each format that the owner offers, and
// tells whether the owner still lives.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kvferry/base/clock.hpp"
#include "kvferry/base/epoch.hpp"
#include "kvferry/base/ids.hpp"
#include "kvferry/base/result.hpp"

namespace kvferry::exchange {

/// What is told of a worker beside its messages.
struct WorkerRecord {
  std::string name;  ///< also the name of its agent
  WorkerId worker_id{};
  Epoch epoch{};
  std::uint64_t generation{1};  ///< grows with every change of what is published in one epoch

  friend bool operator==(const WorkerRecord&, const WorkerRecord&) = default;
};

/// The bytes of each format, by its name: one to eight of a-z and 0-9, such as "a".
using Formats = std::map<std::string, std::vector<std::byte>, std::less<>>;

/// What a worker publishes: all of it or nothing is seen by others.
struct Publication {
  WorkerRecord record;
  Formats formats;
};

/// A worker that has an entry, as others see it.
struct FoundWorker {
  WorkerRecord record;
  bool alive{false};                                ///< its process runs
  std::chrono::system_clock::time_point published;  ///< when its entry was last written
  std::vector<std::string> formats;                 ///< sorted
};

/// A worker and its bytes.
struct FetchedWorker {
  FoundWorker found;
  Formats formats;
};

/// Something in the exchange that is no entry, and why.
struct Skipped {
  std::string what;
  std::string why;
};

struct Listing {
  std::vector<FoundWorker> workers;  ///< sorted by name, the dead ones too
  std::vector<Skipped> skipped;      ///< sorted
};

/// Whether `name` can name a worker: 1 to 128 printable ASCII characters without '/' and '.', so
/// that it is a file name, and harmless on a terminal.
///
/// Errors: kInvalidArgument saying which rule it breaks.
[[nodiscard]] Result<void> validate_name(std::string_view name);

/// Carries what workers publish. Each call waits at most until its deadline.
///
/// Threads: any.
class Exchange {
 public:
  Exchange() = default;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  virtual ~Exchange() = default;

  /// Publishes for this process, in place of what the same epoch of it published before or of what
  /// a dead worker of that name left behind.
  ///
  /// Errors: kInvalidArgument for a name or format that cannot be one, or too many bytes; kRefused
  ///         when a live worker has the name, or something is there that is no entry; kStale when
  ///         the same epoch has published a higher generation; kDeadline; kUnavailable.
  virtual Result<void> publish(const Publication& publication, TimePoint deadline) = 0;

  /// All workers that have an entry. Nobody is an empty list, not an error.
  ///
  /// Errors: kUnavailable.
  [[nodiscard]] virtual Result<Listing> list(TimePoint deadline) = 0;

  /// One worker and its bytes, all of one publication. Dead ones are found too.
  ///
  /// Errors: kInvalidArgument for a name that cannot be one; kUnavailable when it has no entry;
  ///         kCorrupt when its entry is damaged; kDeadline.
  [[nodiscard]] virtual Result<FetchedWorker> fetch(std::string_view name, TimePoint deadline) = 0;

  /// Takes back what this process published. An entry that is gone already is no error.
  ///
  /// Errors: kRefused when the entry is not `epoch`'s of this process; kDeadline; kUnavailable.
  virtual Result<void> withdraw(std::string_view name, Epoch epoch, TimePoint deadline) = 0;
};

}  // namespace kvferry::exchange
