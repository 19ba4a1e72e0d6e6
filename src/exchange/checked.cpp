// SPDX-License-Identifier: Apache-2.0
#include "kvferry/exchange/checked.hpp"

#include <algorithm>
#include <utility>

#include "kvferry/base/try.hpp"

namespace kvferry::exchange {

CheckedExchange::CheckedExchange(std::unique_ptr<Exchange> inner, std::vector<std::string> formats,
                                 FetchCheck check)
    : inner_{std::move(inner)}, formats_{std::move(formats)}, check_{std::move(check)} {}

Result<void> CheckedExchange::publish(const Publication& publication, TimePoint deadline) {
  return inner_->publish(publication, deadline);
}

Result<Listing> CheckedExchange::list(TimePoint deadline) {
  KVFERRY_ASSIGN_OR_RETURN(Listing listing, inner_->list(deadline));
  for (FoundWorker& worker : listing.workers) {
    std::erase_if(worker.formats,
                  [this](const std::string& format) { return !comes_through(format); });
  }
  return listing;
}

Result<FetchedWorker> CheckedExchange::fetch(std::string_view name, TimePoint deadline) {
  KVFERRY_ASSIGN_OR_RETURN(FetchedWorker fetched, inner_->fetch(name, deadline));
  std::erase_if(fetched.formats, [this](const auto& entry) { return !comes_through(entry.first); });
  std::erase_if(fetched.found.formats,
                [this](const std::string& format) { return !comes_through(format); });
  if (fetched.formats.empty()) {
    return Error{ErrorCode::kRefused,
                 "worker " + std::string{name} + ": publishes nothing that can be checked"};
  }
  if (Result<void> passed = check_(fetched); !passed) {
    return std::move(passed).error().with_context("worker " + std::string{name});
  }
  return fetched;
}

Result<std::unique_ptr<Watch>> CheckedExchange::watch() { return inner_->watch(); }

Result<void> CheckedExchange::withdraw(std::string_view name, Epoch epoch, TimePoint deadline) {
  return inner_->withdraw(name, epoch, deadline);
}

bool CheckedExchange::comes_through(std::string_view format) const {
  return std::ranges::find(formats_, format) != formats_.end();
}

}  // namespace kvferry::exchange
