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
// tells whether the owner still lives. Who wants to learn of changes makes a watch first and looks
// second, so that nothing happens unseen in between:
//
//   auto watch = (*exchange)->watch();
//   Result<Listing> peers = (*exchange)->list(deadline);
//   Result<Changes> changes = (*watch)->wait(deadline);
//   for (const std::string& name : changes->names) { ... (*exchange)->fetch(name, deadline) ... }
//   if (changes->all) { ... list again ... }

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
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

/// Which entries to look at again.
struct Changes {
  std::vector<std::string> names;  ///< sorted, each once
  bool all{false};                 ///< more happened than can be told: every entry, gone ones too

  [[nodiscard]] bool empty() const noexcept { return names.empty() && !all; }
};

/// Whether `name` can name a worker: 1 to 128 printable ASCII characters without '/' and '.', so
/// that it is a file name, and harmless on a terminal.
///
/// Errors: kInvalidArgument saying which rule it breaks.
[[nodiscard]] Result<void> validate_name(std::string_view name);

/// Tells what changes in an exchange, without polling.
///
/// Threads:  one at a time, and none of a forked child; watches of one exchange are independent.
/// Lifetime: may outlive its exchange.
class Watch {
 public:
  Watch() = default;
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  virtual ~Watch() = default;

  /// Waits until an entry appears, changes or goes, or an owner's process ends, which need not have
  /// withdrawn. Tells all that happened since the last call, or since the watch was made; nothing
  /// at the deadline. A name may be told although what can be fetched is as it was; signals do not
  /// end the wait.
  ///
  /// Errors: kUnavailable when the exchange itself is gone, in every later call too; kBusy when a
  ///         limit of the process or user is used up: nothing is lost, a later call tells it.
  [[nodiscard]] virtual Result<Changes> wait(TimePoint deadline) = 0;

  /// A descriptor for an event loop: readable, as poll() understands it, when wait() may have
  /// something to tell. It is only to be waited for.
  [[nodiscard]] virtual int event_fd() const noexcept = 0;
};

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
  ///         the same epoch has published a higher generation; kDeadline; kBusy; kUnavailable.
  virtual Result<void> publish(const Publication& publication, TimePoint deadline) = 0;

  /// All workers that have an entry. Nobody is an empty list, not an error.
  ///
  /// Errors: kRefused when there is more than a listing may have; kBusy; kUnavailable.
  [[nodiscard]] virtual Result<Listing> list(TimePoint deadline) = 0;

  /// One worker and its bytes, all of one publication. Dead ones are found too.
  ///
  /// Errors: kInvalidArgument for a name that cannot be one; kUnavailable when it has no entry;
  ///         kCorrupt when its entry is damaged; kDeadline; kBusy.
  [[nodiscard]] virtual Result<FetchedWorker> fetch(std::string_view name, TimePoint deadline) = 0;

  /// Sees from now on what changes. Made before list(), it misses nothing that the list does not
  /// show.
  ///
  /// Errors: kBusy when a limit of the process or the user is used up; kUnavailable.
  [[nodiscard]] virtual Result<std::unique_ptr<Watch>> watch() = 0;

  /// Takes back what this process published. An entry that is gone already is no error.
  ///
  /// Errors: kRefused when the entry is not `epoch`'s of this process; kDeadline; kBusy;
  ///         kUnavailable.
  virtual Result<void> withdraw(std::string_view name, Epoch epoch, TimePoint deadline) = 0;
};

}  // namespace kvferry::exchange
