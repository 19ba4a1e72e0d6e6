// SPDX-License-Identifier: Apache-2.0
#include "kvferry/plan/reference.hpp"

#include <algorithm>
#include <cstring>

namespace kvferry::plan {
namespace {

using layout::Axis;
using layout::AxisSpan;
using layout::LayoutView;
using layout::Location;
using layout::Place;

/// Calls `visit` with every place of one token: all layers of the range, outers, heads, elements.
template <class Visit>
void for_each_element(const LayoutView& view, const LayerRange& layers, Visit visit) {
  Place place;
  const AxisSpan& held = view.axis(Axis::kLayer);
  const std::uint64_t first = std::max(layers.first, held.origin) - held.origin;
  const std::uint64_t end = std::clamp(layers.end, held.origin, held.origin + held.extent);
  const std::uint64_t last = end - held.origin;
  for (place[Axis::kLayer] = first; place[Axis::kLayer] < last; ++place[Axis::kLayer]) {
    for (place[Axis::kOuter] = 0; place[Axis::kOuter] < view.axis(Axis::kOuter).extent;
         ++place[Axis::kOuter]) {
      for (place[Axis::kHead] = 0; place[Axis::kHead] < view.axis(Axis::kHead).extent;
           ++place[Axis::kHead]) {
        for (place[Axis::kElement] = 0; place[Axis::kElement] < view.axis(Axis::kElement).extent;
             ++place[Axis::kElement]) {
          visit(place);
        }
      }
    }
  }
}

}  // namespace

void reference_copy(const ReferenceSide<const std::byte>& source,
                    const ReferenceSide<std::byte>& destination, const BlockPairs& blocks,
                    const LayerRange& layers) {
  const std::uint64_t source_page = source.view.axis(Axis::kToken).extent;
  const std::uint64_t destination_page = destination.view.axis(Axis::kToken).extent;
  for (std::uint64_t token = 0; token < blocks.destination.size() * destination_page; ++token) {
    for_each_element(destination.view, layers, [&](const Place& place) {
      Place from{place};
      from[Axis::kBlock] = blocks.source[token / source_page].value();
      from[Axis::kToken] = token % source_page;
      Place to{place};
      to[Axis::kBlock] = blocks.destination[token / destination_page].value();
      to[Axis::kToken] = token % destination_page;
      const Location read = source.view.locate(from);
      const Location write = destination.view.locate(to);
      std::memcpy(destination.regions[write.region] + write.offset_bytes,
                  source.regions[read.region] + read.offset_bytes,
                  destination.view.element_bytes());
    });
  }
}

}  // namespace kvferry::plan
