// SPDX-License-Identifier: Apache-2.0
#include "allocations.hpp"

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

// In a file of its own: where the compiler sees both sides, it takes free() here for a mistake.

namespace {

std::atomic<std::uint64_t> counter{0};

void* count_and_allocate(std::size_t bytes) noexcept {
  ++counter;
  return std::malloc(bytes == 0 ? 1 : bytes);
}

}  // namespace

namespace kvferry::plan::test {
std::uint64_t allocations() { return counter.load(); }
}  // namespace kvferry::plan::test

void* operator new(std::size_t bytes) {
  if (void* memory = count_and_allocate(bytes)) {
    return memory;
  }
  throw std::bad_alloc{};
}
void* operator new[](std::size_t bytes) { return ::operator new(bytes); }
void* operator new(std::size_t bytes, const std::nothrow_t& /*tag*/) noexcept {
  return count_and_allocate(bytes);
}
void* operator new[](std::size_t bytes, const std::nothrow_t& /*tag*/) noexcept {
  return count_and_allocate(bytes);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t /*bytes*/) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t /*bytes*/) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t& /*tag*/) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t& /*tag*/) noexcept { std::free(memory); }
