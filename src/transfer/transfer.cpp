// SPDX-License-Identifier: Apache-2.0
#include "kvferry/transfer/transfer.hpp"

#include "transfer/state.hpp"

namespace kvferry::transfer {

TransferReport Transfer::wait() const { return state_->wait(); }

std::optional<TransferReport> Transfer::wait_for(Duration timeout) const {
  return state_->wait_until(deadline_after(state_->clock().now(), timeout));
}

std::optional<TransferReport> Transfer::poll() const { return state_->look(); }

TransferReport Transfer::cancel() const {
  state_->request_cancel();
  return state_->wait();
}

bool Transfer::quiet() const { return state_->quiet(); }

}  // namespace kvferry::transfer
