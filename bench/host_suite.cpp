// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <utility>

#include "kvferry/base/try.hpp"
#include "pieces.hpp"
#include "suites.hpp"

namespace kvferry::bench {
namespace {

using transfer::PhysicalLayoutPtr;

constexpr std::array<std::uint64_t, 3> kBlocks{1, 8, 64};
constexpr double kCopyBar = 0.85;  ///< of memcpy

/// A manager without an agent, and the layouts between which it copies.
class HostBench {
 public:
  [[nodiscard]] static Result<HostBench> create() {
    // One copy thread: the bars are those of one.
    KVFERRY_ASSIGN_OR_RETURN(auto manager, manager::TransportManager::create(
                                               {.worker_id = WorkerId{1}, .copy_threads = 1}));
    return HostBench{std::move(manager)};
  }

  [[nodiscard]] Result<Pair> pair(const PhysicalLayoutPtr& source,
                                  const PhysicalLayoutPtr& destination) {
    KVFERRY_ASSIGN_OR_RETURN(const LayoutHandle from, manager_->register_layout(source));
    KVFERRY_ASSIGN_OR_RETURN(const LayoutHandle to, manager_->register_layout(destination));
    return Pair{manager_.get(), from, to, plain_layout(*source), plain_layout(*destination)};
  }

 private:
  explicit HostBench(std::unique_ptr<manager::TransportManager> manager)
      : manager_{std::move(manager)} {}

  std::unique_ptr<manager::TransportManager> manager_;
};

}  // namespace

Result<std::vector<CaseResult>> run_host_suite(const SuiteOptions& options) {
  const std::uint64_t walk = options.quick ? 64 : 256;  // 128 or 512 MiB
  const int rounds = options.quick ? 5 : 11;
  KVFERRY_ASSIGN_OR_RETURN(HostBench bench, HostBench::create());
  KVFERRY_ASSIGN_OR_RETURN(const PhysicalLayoutPtr source, contiguous(llama_config(walk)));
  KVFERRY_ASSIGN_OR_RETURN(const PhysicalLayoutPtr fc, contiguous(llama_config(walk)));
  KVFERRY_ASSIGN_OR_RETURN(const PhysicalLayoutPtr ls, layered(llama_config(walk)));
  KVFERRY_ASSIGN_OR_RETURN(const Pair to_fc, bench.pair(source, fc));
  KVFERRY_ASSIGN_OR_RETURN(const Pair to_ls, bench.pair(source, ls));
  std::vector<CaseResult> results;
  for (const std::uint64_t blocks : kBlocks) {
    const std::string size = std::to_string(blocks) + " blocks cold";
    const CaseOptions fc_case{"host",  "llama-3.1-8b fc->fc " + size, blocks, walk, rounds,
                              kCopyBar};
    KVFERRY_ASSIGN_OR_RETURN(CaseResult one, run_copy_case(to_fc, fc_case));
    results.push_back(std::move(one));
    const CaseOptions ls_case{"host",  "llama-3.1-8b fc->ls " + size, blocks, walk, rounds,
                              kCopyBar};
    KVFERRY_ASSIGN_OR_RETURN(CaseResult two, run_copy_case(to_ls, ls_case));
    results.push_back(std::move(two));
  }
  const CaseOptions hot{"host", "llama-3.1-8b fc->ls 1 block hot", 1, 1, rounds, kCopyBar};
  KVFERRY_ASSIGN_OR_RETURN(CaseResult hot_result, run_copy_case(to_ls, hot));
  results.push_back(std::move(hot_result));
  KVFERRY_ASSIGN_OR_RETURN(const PhysicalLayoutPtr small_source, contiguous(small_config(4)));
  KVFERRY_ASSIGN_OR_RETURN(const PhysicalLayoutPtr small_fc, contiguous(small_config(4)));
  KVFERRY_ASSIGN_OR_RETURN(const Pair small, bench.pair(small_source, small_fc));
  KVFERRY_ASSIGN_OR_RETURN(
      CaseResult call,
      run_call_case(small, {"host", "one 4 KiB piece, software", 1, 1, rounds, 0}));
  results.push_back(std::move(call));
  return results;
}

}  // namespace kvferry::bench
