// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <utility>

#include "kvferry/base/try.hpp"
#include "pieces.hpp"
#include "suites.hpp"

namespace kvferry::bench {
namespace {

using transfer::PhysicalLayoutPtr;

constexpr std::array<std::uint64_t, 4> kColdBlocks{1, 8, 64, 512};
constexpr std::array<std::uint64_t, 2> kHotBlocks{1, 8};
constexpr double kCopyBar = 0.95;     ///< of the better baseline
constexpr double kPermuteBar = 0.80;  ///< of the better contiguous copy of as many bytes

/// A manager without an agent; one copy thread: the bars are those of one.
Result<std::unique_ptr<manager::TransportManager>> make_manager() {
  return manager::TransportManager::create({.worker_id = WorkerId{1}, .copy_threads = 1});
}

/// Two layouts between which blocks are copied.
struct Sides {
  std::string name;
  PhysicalLayoutPtr source;
  PhysicalLayoutPtr destination;
  double bar{kCopyBar};
};

Result<Pair> pair_of(manager::TransportManager& manager, const Sides& sides) {
  KVFERRY_ASSIGN_OR_RETURN(const LayoutHandle from, manager.register_layout(sides.source));
  KVFERRY_ASSIGN_OR_RETURN(const LayoutHandle to, manager.register_layout(sides.destination));
  return Pair{&manager, from, to, plain_layout(*sides.source), plain_layout(*sides.destination)};
}

std::string text(std::uint64_t blocks) {
  return std::to_string(blocks) + (blocks == 1 ? " block" : " blocks");
}

/// Cold: walking over so much that nothing is in a cache. Hot: the same blocks again and again.
Result<void> run_sizes(const Sides& sides, const SuiteOptions& options,
                       std::vector<CaseResult>& results) {
  const std::uint64_t walk = options.quick ? 64 : 256;  // 128 or 512 MiB
  const int rounds = options.quick ? 5 : 11;
  KVFERRY_ASSIGN_OR_RETURN(const auto manager, make_manager());
  KVFERRY_ASSIGN_OR_RETURN(const Pair pair, pair_of(*manager, sides));
  const std::uint64_t there = sides.source->config().num_blocks;
  const auto run = [&](std::uint64_t blocks, std::uint64_t over,
                       std::string_view heat) -> Result<void> {
    const std::string name = "llama-3.1-8b " + sides.name + " " + text(blocks) + std::string{heat};
    KVFERRY_ASSIGN_OR_RETURN(CaseResult result,
                             run_copy_case(pair, {"host", name, blocks, over, rounds, sides.bar,
                                                  sides.name + std::string{heat}}));
    results.push_back(std::move(result));
    return {};
  };
  for (const std::uint64_t blocks : kColdBlocks) {
    if (blocks <= there) {
      KVFERRY_RETURN_IF_ERROR(run(blocks, std::max(blocks, walk), " cold"));
    }
  }
  for (const std::uint64_t blocks : kHotBlocks) {
    KVFERRY_RETURN_IF_ERROR(run(blocks, blocks, " hot"));
  }
  return {};
}

layout::LayoutConfig permuted(layout::LayoutConfig config, layout::InnerShape order,
                              std::uint64_t heads) {
  config.inner_shape = order;
  config.num_heads = heads;
  return config;
}

/// As many bytes a token in heads of another size: llama-3.1-8b has 8 of 128 elements.
Result<void> run_permutes(const layout::LayoutConfig& config, const SuiteOptions& options,
                          std::vector<CaseResult>& results) {
  for (const std::uint64_t heads : {8U, 16U}) {
    const std::string size = std::to_string(config.inner_dim / heads);
    KVFERRY_ASSIGN_OR_RETURN(const PhysicalLayoutPtr nhd,
                             contiguous(permuted(config, layout::InnerShape::kNhd, heads)));
    KVFERRY_ASSIGN_OR_RETURN(const PhysicalLayoutPtr hnd,
                             contiguous(permuted(config, layout::InnerShape::kHnd, heads)));
    KVFERRY_RETURN_IF_ERROR(
        run_sizes({"nhd->hnd, heads of " + size + ",", nhd, hnd, kPermuteBar}, options, results));
  }
  return {};
}

Result<CaseResult> run_call(const SuiteOptions& options) {
  KVFERRY_ASSIGN_OR_RETURN(const PhysicalLayoutPtr source, contiguous(small_config(4)));
  KVFERRY_ASSIGN_OR_RETURN(const PhysicalLayoutPtr destination, contiguous(small_config(4)));
  KVFERRY_ASSIGN_OR_RETURN(const auto manager, make_manager());
  KVFERRY_ASSIGN_OR_RETURN(const Pair pair, pair_of(*manager, {"", source, destination}));
  return run_call_case(pair,
                       {"host", "one 4 KiB piece, software", 1, 1, options.quick ? 5 : 11, 0});
}

}  // namespace

Result<std::vector<CaseResult>> run_host_suite(const SuiteOptions& options) {
  const layout::LayoutConfig config = llama_config(options.quick ? 64 : kColdBlocks.back());
  std::vector<CaseResult> results;
  {
    KVFERRY_ASSIGN_OR_RETURN(const PhysicalLayoutPtr source, contiguous(config));
    KVFERRY_ASSIGN_OR_RETURN(const PhysicalLayoutPtr fc, contiguous(config));
    KVFERRY_RETURN_IF_ERROR(run_sizes({"fc->fc", source, fc}, options, results));
  }
  {
    KVFERRY_ASSIGN_OR_RETURN(const PhysicalLayoutPtr fc, contiguous(config));
    KVFERRY_ASSIGN_OR_RETURN(const PhysicalLayoutPtr ls, layered(config));
    KVFERRY_RETURN_IF_ERROR(run_sizes({"fc->ls", fc, ls}, options, results));
  }
  {
    KVFERRY_ASSIGN_OR_RETURN(const PhysicalLayoutPtr ls, layered(config));
    KVFERRY_ASSIGN_OR_RETURN(const PhysicalLayoutPtr ls2,
                             layered(config, layout::BlockDimension::kBlockIsSecondDim));
    KVFERRY_RETURN_IF_ERROR(run_sizes({"ls->ls2", ls, ls2}, options, results));
  }
  KVFERRY_RETURN_IF_ERROR(run_permutes(config, options, results));
  KVFERRY_ASSIGN_OR_RETURN(CaseResult call, run_call(options));
  results.push_back(std::move(call));
  return results;
}

}  // namespace kvferry::bench
