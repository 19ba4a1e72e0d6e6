// SPDX-License-Identifier: Apache-2.0
#include "kvferry/base/assert.hpp"

#include <atomic>
#include <exception>

namespace kvferry {
namespace {

void terminate_on_failure(std::string_view /*condition*/, std::string_view /*message*/) {
  std::terminate();
}

// The one piece of state that every manager shares: an assertion may fail where no object of ours
// can be trusted any more.
std::atomic<AssertionHandler> current_handler{&terminate_on_failure};

}  // namespace

AssertionHandler set_assertion_handler(AssertionHandler handler) noexcept {
  return current_handler.exchange(handler != nullptr ? handler : &terminate_on_failure);
}

namespace detail {

void assertion_failed(std::string_view condition, std::string_view message) {
  current_handler.load()(condition, message);
  std::terminate();  // A handler that returns has broken its contract.
}

}  // namespace detail
}  // namespace kvferry
