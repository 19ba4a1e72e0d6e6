// SPDX-License-Identifier: Apache-2.0
#include "geometry.hpp"

#include <algorithm>
#include <array>

namespace kvferry::tool {
namespace {

constexpr std::array<Geometry, 8> kGeometries{{{"llama-3.1-8b", 32, 2, 8, 128, 16},
                                               {"llama-3.3-70b", 80, 2, 8, 128, 16},
                                               {"qwen3-32b", 64, 2, 8, 128, 16},
                                               {"qwen3-235b-a22b", 94, 2, 4, 128, 16},
                                               {"deepseek-v3", 61, 1, 1, 576, 64},
                                               {"gpt-oss-120b", 36, 2, 8, 64, 16},
                                               {"mistral-large-2", 88, 2, 8, 128, 16},
                                               {"smollm2-135m", 30, 2, 3, 64, 16}}};

}  // namespace

std::span<const Geometry> geometries() noexcept { return kGeometries; }

const Geometry* find_geometry(std::string_view name) noexcept {
  const auto* const found = std::find_if(kGeometries.begin(), kGeometries.end(),
                                         [name](const Geometry& g) { return g.name == name; });
  return found == kGeometries.end() ? nullptr : found;
}

}  // namespace kvferry::tool
