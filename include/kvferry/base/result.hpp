// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <utility>
#include <variant>

#include "kvferry/base/assert.hpp"
#include "kvferry/base/error.hpp"

namespace kvferry {

/// A value or an Error. Member names are those of std::expected; unlike there, an Error converts
/// by itself, and reading the wrong side is an assertion.
template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  Result(T value) : state_{std::in_place_index<0>, std::move(value)} {}  // NOLINT(*-explicit-*)
  /// Makes the value where it lies, from `args`.
  template <class... Args>
  explicit Result(std::in_place_t /*tag*/, Args&&... args)
      : state_{std::in_place_index<0>, std::forward<Args>(args)...} {}
  Result(Error error) : state_{std::in_place_index<1>, std::move(error)} {}  // NOLINT(*-explicit-*)

  [[nodiscard]] bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  [[nodiscard]] T& value() & {
    KVFERRY_ASSERT(has_value(), "value() of a Result that holds an Error");
    return *std::get_if<0>(&state_);
  }
  [[nodiscard]] const T& value() const& {
    KVFERRY_ASSERT(has_value(), "value() of a Result that holds an Error");
    return *std::get_if<0>(&state_);
  }
  [[nodiscard]] T&& value() && { return std::move(value()); }

  [[nodiscard]] T& operator*() & { return value(); }
  [[nodiscard]] const T& operator*() const& { return value(); }
  [[nodiscard]] T&& operator*() && { return std::move(*this).value(); }
  [[nodiscard]] T* operator->() { return &value(); }
  [[nodiscard]] const T* operator->() const { return &value(); }

  [[nodiscard]] Error& error() & {
    KVFERRY_ASSERT(!has_value(), "error() of a Result that holds a value");
    return *std::get_if<1>(&state_);
  }
  [[nodiscard]] const Error& error() const& {
    KVFERRY_ASSERT(!has_value(), "error() of a Result that holds a value");
    return *std::get_if<1>(&state_);
  }
  [[nodiscard]] Error&& error() && { return std::move(error()); }

 private:
  std::variant<T, Error> state_;
};

/// Success without a value, or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;

  Result() noexcept = default;
  Result(Error error) : error_{std::move(error)} {}  // NOLINT(*-explicit-*)

  [[nodiscard]] bool has_value() const noexcept { return !error_.has_value(); }
  explicit operator bool() const noexcept { return has_value(); }

  [[nodiscard]] Error& error() & {
    KVFERRY_ASSERT(!has_value(), "error() of a Result that holds a value");
    return *error_;
  }
  [[nodiscard]] const Error& error() const& {
    KVFERRY_ASSERT(!has_value(), "error() of a Result that holds a value");
    return *error_;
  }
  [[nodiscard]] Error&& error() && { return std::move(error()); }

 private:
  std::optional<Error> error_;
};

}  // namespace kvferry
