// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "kvferry/memory/copy.hpp"
#include "transfer/executor.hpp"

namespace kvferry::transfer {
namespace {

class HostExecutor final : public HostCopyExecutor {
 public:
  HostExecutor(PhysicalLayoutPtr source, PhysicalLayoutPtr destination)
      : source_{std::move(source)}, destination_{std::move(destination)} {}

  [[nodiscard]] Result<std::optional<agent::RequestId>> post(
      const Posting& posting) const override {
    memory::copy_runs(posting.runs, source_->region_bases(), destination_->region_bases(),
                      posting.transfer_bytes);
    return std::optional<agent::RequestId>{};
  }

 private:
  PhysicalLayoutPtr source_;
  PhysicalLayoutPtr destination_;
};

}  // namespace

std::unique_ptr<const Executor> make_host_executor(PhysicalLayoutPtr source,
                                                   PhysicalLayoutPtr destination) {
  return std::make_unique<const HostExecutor>(std::move(source), std::move(destination));
}

}  // namespace kvferry::transfer
