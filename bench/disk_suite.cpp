// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "file_tier.hpp"
#include "kvferry/base/try.hpp"
#include "pieces.hpp"
#include "raw_ring.hpp"
#include "suites.hpp"

namespace kvferry::bench {
namespace {

using transfer::PhysicalLayoutPtr;

constexpr std::uint64_t kKiB = 1024;
constexpr std::uint64_t kMiB = 1024 * kKiB;
constexpr std::array<std::uint64_t, 3> kPieceBytes{64 * kKiB, kMiB, 2 * kMiB};
constexpr std::uint64_t kHotBytes = 2 * kMiB;
constexpr double kBar = 0.95;  ///< of the raw loop

/// A round of hot cases takes that much, again and again.
constexpr std::uint64_t kHotRoundBytes = 16 * kMiB;

std::string text_of(std::uint64_t bytes) {
  return bytes < kMiB ? std::to_string(bytes / kKiB) + " KiB"
                      : std::to_string(bytes / kMiB) + " MiB";
}

/// One file and the memory beside it.
struct Tier {
  PhysicalLayoutPtr on_disk;
  PhysicalLayoutPtr in_memory;
  LayoutHandle disk;
  LayoutHandle memory;
  bool direct{false};
  std::uint64_t piece_bytes{0};

  [[nodiscard]] const disk::File& file() const { return *on_disk->files()[0]; }
  [[nodiscard]] int descriptor() const {
    return direct ? file().direct_descriptor() : file().descriptor();
  }
};

/// What one case does.
struct Task {
  bool is_write{false};
  std::uint64_t bytes{0};  ///< of one transfer
  int repetitions{1};
  int rounds{11};
  std::string_view heat;
};

/// The block beside which piece `i` of `count` lies on disk: pairs are swapped, so that no two
/// pieces are neighbours on both sides and none can be merged.
std::uint64_t block_of(std::uint64_t i, std::uint64_t count) { return count == 1 ? i : i ^ 1U; }

std::vector<FilePiece> file_pieces(const Tier& tier, std::uint64_t count) {
  const Region& in_file = tier.on_disk->regions()[0];
  std::byte* const memory = tier.in_memory->region_bases()[0];
  std::vector<FilePiece> pieces;
  for (std::uint64_t i = 0; i < count; ++i) {
    pieces.push_back({in_file.address + i * tier.piece_bytes,
                      memory + block_of(i, count) * tier.piece_bytes, tier.piece_bytes});
  }
  return pieces;
}

std::string series_of(const Tier& tier, const Task& task) {
  return std::string{task.is_write ? "write, " : "read, "} +
         (tier.direct ? "direct, " : "buffered, ") + std::string{task.heat};
}

std::string name_of(const Tier& tier, const Task& task) {
  return std::string{task.is_write ? "write" : "read"} +
         (tier.direct ? ", direct, " : ", buffered, ") + text_of(tier.piece_bytes) + " pieces " +
         std::string{task.heat};
}

/// One transfer of many pieces beside the raw loop over the same ones, in the same file and memory.
class Race {
 public:
  Race(manager::TransportManager& manager, const Tier& tier, const Task& task)
      : manager_{manager},
        tier_{tier},
        task_{task},
        pieces_{file_pieces(tier, task.bytes / tier.piece_bytes)} {
    for (std::uint64_t i = 0; i < pieces_.size(); ++i) {
      in_file_.push_back(BlockId{i});
      in_memory_.push_back(BlockId{block_of(i, pieces_.size())});
    }
  }

  Result<CaseResult> run() {
    std::vector<RawRing> rings;
    KVFERRY_ASSIGN_OR_RETURN(RawRing plain,
                             RawRing::open({tier_.descriptor(), {}, task_.is_write}));
    rings.push_back(std::move(plain));
    const std::span<std::byte> memory{tier_.in_memory->region_bases()[0], task_.bytes};
    // Refused where less may be locked than the pieces need.
    if (auto told = RawRing::open({tier_.descriptor(), memory, task_.is_write})) {
      rings.push_back(*std::move(told));
    }
    std::vector<Baseline> baselines;
    for (std::size_t i = 0; i < rings.size(); ++i) {
      baselines.push_back({i == 0 ? "raw io_uring loop" : "raw io_uring loop, memory registered",
                           timed([this, &ring = rings[i]] { note(ring.move(pieces_)); })});
    }
    CaseResult result = measure_beside_best(timed([this] { transfer(); }), baselines, task_.rounds);
    if (error_.has_value()) {
      return *std::move(error_);
    }
    result.suite = "disk";
    result.name = name_of(tier_, task_);
    result.bytes = task_.bytes;
    result.bar = kBar;
    result.chart = {series_of(tier_, task_), tier_.piece_bytes};
    set_rates(result);
    return result;
  }

 private:
  void note(std::optional<Error> error) {
    if (error.has_value() && !error_.has_value()) {
      error_ = std::move(error);
    }
  }

  void transfer() {
    const auto transfer =
        task_.is_write ? manager_.execute_transfer(tier_.memory, in_memory_, tier_.disk, in_file_)
                       : manager_.execute_transfer(tier_.disk, in_file_, tier_.memory, in_memory_);
    note(transfer ? transfer->wait().error : std::optional{transfer.error()});
  }

  /// Outside the clock the disk is left at rest: what one side wrote is not for the other to wait
  /// for.
  template <class Move>
  std::function<double()> timed(Move move) {
    return [this, move] {
      if (task_.is_write) {
        ::fdatasync(tier_.file().descriptor());
      }
      return seconds_of(move, task_.repetitions);
    };
  }

  manager::TransportManager& manager_;
  const Tier& tier_;
  const Task& task_;
  std::vector<FilePiece> pieces_;
  std::vector<BlockId> in_file_;
  std::vector<BlockId> in_memory_;
  std::optional<Error> error_;
};

CaseResult skipped(const Tier& tier, const Task& task, std::string why) {
  CaseResult result;
  result.suite = "disk";
  result.name = name_of(tier, task);
  result.baseline = "raw io_uring loop";
  result.bar = kBar;
  result.skipped = std::move(why);
  return result;
}

std::vector<Task> tasks(const SuiteOptions& options) {
  const std::uint64_t walk = (options.quick ? 64 : 256) * kMiB;
  const int rounds = options.quick ? 5 : 11;
  std::vector<Task> all;
  for (const bool is_write : {false, true}) {
    all.push_back({is_write, walk, 1, rounds, "cold"});
    all.push_back({is_write, kHotBytes, kHotRoundBytes / kHotBytes, rounds, "hot"});
  }
  return all;
}

Result<void> run_tier(const SuiteOptions& options, Tier tier, std::vector<CaseResult>& results) {
  const std::vector<Task> all = tasks(options);
  const auto config = pieces_config(all.front().bytes / tier.piece_bytes, tier.piece_bytes);
  KVFERRY_ASSIGN_OR_RETURN(const auto manager, manager::TransportManager::create(
                                                   {.worker_id = WorkerId{1}, .copy_threads = 1}));
  KVFERRY_ASSIGN_OR_RETURN(
      tier.on_disk, make_file_tier(config, options.disk_directory,
                                   tier.direct ? disk::Direct::kAuto : disk::Direct::kNever));
  KVFERRY_ASSIGN_OR_RETURN(tier.in_memory, contiguous(config));
  KVFERRY_ASSIGN_OR_RETURN(tier.disk,
                           manager->register_layout(tier.on_disk, {.access = Access::kNone}));
  KVFERRY_ASSIGN_OR_RETURN(tier.memory,
                           manager->register_layout(tier.in_memory, {.access = Access::kNone}));
  const disk::FileFacts& facts = tier.file().facts();
  auto ring = RawRing::open({tier.file().descriptor(), {}, false});
  const std::string why = tier.direct && facts.direct_alignment == 0 ? facts.why_not_direct
                          : ring                                     ? std::string{}
                                                                     : ring.error().message;
  for (const Task& task : all) {
    if (!why.empty()) {
      results.push_back(skipped(tier, task, why));
      continue;
    }
    KVFERRY_ASSIGN_OR_RETURN(CaseResult result, Race(*manager, tier, task).run());
    results.push_back(std::move(result));
  }
  return {};
}

}  // namespace

Result<std::vector<CaseResult>> run_disk_suite(const SuiteOptions& options) {
  std::vector<CaseResult> results;
  for (const bool direct : {true, false}) {
    for (const std::uint64_t piece_bytes : kPieceBytes) {
      Tier tier;
      tier.direct = direct;
      tier.piece_bytes = piece_bytes;
      KVFERRY_RETURN_IF_ERROR(run_tier(options, std::move(tier), results));
    }
  }
  return results;
}

}  // namespace kvferry::bench
