// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "fake_backend.hpp"
#include "guarded_cache.hpp"
#include "transfer/group.hpp"

namespace kvferry::testing {

/// Two caches, what moves bytes between them, and transfers made of them without a manager.
class Rig {
 public:
  explicit Rig(const layout::LayoutConfig& config,
               std::shared_ptr<const Clock> clock = std::make_shared<SteadyClock>(),
               const std::vector<plan::LayerRange>& plans = {plan::LayerRange{}})
      : source{config, layout::Arrangement::kFullyContiguous, 1},
        destination{config, layout::Arrangement::kLayerSeparateBlockFirst, 2},
        backend{std::make_shared<FakeBackend>(source.physical(), destination.physical())},
        claims{std::make_shared<transfer::ClaimTable>()},
        source_gate{std::make_shared<transfer::Gate>()},
        destination_gate{std::make_shared<transfer::Gate>()},
        clock_{std::move(clock)} {
    source.fill(7);
    auto lane = std::make_shared<transfer::Lane>();
    for (const plan::LayerRange& layers : plans) {
      lane->shapes.push_back(
          {*plan::PlanTemplate::create(source.view(), destination.view(), {.layers = layers}),
           layers.first});
    }
    lane->executor = std::make_unique<const FakeExecutor>(backend);
    lane_ = std::move(lane);
  }

  /// Later transfers are copied by whoever carries them on, without the backend.
  void use_host_executor() {
    auto lane = std::make_shared<transfer::Lane>();
    lane->shapes = lane_->shapes;
    lane->executor = transfer::make_host_executor(source.physical(), destination.physical());
    lane_ = std::move(lane);
  }

  /// A transfer of `from[i]` to `to[i]` that ends after `timeout`.
  Result<std::shared_ptr<transfer::TransferState>> start(const std::vector<BlockId>& from,
                                                         const std::vector<BlockId>& to,
                                                         Duration timeout) {
    std::vector<transfer::LayerPlan> plans;
    for (const transfer::Lane::Shape& one : lane_->shapes) {
      KVFERRY_ASSIGN_OR_RETURN(auto plan, plan::CopyPlan::create(one.shape, {from, to}));
      plans.push_back({std::move(plan), by_layer ? one.layer : 0});
    }
    std::unique_ptr<transfer::GuardCheck> check;
    if (source_guards != nullptr) {
      KVFERRY_ASSIGN_OR_RETURN(check, transfer::GuardCheck::create({from, 1, to, 1}, expected));
      check->set_reader(transfer::make_guard_reader(source_guards, check->buffer()));
    }
    const TimePoint now = clock_->now();
    KVFERRY_ASSIGN_OR_RETURN(transfer::Claims taken,
                             transfer::Claims::take(claims, destination_guards, to));
    KVFERRY_RETURN_IF_ERROR(meter->begin(1, 100'000));
    return std::make_shared<transfer::TransferState>(transfer::TransferParts{
        lane_,
        std::move(plans),
        std::make_shared<const transfer::Claims>(std::move(taken)),
        std::move(check),
        std::move(verification),
        {transfer::GatePass{source_gate}, transfer::GatePass{destination_gate}},
        clock_,
        now,
        deadline_after(now, timeout),
        on_end,
        std::make_shared<transfer::Completion>(1, notifier),
        meter});
  }

  /// What the caller of a transfer with one source has in hand.
  static transfer::Transfer as_transfer(std::shared_ptr<transfer::TransferState> state) {
    auto group = std::make_shared<transfer::TransferGroup>();
    group->plan.bytes_moved = state->total_bytes();
    group->members.push_back({std::move(state), ""});
    group->by_layer = true;
    group->completion = group->members.front().state->completion();
    return transfer::Transfer{std::move(group)};
  }

  /// Whether nothing of the destination is claimed and nobody is inside the gates.
  [[nodiscard]] bool all_given_back() const {
    const std::vector<BlockId> all = ids_from(0, destination.num_blocks());
    if (!claims->claim(all)) {
      return false;
    }
    claims->release(all);
    for (const transfer::GatePtr& gate : {source_gate, destination_gate}) {
      if (!gate->close(*clock_, clock_->now())) {
        return false;
      }
      gate->open();
    }
    return true;
  }

  GuardedCache source;
  GuardedCache destination;
  std::shared_ptr<FakeBackend> backend;
  std::shared_ptr<transfer::ClaimTable> claims;
  transfer::BlockGuardsPtr source_guards;       ///< of the source; null at first
  transfer::BlockGuardsPtr destination_guards;  ///< of the destination; null at first
  std::vector<std::uint64_t> expected;          ///< sequence numbers, of the next transfer
  bool by_layer{false};                         ///< the next transfer: each plan is of a layer
  std::unique_ptr<transfer::Verification> verification;     ///< of the next transfer
  std::function<void(const std::optional<Error>&)> on_end;  ///< of the next transfer
  std::shared_ptr<transfer::Notifier> notifier;             ///< null at first
  std::shared_ptr<transfer::Meter> meter = std::make_shared<transfer::Meter>();
  transfer::GatePtr source_gate;
  transfer::GatePtr destination_gate;

 private:
  std::shared_ptr<const Clock> clock_;
  std::shared_ptr<const transfer::Lane> lane_;
};

}  // namespace kvferry::testing
