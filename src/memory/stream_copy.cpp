// SPDX-License-Identifier: Apache-2.0
#include "memory/stream_copy.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace kvferry::memory {
namespace {

/// Long contiguous pieces are written as that many interleaved pages: pages that are filled in
/// turns keep more of the memory busy than one after the other, by a tenth where this was measured.
constexpr std::uint64_t kInterleaved = 4;
constexpr std::uint64_t kPageBytes = 4096;

std::uint64_t into_line(const std::byte* address) noexcept {
  return reinterpret_cast<std::uintptr_t>(address) % kLineBytes;
}

/// The loops of every kernel. Always inline: then `Line::copy`, which only the kernel's processor
/// knows, can be part of the kernel.
template <class Line>
[[gnu::always_inline]] inline void copy_each_line(const Lines& lines) noexcept {
  const std::byte* outer_from = lines.from;
  std::byte* outer_to = lines.to;
  for (std::uint64_t i = 0; i < lines.outer.count; ++i) {
    const std::byte* from = outer_from;
    std::byte* to = outer_to;
    for (std::uint64_t k = 0; k < lines.inner.count; ++k) {
      Line::copy(to, from);
      from += lines.inner.source_stride;
      to += lines.inner.destination_stride;
    }
    outer_from += lines.outer.source_stride;
    outer_to += lines.outer.destination_stride;
  }
}

#if defined(__x86_64__)
struct Avx512Line {
  [[gnu::target("avx512f")]] static void copy(std::byte* to, const std::byte* from) noexcept {
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to), _mm512_loadu_si512(from));
  }
};

struct Avx2Line {
  [[gnu::target("avx2")]] static void copy(std::byte* to, const std::byte* from) noexcept {
    const auto* source = reinterpret_cast<const __m256i*>(from);
    auto* destination = reinterpret_cast<__m256i*>(to);
    const __m256i first = _mm256_loadu_si256(source);
    const __m256i second = _mm256_loadu_si256(source + 1);
    _mm256_stream_si256(destination, first);
    _mm256_stream_si256(destination + 1, second);
  }
};

[[gnu::target("avx512f")]] void copy_lines_avx512(const Lines& lines) noexcept {
  copy_each_line<Avx512Line>(lines);
}

[[gnu::target("avx2")]] void copy_lines_avx2(const Lines& lines) noexcept {
  copy_each_line<Avx2Line>(lines);
}
#endif

/// A contiguous piece of any size: what does not fill lines at its ends is copied as usual.
void stream_piece(const StreamKernel& kernel, std::byte* to, const std::byte* from,
                  std::uint64_t bytes) noexcept {
  const std::uint64_t head = std::min((kLineBytes - into_line(to)) % kLineBytes, bytes);
  std::memcpy(to, from, head);
  to += head;
  from += head;
  bytes -= head;
  constexpr std::uint64_t kChunkBytes = kInterleaved * kPageBytes;
  constexpr Lines::Loop kNextLine{kPageBytes / kLineBytes, kLineBytes, kLineBytes};
  for (; bytes >= kChunkBytes; bytes -= kChunkBytes) {
    kernel.copy_lines({to, from, kNextLine, {kInterleaved, kPageBytes, kPageBytes}});
    to += kChunkBytes;
    from += kChunkBytes;
  }
  const std::uint64_t whole_lines = bytes / kLineBytes;
  kernel.copy_lines({to, from, {1, 0, 0}, {whole_lines, kLineBytes, kLineBytes}});
  const std::uint64_t streamed = whole_lines * kLineBytes;
  std::memcpy(to + streamed, from + streamed, bytes - streamed);
}

}  // namespace

std::span<const StreamKernel> stream_kernels() noexcept {
#if defined(__x86_64__)
  static const std::array<StreamKernel, 2> kernels{
      {{"avx512", __builtin_cpu_supports("avx512f") != 0, copy_lines_avx512},
       {"avx2", __builtin_cpu_supports("avx2") != 0, copy_lines_avx2}}};
  return kernels;
#else
  return {};
#endif
}

const StreamKernel* best_stream_kernel() noexcept {
  static const StreamKernel* const best = [] {
    const std::span<const StreamKernel> all = stream_kernels();
    const auto found = std::find_if(all.begin(), all.end(),
                                    [](const StreamKernel& kernel) { return kernel.usable; });
    return found == all.end() ? nullptr : &*found;
  }();
  return best;
}

bool stream_run(const StreamKernel& kernel, std::byte* to, const std::byte* from,
                const Run& run) noexcept {
  const std::uint64_t source_stride = run.source.stride_bytes;
  const std::uint64_t destination_stride = run.destination.stride_bytes;
  if (run.count == 1 || (source_stride == run.bytes && destination_stride == run.bytes)) {
    stream_piece(kernel, to, from, run.total_bytes());
    return true;
  }
  if ((into_line(to) | (run.bytes | destination_stride) % kLineBytes) == 0) {
    kernel.copy_lines({to,
                       from,
                       {run.count, source_stride, destination_stride},
                       {run.bytes / kLineBytes, kLineBytes, kLineBytes}});
    return true;
  }
  if (run.bytes < kPageBytes) {
    return false;
  }
  for (std::uint64_t piece = 0; piece < run.count; ++piece) {
    stream_piece(kernel, to + piece * destination_stride, from + piece * source_stride, run.bytes);
  }
  return true;
}

void finish_streaming() noexcept {
#if defined(__x86_64__)
  _mm_sfence();
#endif
}

}  // namespace kvferry::memory
