// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "kvferry/memory/copy.hpp"
#include "transfer/executor.hpp"

namespace kvferry::transfer {
namespace {

/// Every post is finished when it returns, so no request of it is ever known.
class HostExecutor final : public Executor {
 public:
  HostExecutor(PhysicalLayoutPtr source, PhysicalLayoutPtr destination)
      : source_{std::move(source)}, destination_{std::move(destination)} {}

  [[nodiscard]] const std::string& route() const noexcept override { return route_; }
  [[nodiscard]] std::uint64_t largest_post_bytes() const noexcept override { return 0; }

  [[nodiscard]] Result<std::optional<agent::RequestId>> post(
      std::span<const Run> runs) const override {
    memory::copy_runs(runs, source_->region_bases(), destination_->region_bases());
    return std::optional<agent::RequestId>{};
  }
  [[nodiscard]] Result<agent::RequestState> poll(agent::RequestId /*id*/) const override {
    return agent::RequestState::kDone;
  }
  void cancel(agent::RequestId /*id*/) const override {}
  [[nodiscard]] bool quiet(agent::RequestId /*id*/) const override { return true; }
  void release(agent::RequestId /*id*/) const override {}
  [[nodiscard]] Result<void> check_owner() const override { return {}; }

 private:
  std::string route_{"host copy"};
  PhysicalLayoutPtr source_;
  PhysicalLayoutPtr destination_;
};

}  // namespace

std::unique_ptr<const Executor> make_host_executor(PhysicalLayoutPtr source,
                                                   PhysicalLayoutPtr destination) {
  return std::make_unique<const HostExecutor>(std::move(source), std::move(destination));
}

}  // namespace kvferry::transfer
