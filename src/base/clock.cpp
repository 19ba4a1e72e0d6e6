// SPDX-License-Identifier: Apache-2.0
#include "kvferry/base/clock.hpp"

namespace kvferry {

TimePoint deadline_after(TimePoint now, Duration timeout) noexcept {
  if (timeout > TimePoint::max() - now) {
    return TimePoint::max();
  }
  return now + timeout;
}

}  // namespace kvferry
