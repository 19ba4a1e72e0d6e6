// SPDX-License-Identifier: Apache-2.0
#include "kvferry/layout/config.hpp"

#include <bit>
#include <limits>
#include <string>

#include "kvferry/base/checked.hpp"
#include "kvferry/base/try.hpp"

namespace kvferry::layout {
namespace {

Error invalid(std::string_view field, std::uint64_t value, std::string_view bound) {
  return Error{ErrorCode::kInvalidArgument,
               std::string{field} + ": " + std::to_string(value) + " is not " + std::string{bound}};
}

Result<void> at_least_one(std::string_view field, std::uint64_t value) {
  if (value == 0) {
    return invalid(field, value, "at least 1");
  }
  return {};
}

Result<void> validate_heads(const LayoutConfig& config) {
  if (!config.num_heads.has_value()) {
    return {};
  }
  const std::uint64_t heads = *config.num_heads;
  if (heads == 0 || config.inner_dim % heads != 0) {
    return invalid("num_heads", heads,
                   "a divisor of inner_dim " + std::to_string(config.inner_dim));
  }
  return {};
}

}  // namespace

std::string_view to_string(InnerShape shape) noexcept {
  switch (shape) {
    case InnerShape::kUnknown: return "Unknown";
    case InnerShape::kNhd: return "NHD";
    case InnerShape::kHnd: return "HND";
  }
  return "invalid";
}

Result<void> LayoutConfig::validate() const {
  KVFERRY_RETURN_IF_ERROR(at_least_one("num_blocks", num_blocks));
  KVFERRY_RETURN_IF_ERROR(at_least_one("num_layers", num_layers));
  if (outer_dim != 1 && outer_dim != 2) {
    return invalid("outer_dim", outer_dim, "1 or 2");
  }
  KVFERRY_RETURN_IF_ERROR(at_least_one("page_size", page_size));
  KVFERRY_RETURN_IF_ERROR(at_least_one("inner_dim", inner_dim));
  if (!std::has_single_bit(alignment)) {
    return invalid("alignment", alignment, "a power of two");
  }
  if (!std::has_single_bit(dtype_width_bytes) || dtype_width_bytes > 8) {
    return invalid("dtype_width_bytes", dtype_width_bytes, "1, 2, 4 or 8");
  }
  if (inner_shape != InnerShape::kUnknown && inner_shape != InnerShape::kNhd &&
      inner_shape != InnerShape::kHnd) {
    return invalid("inner_shape", static_cast<std::uint64_t>(inner_shape), "below 3");
  }
  KVFERRY_RETURN_IF_ERROR(validate_heads(*this));
  if (!checked_product(
          {num_blocks, num_layers, outer_dim, page_size, inner_dim, dtype_width_bytes})) {
    return Error{ErrorCode::kInvalidArgument,
                 "num_blocks x num_layers x outer_dim x page_size x inner_dim x "
                 "dtype_width_bytes does not fit into 64 bits"};
  }
  return {};
}

std::uint64_t LayoutConfig::required_bytes() const noexcept {
  return checked_product(
             {num_blocks, num_layers, outer_dim, page_size, inner_dim, dtype_width_bytes})
      .value_or(std::numeric_limits<std::uint64_t>::max());
}

std::uint64_t LayoutConfig::region_bytes() const noexcept {
  return page_size * inner_dim * dtype_width_bytes;
}

std::uint64_t LayoutConfig::block_bytes() const noexcept {
  return num_layers * outer_dim * region_bytes();
}

}  // namespace kvferry::layout
