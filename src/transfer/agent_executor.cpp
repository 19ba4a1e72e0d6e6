// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "kvferry/base/try.hpp"
#include "transfer/executor.hpp"

namespace kvferry::transfer {
namespace {

class AgentExecutor final : public Executor {
 public:
  AgentExecutor(AgentRead read, agent::PreparedSidePtr local)
      : route_{read.agent->facts().kind + " read"},
        read_{std::move(read)},
        local_{std::move(local)} {}

  [[nodiscard]] const std::string& route() const noexcept override { return route_; }
  [[nodiscard]] std::uint64_t largest_post_bytes() const noexcept override {
    return read_.agent->facts().largest_request_bytes;
  }

  [[nodiscard]] Result<std::optional<agent::RequestId>> post(
      const Posting& posting) const override {
    return read_.agent->post(
        {agent::Operation::kRead, local_, read_.source, posting.runs, posting.transfer_bytes});
  }
  [[nodiscard]] Result<agent::RequestState> poll(agent::RequestId id) const override {
    return read_.agent->poll(id);
  }
  void cancel(agent::RequestId id) const override { read_.agent->cancel(id); }
  [[nodiscard]] bool quiet(agent::RequestId id) const override { return read_.agent->quiet(id); }
  void release(agent::RequestId id) const override { read_.agent->release(id); }

  [[nodiscard]] Result<void> check_owner() const override {
    if (read_.agent->liveness(read_.peer) == agent::Liveness::kDead) {
      return Error{ErrorCode::kUnavailable,
                   "the owner of the source blocks died before the last byte was copied"};
    }
    return {};
  }

 private:
  std::string route_;
  AgentRead read_;
  agent::PreparedSidePtr local_;
};

}  // namespace

Result<std::unique_ptr<const Executor>> make_agent_executor(AgentRead read) {
  KVFERRY_ASSIGN_OR_RETURN(agent::PreparedSidePtr local,
                           read.agent->prepare_local(read.destination));
  return std::unique_ptr<const Executor>{
      std::make_unique<const AgentExecutor>(std::move(read), std::move(local))};
}

}  // namespace kvferry::transfer
