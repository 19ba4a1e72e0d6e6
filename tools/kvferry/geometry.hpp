// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace kvferry::tool {

/// The shape of a real model's KV cache.
///
/// Source: the models' own published configuration files.
struct Geometry {
  std::string_view name;
  std::uint64_t layers{0};
  std::uint64_t outer_dim{0};  ///< 1 where there is one latent (MLA)
  std::uint64_t heads{0};      ///< KV heads; an MLA latent is one
  std::uint64_t head_dim{0};
  std::uint64_t page_size{0};

  friend bool operator==(const Geometry&, const Geometry&) = default;
};

/// All that are known, the default first.
[[nodiscard]] std::span<const Geometry> geometries() noexcept;

/// Nothing when there is none of that name.
[[nodiscard]] const Geometry* find_geometry(std::string_view name) noexcept;

}  // namespace kvferry::tool
