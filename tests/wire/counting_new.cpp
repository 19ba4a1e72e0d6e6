// SPDX-License-Identifier: Apache-2.0
#include "counting_new.hpp"

#include <cstdlib>
#include <new>

namespace kvferry::wire::samples {

Counts& counts() noexcept {
  static thread_local Counts of_this_thread;
  return of_this_thread;
}

}  // namespace kvferry::wire::samples

void* operator new(std::size_t size) {
  auto& counts = kvferry::wire::samples::counts();
  if (counts.on) {
    ++counts.allocations;
    counts.bytes += size;
  }
  if (void* memory = std::malloc(size == 0 ? 1 : size); memory != nullptr) {
    return memory;
  }
  throw std::bad_alloc{};
}

// Said too, because a sanitizer brings one of its own for arrays.
void* operator new[](std::size_t size) { return operator new(size); }

void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t /*size*/) noexcept { std::free(memory); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t /*size*/) noexcept { std::free(memory); }
