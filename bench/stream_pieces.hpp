// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "pieces.hpp"

namespace kvferry::bench {

/// Copies every piece with stores that go past the caches, line by line, in order: what memcpy
/// would be if it knew that nobody reads the bytes soon. Where pieces are not whole lines or the
/// processor has no such stores, with memcpy.
void stream_pieces(const std::vector<Piece>& pieces);

}  // namespace kvferry::bench
