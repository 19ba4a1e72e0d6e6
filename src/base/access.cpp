// SPDX-License-Identifier: Apache-2.0
#include "kvferry/base/access.hpp"

namespace kvferry {

std::string_view to_string(Access access) noexcept {
  switch (access) {
    case Access::kNone: return "none";
    case Access::kRead: return "read";
    case Access::kReadWrite: return "read-write";
  }
  return "invalid";
}

}  // namespace kvferry
