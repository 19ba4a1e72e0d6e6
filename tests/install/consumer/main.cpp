// SPDX-License-Identifier: Apache-2.0
// Goal: the installed package alone is enough to compile, link and run.
// Method: a message that is no message, read through the library that leans on the most others;
// and the outermost header, which includes nearly all.
#include <cstddef>
#include <iostream>
#include <vector>

#include "kvferry/manager/transport_manager.hpp"
#include "kvferry/wire/serialized_layout.hpp"

int main() {
  const auto message = kvferry::wire::SerializedLayout::from_bytes({std::byte{0x64}});
  const auto read = message.unpack();
  if (read) {
    std::cerr << "one byte was taken for a message\n";
    return 1;
  }
  std::cout << to_string(read.error().code) << ": " << read.error().message << '\n';
  return read.error().code == kvferry::ErrorCode::kCorrupt ? 0 : 1;
}
