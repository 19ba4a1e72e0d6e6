// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kvferry/memory/memory.hpp"

namespace kvferry::memory {

// The numbers of the control page: docs/spec/shm.md, section 3.
inline constexpr std::size_t kControlPageBytes = 4096;
inline constexpr std::size_t kControlMagicBytes = 8;
inline constexpr std::array<char, kControlMagicBytes> kControlMagic{'K', 'V', 'F', 'Y',
                                                                    'C', 'T', 'L', '1'};
inline constexpr std::size_t kControlNonceOffset = 16;
static_assert(kControlNonceOffset + sizeof(Nonce) <= kControlPageBytes);

/// Writes magic and nonce into a zeroed control page.
void write_control_page(std::span<std::byte, kControlPageBytes> page, const Nonce& nonce) noexcept;

/// Whether a control page is one, and of the memory that `nonce` stands for.
[[nodiscard]] bool is_control_page_of(std::span<const std::byte, kControlPageBytes> page,
                                      const Nonce& nonce) noexcept;

}  // namespace kvferry::memory
