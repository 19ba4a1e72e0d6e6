// SPDX-License-Identifier: Apache-2.0
#include "transfer/digest.hpp"

#include <xxhash.h>
#if defined(__x86_64__)
#include <xxh_x86dispatch.h>  // Takes the widest vectors of the processor: four times as fast.
#endif

#include <cstdint>
#include <cstring>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "kvferry/base/try.hpp"

namespace kvferry::transfer {
namespace {

using layout::Axis;
using layout::AxisSpan;
using layout::LayoutView;

/// Whether neighbours on `axis` touch when one of them has `bytes`.
bool touches(const AxisSpan& axis, std::uint64_t count, std::uint64_t bytes) noexcept {
  return count == 1 || (axis.region_step == 0 && axis.stride_bytes == bytes);
}

/// What of a box is contiguous: how many of each axis are left to be walked over.
struct Walk {
  std::uint64_t piece_bytes{0};
  std::uint64_t outers{1};
  std::uint64_t tokens{1};
  std::uint64_t heads{1};
};

Walk walk_over(const LayoutView& view, const DigestBox& box) noexcept {
  Walk walk{view.axis(Axis::kElement).extent * view.element_bytes(), view.axis(Axis::kOuter).extent,
            view.is_opaque() ? 1 : box.tokens, view.axis(Axis::kHead).extent};
  if (!touches(view.axis(Axis::kHead), walk.heads, walk.piece_bytes)) {
    return walk;
  }
  walk.piece_bytes *= std::exchange(walk.heads, 1);
  if (!touches(view.axis(Axis::kToken), walk.tokens, walk.piece_bytes)) {
    return walk;
  }
  walk.piece_bytes *= std::exchange(walk.tokens, 1);
  if (touches(view.axis(Axis::kOuter), walk.outers, walk.piece_bytes)) {
    walk.piece_bytes *= std::exchange(walk.outers, 1);
  }
  return walk;
}

Result<void> check_range(std::string_view what, std::uint64_t first, std::uint64_t count,
                         std::uint64_t begin, std::uint64_t extent) {
  if (first < begin || count == 0 || count > extent || first - begin > extent - count) {
    return Error{ErrorCode::kInvalidArgument,
                 std::string{what} + " " + std::to_string(first) + " and " + std::to_string(count) +
                     " in all, of " + std::to_string(extent) + " from " + std::to_string(begin)};
  }
  return {};
}

}  // namespace

Result<void> check_box(const LayoutView& view, const DigestBox& box) {
  const AxisSpan& layers = view.axis(Axis::kLayer);
  KVFERRY_RETURN_IF_ERROR(
      check_range("block", box.block.value(), 1, 0, view.axis(Axis::kBlock).extent));
  KVFERRY_RETURN_IF_ERROR(check_range("layer", box.layer, 1, layers.origin, layers.extent));
  KVFERRY_RETURN_IF_ERROR(check_range("token", box.first_token, box.tokens, 0, view.page_size()));
  if (view.is_opaque() && box.tokens != view.page_size()) {
    return Error{ErrorCode::kInvalidArgument,
                 "tokens: " + std::to_string(box.tokens) + " of a page of " +
                     std::to_string(view.page_size()) + " that is one piece"};
  }
  return {};
}

void Digester::Free::operator()(XXH3_state_s* state) const noexcept { XXH3_freeState(state); }

Digester::Digester() : state_{XXH3_createState()} {
  if (state_ == nullptr) {
    throw std::bad_alloc{};
  }
}

/// Short pieces are gathered: the hash costs as much for each call as for some hundred bytes.
void Digester::take(const std::byte* bytes, std::size_t count) noexcept {
  if (count >= kShort) {
    flush();
    XXH3_128bits_update(state_.get(), bytes, count);
    return;
  }
  if (gathered_bytes_ + count > gathered_.size()) {
    flush();
  }
  std::memcpy(gathered_.data() + gathered_bytes_, bytes, count);
  gathered_bytes_ += count;
}

void Digester::flush() noexcept {
  XXH3_128bits_update(state_.get(), gathered_.data(), std::exchange(gathered_bytes_, 0));
}

Digest Digester::of(const LayoutView& view, std::span<std::byte* const> bases,
                    const DigestBox& box) noexcept {
  const Walk walk = walk_over(view, box);
  XXH3_128bits_reset(state_.get());
  layout::Place place;
  place[Axis::kBlock] = box.block.value();
  place[Axis::kLayer] = box.layer - view.axis(Axis::kLayer).origin;
  for (std::uint64_t outer = 0; outer < walk.outers; ++outer) {
    place[Axis::kOuter] = outer;
    for (std::uint64_t token = 0; token < walk.tokens; ++token) {
      place[Axis::kToken] = view.is_opaque() ? 0 : box.first_token + token;
      for (std::uint64_t head = 0; head < walk.heads; ++head) {
        place[Axis::kHead] = head;
        const layout::Location at = view.locate(place);
        take(bases[at.region] + at.offset_bytes, walk.piece_bytes);
      }
    }
  }
  flush();
  const XXH128_hash_t hash = XXH3_128bits_digest(state_.get());
  return {hash.low64, hash.high64};
}

}  // namespace kvferry::transfer
