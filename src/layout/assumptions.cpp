// SPDX-License-Identifier: Apache-2.0
#include "kvferry/layout/assumptions.hpp"

#include <utility>

#include "kvferry/base/try.hpp"

namespace kvferry::layout {
namespace {

std::string text(const Part& part) {
  return std::to_string(part.origin) + " to " + std::to_string(part.origin + part.extent) + " of " +
         std::to_string(part.whole);
}

std::string text(std::uint64_t number) { return std::to_string(number); }
std::string text(const BlockAxes& order) { return to_string(order); }

template <class T>
Error contradicted(const char* field, const T& assumed, const T& told) {
  return Error{ErrorCode::kInvalidArgument, "assumed " + std::string{field} + " " + text(assumed) +
                                                ", the message says " + text(told)};
}

template <class T>
Result<void> assume_in(const char* field, const std::optional<T>& assumed, std::optional<T>& told) {
  if (assumed && told && *assumed != *told) {
    return contradicted(field, *assumed, *told);
  }
  told = assumed ? assumed : told;
  return {};
}

Result<void> assume_in(const char* field, const Part& assumed, Part& told) {
  if (assumed != Part{} && told != Part{} && assumed != told) {
    return contradicted(field, assumed, told);
  }
  told = assumed != Part{} ? assumed : told;
  return {};
}

}  // namespace

std::string to_string(const Assumptions& assume) {
  std::string all;
  const auto add = [&all](const char* field, const std::string& value) {
    all.append(all.empty() ? "" : ",").append(field).append(value);
  };
  if (assume.order) {
    add("order=", to_string(*assume.order));
  }
  if (assume.num_heads) {
    add("heads=", text(*assume.num_heads));
  }
  if (assume.layers != Part{}) {
    add("layers=", text(assume.layers));
  }
  if (assume.heads != Part{}) {
    add("heads=", text(assume.heads));
  }
  return all;
}

Result<Description> with_assumptions(Description told, const Assumptions& assume) {
  if (assume.is_empty()) {
    return told;
  }
  auto* const packed = std::get_if<PackedLayout>(&told);
  if (packed == nullptr) {
    return Error{ErrorCode::kInvalidArgument,
                 "assumed " + to_string(assume) + ", the message says every stride"};
  }
  KVFERRY_RETURN_IF_ERROR(assume_in("order", assume.order, packed->order));
  KVFERRY_RETURN_IF_ERROR(assume_in("num_heads", assume.num_heads, packed->config.num_heads));
  KVFERRY_RETURN_IF_ERROR(assume_in("layers", assume.layers, packed->layers));
  KVFERRY_RETURN_IF_ERROR(assume_in("heads", assume.heads, packed->heads));
  KVFERRY_RETURN_IF_ERROR(packed->config.validate());
  return told;
}

}  // namespace kvferry::layout
