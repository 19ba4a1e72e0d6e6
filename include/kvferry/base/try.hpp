// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include "kvferry/base/result.hpp"

#define KVFERRY_CONCAT_INNER(a, b) a##b
#define KVFERRY_CONCAT(a, b) KVFERRY_CONCAT_INNER(a, b)

/// Returns the error of `expression` from the enclosing function, if it has one.
#define KVFERRY_RETURN_IF_ERROR(expression)                    \
  do {                                                         \
    if (auto kvferry_status = (expression); !kvferry_status) { \
      return std::move(kvferry_status).error();                \
    }                                                          \
  } while (false)

/// Binds the value of `expression` to `declaration`, or returns its error.
#define KVFERRY_ASSIGN_OR_RETURN(declaration, expression) \
  KVFERRY_ASSIGN_OR_RETURN_INNER(declaration, expression, KVFERRY_CONCAT(kvferry_result_, __LINE__))

#define KVFERRY_ASSIGN_OR_RETURN_INNER(declaration, expression, temporary) \
  auto temporary = (expression);                                           \
  if (!temporary) {                                                        \
    return std::move(temporary).error();                                   \
  }                                                                        \
  declaration = *std::move(temporary)
