// SPDX-License-Identifier: Apache-2.0
#include "transfer/meter.hpp"

namespace kvferry::transfer {

Result<void> Meter::begin(std::size_t parts, std::size_t most) {
  const MutexLock lock{mutex_};
  if (in_flight_ + parts > most) {
    return Error{ErrorCode::kBusy, "max_in_flight: " + std::to_string(in_flight_) +
                                       " transfers have not ended, of " + std::to_string(most)};
  }
  in_flight_ += parts;
  return {};
}

void Meter::note_end(const TransferReport& report, std::uint64_t bytes_planned,
                     std::uint64_t requests) {
  const MutexLock lock{mutex_};
  auto found = routes_.find(report.route);
  if (found == routes_.end()) {
    found = routes_.emplace(report.route, RouteStatistics{.route = report.route}).first;
  }
  RouteStatistics& route = found->second;
  if (report.error) {
    ++route.failed[report.error->code];
  } else {
    ++route.good;
  }
  route.bad_blocks += report.bad_blocks.size();
  route.bytes_planned += bytes_planned;
  route.bytes_moved += report.bytes_moved;
  route.requests += requests;
  route.plan_time += report.plan_time;
  route.transfer_time += report.transfer_time;
  route.verify_time += report.verify_time;
  --in_flight_;
  quarantined_ += report.quiet ? 0 : 1;
}

void Meter::note_quiet() {
  const MutexLock lock{mutex_};
  --quarantined_;
}

void Meter::note_refused(ErrorCode code) {
  const MutexLock lock{mutex_};
  ++refused_[code];
}

Statistics Meter::statistics() const {
  const MutexLock lock{mutex_};
  Statistics all;
  for (const auto& [name, route] : routes_) {
    all.routes.push_back(route);
  }
  all.refused = refused_;
  all.in_flight = in_flight_;
  all.quarantined = quarantined_;
  return all;
}

}  // namespace kvferry::transfer
