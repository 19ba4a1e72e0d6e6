// SPDX-License-Identifier: Apache-2.0
#include "stream_pieces.hpp"

#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace kvferry::bench {

#if defined(__x86_64__)
namespace {

constexpr std::size_t kLineBytes = 64;

[[gnu::target("avx512f")]] void stream_wide(const Piece& piece) {
  for (std::size_t at = 0; at < piece.bytes; at += kLineBytes) {
    _mm512_stream_si512(reinterpret_cast<__m512i*>(piece.destination + at),
                        _mm512_loadu_si512(piece.source + at));
  }
}

void stream_narrow(const Piece& piece) {
  for (std::size_t at = 0; at < piece.bytes; at += sizeof(__m128i)) {
    _mm_stream_si128(reinterpret_cast<__m128i*>(piece.destination + at),
                     _mm_loadu_si128(reinterpret_cast<const __m128i*>(piece.source + at)));
  }
}

}  // namespace

void stream_pieces(const std::vector<Piece>& pieces) {
  const auto stream = __builtin_cpu_supports("avx512f") ? stream_wide : stream_narrow;
  for (const Piece& piece : pieces) {
    const auto address = reinterpret_cast<std::uintptr_t>(piece.destination);
    if ((address | piece.bytes) % kLineBytes == 0) {
      stream(piece);
    } else {
      copy_pieces({piece});
    }
  }
  _mm_sfence();
}
#else
void stream_pieces(const std::vector<Piece>& pieces) { copy_pieces(pieces); }
#endif

}  // namespace kvferry::bench
