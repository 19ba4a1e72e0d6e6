// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace kvferry::fuzz {

/// Checks one input. Each target has its own, and says in its first comment what it holds true.
void one_input(std::span<const std::byte> input);

/// Ends the run, so that libFuzzer keeps the input, unless `holds`. `what` is what must hold.
void must(bool holds, std::string_view what);

/// The input as characters.
[[nodiscard]] inline std::string_view as_text(std::span<const std::byte> input) noexcept {
  return {reinterpret_cast<const char*>(input.data()), input.size()};
}

}  // namespace kvferry::fuzz
