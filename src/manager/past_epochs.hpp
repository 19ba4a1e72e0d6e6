// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "kvferry/base/epoch.hpp"

namespace kvferry::manager {

/// Earlier lives of another worker, so that a message of one is not taken for a new life: the last
/// few, more than restart while a message is on its way.
class PastEpochs {
 public:
  [[nodiscard]] bool holds(const Epoch& epoch) const noexcept {
    return std::ranges::find(epochs_, epoch) != epochs_.end();
  }
  void add(const Epoch& epoch) {
    epochs_.push_back(epoch);
    if (epochs_.size() > kMost) {
      epochs_.erase(epochs_.begin());
    }
  }

 private:
  static constexpr std::size_t kMost = 16;

  std::vector<Epoch> epochs_;
};

}  // namespace kvferry::manager
