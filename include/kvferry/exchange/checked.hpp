// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kvferry/exchange/exchange.hpp"

namespace kvferry::exchange {

/// Whether a worker may be told of, by its record and bytes; if not, why. May be called from many
/// threads at once.
using FetchCheck = std::function<Result<void>(const FetchedWorker&)>;

/// An exchange that hands on only what a check passes, such as a signature, and of that only the
/// formats that the check is about. It changes nothing of what is published.
///
/// Threads: any.
class CheckedExchange final : public Exchange {
 public:
  /// `formats` are those that come through, by their names in the exchange.
  CheckedExchange(std::unique_ptr<Exchange> inner, std::vector<std::string> formats,
                  FetchCheck check);

  Result<void> publish(const Publication& publication, TimePoint deadline) override;
  /// All workers, for nothing of a listing can be checked; without the formats that do not come
  /// through.
  [[nodiscard]] Result<Listing> list(TimePoint deadline) override;
  /// Errors: kRefused when none of the formats comes through; those of the check; those of the
  ///         exchange.
  [[nodiscard]] Result<FetchedWorker> fetch(std::string_view name, TimePoint deadline) override;
  /// Tells of changes, not of what can be fetched then.
  [[nodiscard]] Result<std::unique_ptr<Watch>> watch() override;
  Result<void> withdraw(std::string_view name, Epoch epoch, TimePoint deadline) override;

 private:
  [[nodiscard]] bool comes_through(std::string_view format) const;

  const std::unique_ptr<Exchange> inner_;
  const std::vector<std::string> formats_;
  const FetchCheck check_;
};

}  // namespace kvferry::exchange
