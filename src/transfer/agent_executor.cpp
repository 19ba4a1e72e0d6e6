// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "kvferry/base/try.hpp"
#include "transfer/executor.hpp"

namespace kvferry::transfer {
namespace {

class AgentExecutor final : public Executor {
 public:
  AgentExecutor(AgentCopy copy, agent::PreparedSidePtr local)
      : route_{copy.agent->facts().kind +
               (copy.operation == agent::Operation::kRead ? " read" : " write")},
        copy_{std::move(copy)},
        local_{std::move(local)} {}

  [[nodiscard]] const std::string& route() const noexcept override { return route_; }
  [[nodiscard]] std::uint64_t largest_post_bytes() const noexcept override {
    return copy_.agent->facts().largest_request_bytes;
  }

  [[nodiscard]] Result<std::optional<agent::RequestId>> post(
      const Posting& posting) const override {
    return copy_.agent->post(
        {copy_.operation, local_, copy_.remote, posting.runs, posting.transfer_bytes});
  }
  [[nodiscard]] Result<agent::RequestState> poll(agent::RequestId id) const override {
    return copy_.agent->poll(id);
  }
  void cancel(agent::RequestId id) const override { copy_.agent->cancel(id); }
  [[nodiscard]] bool quiet(agent::RequestId id) const override { return copy_.agent->quiet(id); }
  void release(agent::RequestId id) const override { copy_.agent->release(id); }

  [[nodiscard]] Result<void> check_owner() const override {
    if (copy_.agent->liveness(copy_.peer) == agent::Liveness::kDead) {
      return Error{ErrorCode::kUnavailable, "the owner of the " + std::string{side()} +
                                                " blocks died before the last byte was copied"};
    }
    return {};
  }

 private:
  [[nodiscard]] std::string_view side() const noexcept {
    return copy_.operation == agent::Operation::kRead ? "source" : "destination";
  }

  std::string route_;
  AgentCopy copy_;
  agent::PreparedSidePtr local_;
};

}  // namespace

Result<std::unique_ptr<const Executor>> make_agent_executor(AgentCopy copy) {
  KVFERRY_ASSIGN_OR_RETURN(agent::PreparedSidePtr local, copy.agent->prepare_local(copy.local));
  return std::unique_ptr<const Executor>{
      std::make_unique<const AgentExecutor>(std::move(copy), std::move(local))};
}

}  // namespace kvferry::transfer
