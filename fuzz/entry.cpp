// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "fuzz/fuzz.hpp"

namespace kvferry::fuzz {

void must(bool holds, std::string_view what) {
  if (!holds) {
    std::fprintf(stderr, "SUMMARY: does not hold: %.*s\n", static_cast<int>(what.size()),
                 what.data());
    std::abort();
  }
}

}  // namespace kvferry::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kvferry::fuzz::one_input(std::as_bytes(std::span{data, size}));
  return 0;
}
