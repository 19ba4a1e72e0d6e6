// SPDX-License-Identifier: Apache-2.0
// Goal: a control page proves which memory a mapping is.
// Method: write one, then change each byte that carries the proof.
#include "memory/control_page.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace kvferry::memory {
namespace {

TEST(ControlPage, ProvesItsNonceAndNoOther) {
  std::vector<std::byte> page(kControlPageBytes);
  const std::span<std::byte, kControlPageBytes> bytes{page.data(), kControlPageBytes};
  Nonce nonce{};
  nonce.fill(std::byte{7});
  EXPECT_FALSE(is_control_page_of(bytes, nonce));
  write_control_page(bytes, nonce);
  EXPECT_TRUE(is_control_page_of(bytes, nonce));
  for (std::size_t at = 0; at < kControlNonceOffset + sizeof(Nonce); ++at) {
    const bool proves = at < kControlMagicBytes || at >= kControlNonceOffset;
    page[at] ^= std::byte{1};
    EXPECT_EQ(is_control_page_of(bytes, nonce), !proves) << "byte " << at;
    page[at] ^= std::byte{1};
  }
}

}  // namespace
}  // namespace kvferry::memory
