// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "kvferry/base/error.hpp"
#include "output.hpp"

namespace kvferry::tool {

/// Why a command cannot go on: how the tool ends, and what it says on stderr.
struct [[nodiscard]] Failure {
  Failure(int how, std::string what) : exit_code{how}, message{std::move(what)} {}
  Failure(Error error)  // NOLINT(*-explicit-*): so that errors of the library are passed on
      : exit_code{exit_code_of(error.code)}, code{error.code}, message{std::move(error.message)} {}

  int exit_code;
  ErrorCode code{ErrorCode::kInvalidArgument};  ///< as JSON documents name it
  std::string message;
};

/// A word of the command line that cannot be what it should be.
[[nodiscard]] inline Failure usage(std::string message) {
  return Failure{kExitUsage, std::move(message)};
}

/// Words that are understood, and a value that cannot be.
[[nodiscard]] inline Failure invalid(std::string message) {
  return Failure{kExitInvalid, std::move(message)};
}

/// What needs package trust, in a build without it.
[[nodiscard]] Failure signatures_left_out();

/// Says on stderr why, and gives the exit code. With `json` stdout gets a document too, unless the
/// command line alone is wrong.
int fail(const Failure& failure, bool json = false);

/// A value, or why there is none. Unlike a Result it tells a wrong command line from a wrong value.
template <class T>
class [[nodiscard]] Outcome {
 public:
  Outcome(T value) : state_{std::in_place_index<0>, std::move(value)} {}  // NOLINT(*-explicit-*)
  Outcome(Failure failure)                                                // NOLINT(*-explicit-*)
      : state_{std::in_place_index<1>, std::move(failure)} {}
  Outcome(Error error) : Outcome{Failure{std::move(error)}} {}  // NOLINT(*-explicit-*)

  [[nodiscard]] bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }
  [[nodiscard]] T& operator*() & { return std::get<0>(state_); }
  [[nodiscard]] const T& operator*() const& { return std::get<0>(state_); }
  [[nodiscard]] T&& operator*() && { return std::get<0>(std::move(state_)); }
  [[nodiscard]] T* operator->() { return &std::get<0>(state_); }
  [[nodiscard]] const T* operator->() const { return &std::get<0>(state_); }
  [[nodiscard]] const Failure& error() const& { return std::get<1>(state_); }
  [[nodiscard]] Failure&& error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Failure> state_;
};

}  // namespace kvferry::tool
