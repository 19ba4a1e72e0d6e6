// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace kvferry {

/// Receives a broken invariant of kvferry itself; must not return (it may throw or terminate).
using AssertionHandler = void (*)(std::string_view condition, std::string_view message);

/// Replaces the handler of failed assertions and gives back the one before. The default calls
/// std::terminate: what a caller can get wrong is an Error, so only a fault of kvferry gets here.
///
/// Threads: any; the change is atomic.
AssertionHandler set_assertion_handler(AssertionHandler handler) noexcept;

namespace detail {
[[noreturn]] void assertion_failed(std::string_view condition, std::string_view message);
}  // namespace detail

}  // namespace kvferry

/// Checks an invariant that only kvferry's own code can break; on in every build.
#define KVFERRY_ASSERT(condition, message)                        \
  do {                                                            \
    if (!(condition)) [[unlikely]] {                              \
      ::kvferry::detail::assertion_failed(#condition, (message)); \
    }                                                             \
  } while (false)
