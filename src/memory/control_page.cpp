// SPDX-License-Identifier: Apache-2.0
#include "memory/control_page.hpp"

#include <cstring>

namespace kvferry::memory {

void write_control_page(std::span<std::byte, kControlPageBytes> page, const Nonce& nonce) noexcept {
  std::memcpy(page.data(), kControlMagic.data(), kControlMagic.size());
  std::memcpy(page.data() + kControlNonceOffset, nonce.data(), nonce.size());
}

bool is_control_page_of(std::span<const std::byte, kControlPageBytes> page,
                        const Nonce& nonce) noexcept {
  return std::memcmp(page.data(), kControlMagic.data(), kControlMagic.size()) == 0 &&
         std::memcmp(page.data() + kControlNonceOffset, nonce.data(), nonce.size()) == 0;
}

}  // namespace kvferry::memory
