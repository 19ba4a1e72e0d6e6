// SPDX-License-Identifier: Apache-2.0
#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <utility>
#include <vector>

#include "kvferry/base/try.hpp"
#include "pieces.hpp"
#include "suites.hpp"
#include "worker_pair.hpp"

namespace kvferry::bench {
namespace {

constexpr double kLayoutBarBytes = 1024;
constexpr double kRegionBarBytes = 64;
constexpr double kSlopeBar = 1.1;  ///< in powers of the number of layouts

/// What the heap holds, of all threads: with what the allocator itself needs for it, which a
/// counting operator new does not see, and with what C libraries take.
std::uint64_t heap_bytes() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

/// How many layouts of how many layers, a region each.
struct Shape {
  std::uint64_t layouts;
  std::uint64_t layers;
};

layout::LayoutConfig config_of(const Shape& shape) {
  layout::LayoutConfig config = small_config(1);
  config.num_layers = shape.layers;
  return config;
}

/// Registers layouts, each with memory of its own.
Result<void> register_layouts(manager::TransportManager& owner, const Shape& shape) {
  for (std::uint64_t i = 0; i < shape.layouts; ++i) {
    KVFERRY_ASSIGN_OR_RETURN(const transfer::PhysicalLayoutPtr one, layered(config_of(shape)));
    KVFERRY_RETURN_IF_ERROR(owner.register_layout(one, {.access = Access::kRead}));
  }
  return {};
}

/// As many open files as may be had: a memory is one on either side.
void allow_many_files() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
}

/// What one import took.
struct Import {
  double seconds{0};
  double bytes{0};
};

Result<Import> import_once(const SuiteOptions& options, const Shape& shape) {
  KVFERRY_ASSIGN_OR_RETURN(const WorkerPair pair, make_worker_pair(options));
  KVFERRY_RETURN_IF_ERROR(register_layouts(*pair.owner, shape));
  KVFERRY_ASSIGN_OR_RETURN(const auto message, pair.owner->export_metadata());
  const std::uint64_t before = heap_bytes();
  const auto begin = std::chrono::steady_clock::now();
  KVFERRY_ASSIGN_OR_RETURN(
      const std::vector<LayoutHandle> handles,
      pair.reader->import_metadata(message, {.deadline = std::chrono::seconds{30}}));
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
  const std::uint64_t after = heap_bytes();
  const std::uint64_t mine = handles.capacity() * sizeof(LayoutHandle);
  return Import{taken.count(),
                after > before + mine ? static_cast<double>(after - before - mine) : 0};
}

Result<CaseResult> run_shape(const SuiteOptions& options, const Shape& shape) {
  std::vector<double> seconds;
  std::vector<double> bytes;
  std::vector<double> ratios;
  const double bar = kLayoutBarBytes + kRegionBarBytes * static_cast<double>(shape.layers);
  for (int round = 0; round < (options.quick ? 3 : 11); ++round) {
    KVFERRY_ASSIGN_OR_RETURN(const Import import, import_once(options, shape));
    seconds.push_back(import.seconds);
    bytes.push_back(import.bytes / static_cast<double>(shape.layouts));
    ratios.push_back(bytes.back() > 0 ? bar / bytes.back() : 0);
  }
  CaseResult result;
  result.suite = "memory";
  result.name = std::to_string(shape.layouts) + " imported layouts of " +
                std::to_string(shape.layers) + " layers";
  const double median = spread_of(bytes).median;
  result.bytes = static_cast<std::uint64_t>(median * static_cast<double>(shape.layouts));
  result.figure = Figure::kTime;
  result.seconds = spread_of(std::move(seconds));
  result.ratio = spread_of(std::move(ratios));
  set_cost(result, {median, "bytes a layout"}, bar);
  if (median <= 0) {  // A sanitizer's allocator says nothing.
    result.skipped = "the allocator does not tell what it holds";
  }
  return result;
}

}  // namespace

Result<std::vector<CaseResult>> run_memory_suite(const SuiteOptions& options) {
  allow_many_files();
  std::vector<CaseResult> results;
  for (const std::uint64_t layers : {80U, 10U}) {
    KVFERRY_ASSIGN_OR_RETURN(CaseResult result, run_shape(options, {1'000, layers}));
    results.push_back(std::move(result));
  }
  std::array<CaseResult, 3> sizes;
  std::uint64_t layouts{16};
  for (std::size_t i = 0; i < sizes.size(); ++i, layouts *= 8) {
    KVFERRY_ASSIGN_OR_RETURN(sizes[i], run_shape(options, {layouts, 80}));
  }
  CaseResult slope = sizes.back();
  slope.name = "slope, 16 128 1024 layouts of 80 layers";
  const double growth = std::log(static_cast<double>(sizes[2].bytes) /
                                 static_cast<double>(std::max<std::uint64_t>(1, sizes[0].bytes)));
  set_cost(slope, {growth / std::log(64.0), "as power of the size"}, kSlopeBar);
  results.push_back(std::move(slope));
  return results;
}

}  // namespace kvferry::bench
