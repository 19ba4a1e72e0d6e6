// SPDX-License-Identifier: Apache-2.0
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "file_tier.hpp"
#include "kvferry/base/try.hpp"
#include "pieces.hpp"
#include "suites.hpp"
#include "worker_pair.hpp"

namespace kvferry::bench {
namespace {

using Seconds = std::chrono::duration<double>;
using TimePoint = std::chrono::steady_clock::time_point;
using transfer::PhysicalLayoutPtr;

/// Of the one block that is moved: more than execute_transfer() copies itself, less than goes past
/// the caches, so that bytes arrive in order.
constexpr std::uint64_t kBlockBytes = std::uint64_t{512} << 10U;
constexpr std::size_t kPage = 4096;
constexpr std::byte kThere{0x5a};  ///< every byte of the source
constexpr double kSpinningBarUs = 3;
constexpr double kSleepingBarUs = 10;

TimePoint now() { return std::chrono::steady_clock::now(); }

/// Two processors, one that copies and waits and one from which the arrival of bytes is watched:
/// left to the scheduler both may end up on one, and nothing is seen until all is over. Taken also
/// where `bench` was put on one processor; undone at the end.
class Places {
 public:
  Places() {
    ::sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t all;
    std::memset(&all, 0xff, sizeof all);
    ::sched_setaffinity(0, sizeof all, &all);
    ::sched_getaffinity(0, sizeof all, &all);
    for (int processor = 0; processor < CPU_SETSIZE && both(); ++processor) {
      if (CPU_ISSET(processor, &all)) {
        (watching_ < 0 ? watching_ : working_) = processor;
      }
    }
  }
  Places(const Places&) = delete;
  Places& operator=(const Places&) = delete;
  ~Places() { ::sched_setaffinity(0, sizeof before_, &before_); }

  /// Whether there are two.
  [[nodiscard]] bool apart() const { return working_ >= 0; }
  /// Puts the calling thread, and those that it starts, on one of them.
  void work() const { put(working_); }
  void watch() const { put(watching_); }

 private:
  [[nodiscard]] bool both() const { return watching_ < 0 || working_ < 0; }
  static void put(int processor) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(processor, &one);
    ::sched_setaffinity(0, sizeof one, &one);
  }

  cpu_set_t before_{};
  int watching_{-1};
  int working_{-1};
};

/// The last byte of each page of the destination. They arrive in any order; when all are there, so
/// is the block.
class Watch {
 public:
  explicit Watch(std::byte* block) : block_{block} {}

  void clear() {
    for (std::size_t at = kPage - 1; at < kBlockBytes; at += kPage) {
      std::atomic_ref{block_[at]}.store(std::byte{}, std::memory_order_relaxed);
    }
    next_ = kPage - 1;
  }
  /// Whether all have arrived; looks on from where it was.
  [[nodiscard]] bool all_there() {
    while (next_ < kBlockBytes &&
           std::atomic_ref{block_[next_]}.load(std::memory_order_relaxed) == kThere) {
      next_ += kPage;
    }
    return next_ >= kBlockBytes;
  }

 private:
  std::byte* block_;
  std::size_t next_{0};
};

/// Something that fills the block and can be waited for in two ways.
class Filling {
 public:
  Filling() = default;
  Filling(const Filling&) = delete;
  Filling& operator=(const Filling&) = delete;
  virtual ~Filling() = default;
  virtual void begin() = 0;
  [[nodiscard]] virtual bool ended() = 0;  ///< asked in a loop
  virtual void wait() = 0;                 ///< sleeps
};

class Transferring final : public Filling {
 public:
  Transferring(manager::TransportManager& manager, LayoutHandle source, LayoutHandle destination)
      : manager_{manager}, source_{source}, destination_{destination} {}

  void begin() override {
    auto begun = manager_.execute_transfer(source_, ids_, destination_, ids_);
    if (begun) {
      transfer_ = *std::move(begun);
    } else {
      error_ = std::move(begun).error();
    }
  }
  [[nodiscard]] bool ended() override {
    const auto report = transfer_ ? transfer_->poll() : std::optional{transfer::TransferReport{}};
    return report.has_value() && note(report->error);
  }
  void wait() override {
    if (transfer_) {
      note(transfer_->wait().error);
    }
  }
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

 private:
  bool note(const std::optional<Error>& error) {
    error_ = error_.has_value() ? error_ : error;
    return true;
  }

  manager::TransportManager& manager_;
  LayoutHandle source_;
  LayoutHandle destination_;
  std::vector<BlockId> ids_ = ids_from(0, 1);
  std::optional<transfer::Transfer> transfer_;
  std::optional<Error> error_;
};

/// The baseline: a thread that copies with memcpy and then says so, nothing more.
class PlainThread final : public Filling {
 public:
  PlainThread(std::byte* to, const std::byte* from)
      : to_{to}, from_{from}, thread_{[this] { run(); }} {}
  ~PlainThread() override {
    stopping_ = true;
    begin();
    thread_.join();
  }

  void begin() override {
    const std::lock_guard lock{mutex_};
    done_ = false;
    asked_ = true;
    changed_.notify_all();
  }
  [[nodiscard]] bool ended() override { return done_; }
  void wait() override {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [this] { return done_.load(); });
  }

 private:
  void run() {
    while (true) {
      {
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [this] { return asked_; });
        asked_ = false;
      }
      if (stopping_) {
        return;
      }
      std::memcpy(to_, from_, kBlockBytes);
      const std::lock_guard lock{mutex_};
      done_ = true;
      changed_.notify_all();
    }
  }

  std::byte* to_;
  const std::byte* from_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool asked_{false};
  std::atomic<bool> done_{false};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

/// The seconds from the last byte to the end that this thread sees in a loop; nothing where the end
/// was seen first, because the thread did not run meanwhile.
std::optional<double> spin(const Places& /*places*/, Filling& filling, Watch& watch) {
  watch.clear();
  filling.begin();
  std::optional<TimePoint> arrived;
  while (!filling.ended()) {
    if (!arrived && watch.all_there()) {
      arrived = now();
    }
  }
  const TimePoint seen = now();
  return arrived ? std::optional{Seconds{seen - *arrived}.count()} : std::nullopt;
}

/// The seconds from the last byte, which this thread sees, to the return of another one's wait();
/// nothing where that came first.
std::optional<double> sleep(const Places& places, Filling& filling, Watch& watch) {
  watch.clear();
  TimePoint returned;
  std::thread waiter{[&] {
    places.work();
    filling.begin();
    filling.wait();
    returned = now();
  }};
  while (!watch.all_there()) {
  }
  const TimePoint arrived = now();
  waiter.join();
  return returned > arrived ? std::optional{Seconds{returned - arrived}.count()} : std::nullopt;
}

using Measure = std::optional<double> (*)(const Places&, Filling&, Watch&);

struct Effort {
  int rounds;
  int samples;  ///< in a round
};

/// Rounds of samples of one way to wait; a single sample says more about the other work of the
/// machine.
class Sampler {
 public:
  Sampler(Measure measure_one, const Places& places, int samples)
      : measure_one_{measure_one}, places_{places}, samples_{static_cast<std::size_t>(samples)} {}

  /// The median of a round, for which `all` is given its samples too; of fewer samples where not
  /// all can be had, and one second where none can.
  double round(Filling& filling, Watch& watch, std::vector<double>& all) const {
    std::vector<double> seconds;
    for (std::size_t i = 0; i < 4 * samples_ && seconds.size() < samples_; ++i) {
      if (const std::optional<double> one = measure_one_(places_, filling, watch)) {
        seconds.push_back(*one);
      }
    }
    all.insert(all.end(), seconds.begin(), seconds.end());
    return seconds.empty() ? 1 : spread_of(std::move(seconds)).median;
  }

 private:
  Measure measure_one_;
  const Places& places_;
  std::size_t samples_;
};

struct Way {
  std::string name;
  manager::TransportManager* manager;
  LayoutHandle source;
  LayoutHandle destination;
  std::byte* block;  ///< of the destination
};

/// A case before it was measured.
CaseResult case_of(const Way& way, bool sleeps) {
  CaseResult result;
  result.suite = "latency";
  result.name = way.name + (sleeps ? ", sleeping" : ", spinning");
  result.bytes = kBlockBytes;
  result.baseline = sleeps ? "thread that tells a condition" : "thread that sets a flag";
  result.bar = sleeps ? kSleepingBarUs : kSpinningBarUs;
  result.figure = Figure::kTime;
  return result;
}

Result<CaseResult> run_case(const Way& way, const Places& places, bool sleeps,
                            const Effort& effort) {
  CaseResult result = case_of(way, sleeps);
  if (!places.apart()) {
    result.skipped = "one processor: one copies while another one watches";
    return result;
  }
  const std::vector<std::byte> source(kBlockBytes, kThere);
  Transferring ours{*way.manager, way.source, way.destination};
  places.work();
  PlainThread theirs{way.block, source.data()};
  places.watch();
  Watch watch{way.block};
  const Sampler sampler{sleeps ? sleep : spin, places, effort.samples};
  std::vector<double> all;
  std::vector<double> others;
  const CaseResult measured =
      measure(TimedWork{[&] { return sampler.round(ours, watch, all); },
                        [&] { return sampler.round(theirs, watch, others); }},
              effort.rounds);
  if (ours.error().has_value()) {
    return *ours.error();
  }
  if (all.empty() || others.empty()) {
    result.skipped = "the end was never seen after the last byte: other work took a processor";
    return result;
  }
  result.seconds = measured.seconds;
  result.ratio = measured.ratio;
  result.tail = tail_of(std::move(all));
  set_rates(result);
  set_cost(result, {result.seconds.median * 1e6, "us"}, result.bar);
  return result;
}

Result<PhysicalLayoutPtr> filled(const layout::LayoutConfig& config) {
  KVFERRY_ASSIGN_OR_RETURN(PhysicalLayoutPtr layout, contiguous(config));
  std::memset(layout->region_bases()[0], static_cast<int>(kThere), kBlockBytes);
  return layout;
}

}  // namespace

Result<std::vector<CaseResult>> run_latency_suite(const SuiteOptions& options) {
  const Places places;
  places.work();  // Where all threads of the workers belong.
  const Effort effort = options.quick ? Effort{5, 40} : Effort{11, 200};
  const layout::LayoutConfig config = pieces_config(1, kBlockBytes);
  KVFERRY_ASSIGN_OR_RETURN(const WorkerPair workers, make_worker_pair(options));
  KVFERRY_ASSIGN_OR_RETURN(const PhysicalLayoutPtr remote, filled(config));
  KVFERRY_ASSIGN_OR_RETURN(const PhysicalLayoutPtr local, filled(config));
  KVFERRY_ASSIGN_OR_RETURN(const PhysicalLayoutPtr destination, filled(config));
  // Through the page cache: the bytes of a direct read arrive when the device says so.
  KVFERRY_ASSIGN_OR_RETURN(const PhysicalLayoutPtr file,
                           make_file_tier(config, options.disk_directory, disk::Direct::kNever));
  KVFERRY_RETURN_IF_ERROR(workers.owner->register_layout(remote, {.access = Access::kRead}));
  KVFERRY_ASSIGN_OR_RETURN(const auto message, workers.owner->export_metadata());
  manager::TransportManager& reader = *workers.reader;
  KVFERRY_ASSIGN_OR_RETURN(const std::vector<LayoutHandle> imported,
                           reader.import_metadata(message));
  const manager::RegisterOptions own{.access = Access::kNone};
  KVFERRY_ASSIGN_OR_RETURN(const LayoutHandle from, reader.register_layout(local, own));
  KVFERRY_ASSIGN_OR_RETURN(const LayoutHandle disk, reader.register_layout(file, own));
  KVFERRY_ASSIGN_OR_RETURN(const LayoutHandle to, reader.register_layout(destination, own));
  std::byte* const block = destination->region_bases()[0];
  std::vector<CaseResult> results;
  for (const Way& way : {Way{"host copy", &reader, from, to, block},
                         Way{"shm read", &reader, imported[0], to, block},
                         Way{"disk read, cached", &reader, disk, to, block}}) {
    for (const bool sleeps : {false, true}) {
      KVFERRY_ASSIGN_OR_RETURN(CaseResult result, run_case(way, places, sleeps, effort));
      results.push_back(std::move(result));
    }
  }
  return results;
}

}  // namespace kvferry::bench
