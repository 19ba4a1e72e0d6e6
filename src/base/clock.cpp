// SPDX-License-Identifier: Apache-2.0
#include "kvferry/base/clock.hpp"

namespace kvferry {

TimePoint deadline_after(TimePoint now, Duration timeout) noexcept {
  const bool is_later = timeout >= Duration::zero();
  if (is_later && timeout > TimePoint::max() - now) {
    return TimePoint::max();
  }
  const bool before_the_start = now.time_since_epoch() < Duration::zero();
  if (!is_later && before_the_start && timeout < TimePoint::min() - now) {
    return TimePoint::min();
  }
  return now + timeout;
}

}  // namespace kvferry
