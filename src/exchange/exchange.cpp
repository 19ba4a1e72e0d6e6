// SPDX-License-Identifier: Apache-2.0
#include "kvferry/exchange/exchange.hpp"

namespace kvferry::exchange {
namespace {

// Leaves room for suffixes and for the prefix of temporary files in a file name of 255 bytes.
constexpr std::size_t kNameBytesMax = 128;

}  // namespace

Result<void> validate_name(std::string_view name) {
  if (name.empty() || name.size() > kNameBytesMax) {
    return Error{ErrorCode::kInvalidArgument, "name: " + std::to_string(name.size()) +
                                                  " characters, not 1 to " +
                                                  std::to_string(kNameBytesMax)};
  }
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (c < ' ' || c > '~' || c == '/' || c == '.') {
      return Error{ErrorCode::kInvalidArgument, "name: character " + std::to_string(i) + " (code " +
                                                    std::to_string(static_cast<unsigned char>(c)) +
                                                    ") is '/', '.' or not printable ASCII"};
    }
  }
  return {};
}

}  // namespace kvferry::exchange
