// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "file_tier.hpp"
#include "kvferry/base/try.hpp"
#include "pieces.hpp"
#include "suites.hpp"

namespace kvferry::bench {
namespace {

using transfer::PhysicalLayoutPtr;
using TimePoint = std::chrono::steady_clock::time_point;

constexpr std::uint64_t kBlockBytes = 4096;
constexpr std::byte kThere{0x5a};  ///< every byte of a file tier
constexpr std::array<std::size_t, 4> kCounts{10, 100, 1'000, 10'000};
constexpr double kFlatBar = 1.5;   ///< of the cost of one of ten
constexpr double kAfterBarMs = 5;  ///< a wake-up that is lost is found after 20

double seconds_since(TimePoint begin) {
  return std::chrono::duration<double>{std::chrono::steady_clock::now() - begin}.count();
}

/// What a round of transfers, all begun before any is waited for, showed.
struct Round {
  double seconds{0};         ///< of one, from the first call to the last end
  double longest_after{0};   ///< seconds of the longest wait() when all bytes were there
  std::size_t in_flight{0};  ///< the most that were seen
};

/// Blocks of a file and as many of memory.
struct Tier {
  std::unique_ptr<manager::TransportManager> manager;
  PhysicalLayoutPtr in_memory;
  LayoutHandle disk;
  LayoutHandle memory;
};

Result<Tier> make_tier(const SuiteOptions& options) {
  const auto config = pieces_config(kCounts.back(), kBlockBytes);
  Tier tier;
  KVFERRY_ASSIGN_OR_RETURN(tier.manager, manager::TransportManager::create(
                                             {.worker_id = WorkerId{1}, .copy_threads = 1}));
  KVFERRY_ASSIGN_OR_RETURN(const PhysicalLayoutPtr on_disk,
                           make_file_tier(config, options.disk_directory, disk::Direct::kAuto));
  KVFERRY_ASSIGN_OR_RETURN(tier.in_memory, contiguous(config));
  const manager::RegisterOptions own{.access = Access::kNone};
  KVFERRY_ASSIGN_OR_RETURN(tier.disk, tier.manager->register_layout(on_disk, own));
  KVFERRY_ASSIGN_OR_RETURN(tier.memory, tier.manager->register_layout(tier.in_memory, own));
  return tier;
}

/// Waits until every block has arrived, without asking kvferry.
bool all_arrive(const std::byte* memory, std::size_t count) {
  const TimePoint begin = std::chrono::steady_clock::now();
  for (std::size_t block = 0; block < count;) {
    const volatile std::byte* const last = memory + (block + 1) * kBlockBytes - 1;
    if (*last == kThere) {
      ++block;
    } else if (seconds_since(begin) > 30) {
      return false;
    } else {
      std::this_thread::yield();
    }
  }
  return true;
}

/// Reads `count` blocks, each with a transfer of its own.
///
/// Errors: of the first that cannot be begun or ends badly; kWrongBytes when a block did not come.
Result<Round> run_round(const Tier& tier, std::size_t count) {
  std::byte* const memory = tier.in_memory->region_bases()[0];
  std::memset(memory, 0, count * kBlockBytes);
  std::vector<transfer::Transfer> transfers;
  transfers.reserve(count);
  Round round;
  const TimePoint begin = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < count; ++i) {
    const std::array<BlockId, 1> id{BlockId{i}};
    KVFERRY_ASSIGN_OR_RETURN(transfer::Transfer transfer,
                             tier.manager->execute_transfer(tier.disk, id, tier.memory, id));
    transfers.push_back(std::move(transfer));
  }
  round.in_flight = tier.manager->transfers_in_flight();
  if (!all_arrive(memory, count)) {
    return Error{ErrorCode::kWrongBytes, "many: a block did not arrive within 30 s"};
  }
  std::uint64_t bytes{0};
  for (const transfer::Transfer& transfer : transfers) {
    const TimePoint waits = std::chrono::steady_clock::now();
    const transfer::TransferReport report = transfer.wait();
    round.longest_after = std::max(round.longest_after, seconds_since(waits));
    if (!report.ok()) {
      return *report.error;
    }
    bytes += report.bytes_moved;
  }
  round.seconds = seconds_since(begin) / static_cast<double>(count);
  // The engine counts one as in flight until it has turned to the next.
  const TimePoint ended = std::chrono::steady_clock::now();
  while (tier.manager->transfers_in_flight() != 0 && seconds_since(ended) < 1) {
    std::this_thread::yield();
  }
  if (bytes != count * kBlockBytes || tier.manager->transfers_in_flight() != 0) {
    return Error{ErrorCode::kWrongBytes, "many: a transfer was lost"};
  }
  return round;
}

/// Rounds of one count; a short round is several, one after the other.
Result<std::vector<Round>> run_count(const Tier& tier, std::size_t count, int rounds) {
  const std::size_t repetitions = std::max<std::size_t>(1, 200 / count);
  std::vector<Round> all;
  for (int round = -1; round < rounds; ++round) {  // The first one is not counted.
    Round sum;
    for (std::size_t i = 0; i < repetitions; ++i) {
      KVFERRY_ASSIGN_OR_RETURN(const Round one, run_round(tier, count));
      sum.seconds += one.seconds / static_cast<double>(repetitions);
      sum.longest_after = std::max(sum.longest_after, one.longest_after);
      sum.in_flight = std::max(sum.in_flight, one.in_flight);
    }
    if (round >= 0) {
      all.push_back(sum);
    }
  }
  return all;
}

std::vector<double> seconds_of_one(const std::vector<Round>& rounds) {
  std::vector<double> seconds;
  for (const Round& round : rounds) {
    seconds.push_back(round.seconds);
  }
  return seconds;
}

CaseResult case_of(std::string name, const std::vector<Round>& few,
                   const std::vector<Round>& more) {
  CaseResult result;
  result.suite = "many";
  result.name = std::move(name);
  result.bytes = kBlockBytes;
  result.figure = Figure::kTime;
  result.baseline = "one of 10 in flight";
  const std::vector<double> base = seconds_of_one(few);
  const std::vector<double> ours = seconds_of_one(more);
  std::vector<double> ratios;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    ratios.push_back(base[i] / ours[i]);
  }
  result.seconds = spread_of(ours);
  result.ratio = spread_of(std::move(ratios));
  set_rates(result);
  return result;
}

}  // namespace

Result<std::vector<CaseResult>> run_many_suite(const SuiteOptions& options) {
  KVFERRY_ASSIGN_OR_RETURN(const Tier tier, make_tier(options));
  const int rounds = options.quick ? 3 : 11;
  std::array<std::vector<Round>, kCounts.size()> all;
  for (std::size_t i = 0; i < kCounts.size(); ++i) {
    KVFERRY_ASSIGN_OR_RETURN(all[i], run_count(tier, kCounts[i], rounds));
  }
  std::vector<CaseResult> results;
  for (std::size_t i = 0; i < kCounts.size(); ++i) {
    CaseResult result = case_of("disk reads of 4 KiB, " + std::to_string(kCounts[i]) + " in flight",
                                all[0], all[i]);
    set_cost(result, {1 / result.ratio.median, "times one of 10"}, kFlatBar);
    results.push_back(std::move(result));
  }
  std::vector<double> after;
  std::vector<double> in_flight;
  for (const Round& round : all.back()) {
    after.push_back(round.longest_after * 1e3);
    in_flight.push_back(static_cast<double>(round.in_flight));
  }
  const auto most = static_cast<std::uint64_t>(spread_of(std::move(in_flight)).median);
  CaseResult waits = case_of(
      "longest wait after the last byte, 10000 begun, " + std::to_string(most) + " in flight",
      all[0], all.back());
  set_cost(waits, {spread_of(std::move(after)).median, "ms"}, kAfterBarMs);
  results.push_back(std::move(waits));
  return results;
}

}  // namespace kvferry::bench
