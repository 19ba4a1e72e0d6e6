// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace kvferry::plan::test {

/// How often this program has called operator new, in any of its forms.
std::uint64_t allocations();

}  // namespace kvferry::plan::test
