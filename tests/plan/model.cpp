// SPDX-License-Identifier: Apache-2.0
#include "model.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <map>
#include <tuple>
#include <utility>

namespace kvferry::plan::test {
namespace {

using layout::Axis;
using layout::AxisSpan;
using layout::LayoutView;
using layout::Location;
using layout::Place;

/// Bytes of the destination that must be written, and for which block.
using Owners = std::map<std::pair<std::size_t, std::uint64_t>, std::size_t>;

std::uint64_t extent(const LayoutView& view, Axis axis) { return view.axis(axis).extent; }

/// Whether `view` holds place `index` of the whole model on `axis`; then where, counted locally.
std::optional<std::uint64_t> local(const LayoutView& view, Axis axis, std::uint64_t index) {
  const AxisSpan& span = view.axis(axis);
  if (index < span.origin || index - span.origin >= span.extent) {
    return std::nullopt;
  }
  return index - span.origin;
}

}  // namespace

LayoutView layout_view(const Model& model, const Shape& shape) {
  layout::LayoutConfig config;
  config.num_blocks = shape.blocks;
  config.num_layers = model.layers;
  config.outer_dim = model.outers;
  config.page_size = shape.page;
  config.inner_dim = model.heads * model.head_elements;
  config.dtype_width_bytes = model.element_bytes;
  config.inner_shape = shape.order;
  if (shape.tells_heads) {
    config.num_heads = model.heads;
  }
  std::vector<Region> regions;
  std::uint64_t address = 0x10000;
  const std::vector<std::uint64_t> needed = required_regions(config, shape.arrangement).value();
  for (const std::uint64_t bytes : needed) {
    regions.push_back(Region{address, bytes});
    address += bytes + 4096;
  }
  return view_of(layout::Layout::create(config, shape.arrangement, regions).value()).value();
}

LayoutView adopted_view(const Model& model, const Shape& shape, Random& random) {
  LayoutView::Parts parts;
  const std::array<std::uint64_t, layout::kAxisCount> extents{
      shape.blocks, model.layers, model.outers, shape.page, model.heads, model.head_elements};
  for (std::size_t i = 0; i < layout::kAxisCount; ++i) {
    parts.axes[i] = AxisSpan{extents[i], 0, 0, extents[i]};
  }
  std::vector<Axis> order{Axis::kBlock, Axis::kLayer, Axis::kOuter, Axis::kToken, Axis::kHead};
  std::shuffle(order.begin(), order.end(), random.engine());
  // Regions along one axis or two, the second of which may step over those of the first or not.
  std::uint32_t regions = 1;
  for (int cuts = static_cast<int>(random.between(0, 2)); cuts > 0; --cuts) {
    AxisSpan& span = parts.axes[static_cast<std::size_t>(order.back())];
    order.pop_back();
    span.region_step = regions;
    regions *= static_cast<std::uint32_t>(span.extent);
  }
  parts.axes[static_cast<std::size_t>(Axis::kElement)].stride_bytes = model.element_bytes;
  // Padding comes after the last of an axis too, so two neighbours touch by design or not at all.
  std::uint64_t stride = model.head_elements * model.element_bytes;
  for (const Axis axis : order) {
    AxisSpan& span = parts.axes[static_cast<std::size_t>(axis)];
    stride += random.one_in(4) ? random.between(1, 9) : 0;
    span.stride_bytes = stride;
    stride *= span.extent;
  }
  parts.offset_bytes = random.between(0, 20);
  for (std::uint64_t i = 0; i < regions; ++i) {
    parts.regions.push_back(
        Region{0x100000 * (i + 1), parts.offset_bytes + stride + random.between(0, 9)});
  }
  parts.element_bytes = model.element_bytes;
  parts.page_size = shape.page;
  parts.inner_dim = model.heads * model.head_elements;
  return LayoutView::create(parts).value();
}

LayoutView random_part(const LayoutView& view, std::initializer_list<Axis> axes, Random& random) {
  LayoutView part{view};
  for (const Axis axis : axes) {
    if (random.one_in(4)) {
      const std::uint64_t first = random.between(0, extent(part, axis) - 1);
      const std::uint64_t count = random.between(1, extent(part, axis) - first);
      part = part.slice(axis, first, count).value();
    }
  }
  return part;
}

Memory::Memory(const LayoutView& view, std::uint64_t seed) {
  Random random{seed};
  for (const Region& region : view.regions()) {
    std::vector<std::byte> bytes(region.size_bytes + (2 * kGuard));
    for (std::byte& byte : bytes) {
      byte = static_cast<std::byte>(random.between(0, 255));
    }
    regions_.push_back(std::move(bytes));
  }
}

bool Memory::holds(std::size_t index, std::uint64_t offset, std::uint64_t bytes) const {
  return index < regions_.size() && offset + bytes <= regions_[index].size() - (2 * kGuard);
}

std::vector<std::byte*> Memory::pointers() {
  std::vector<std::byte*> pointers;
  for (std::size_t i = 0; i < regions_.size(); ++i) {
    pointers.push_back(region(i));
  }
  return pointers;
}

std::vector<const std::byte*> Memory::const_pointers() const {
  std::vector<const std::byte*> pointers;
  for (std::size_t i = 0; i < regions_.size(); ++i) {
    pointers.push_back(region(i));
  }
  return pointers;
}

Pairs pairs(std::initializer_list<std::uint64_t> source,
            std::initializer_list<std::uint64_t> destination) {
  return {block_ids(source), block_ids(destination)};
}

namespace {

/// Where a piece, or an element of it, is in the whole model and in the lists of blocks.
struct Coordinates {
  std::uint64_t token{0};  ///< of all that the lists of blocks name
  std::uint64_t layer{0};
  std::uint64_t outer{0};
  std::uint64_t head{0};
};

std::optional<Place> place_in(const LayoutView& view, const Coordinates& at,
                              const std::vector<BlockId>& blocks) {
  const std::optional<std::uint64_t> layer = local(view, Axis::kLayer, at.layer);
  const std::optional<std::uint64_t> outer = local(view, Axis::kOuter, at.outer);
  const std::optional<std::uint64_t> head = local(view, Axis::kHead, at.head);
  if (!layer || !outer || !head) {
    return std::nullopt;
  }
  Place place;
  place[Axis::kBlock] = blocks[at.token / extent(view, Axis::kToken)].value();
  place[Axis::kToken] = at.token % extent(view, Axis::kToken);
  place[Axis::kLayer] = *layer;
  place[Axis::kOuter] = *outer;
  place[Axis::kHead] = *head;
  return place;
}

}  // namespace

Expected expect_moves(const LayoutView& whole_source, const LayoutView& whole_destination,
                      const Pairs& blocks, const LayerRange& layers) {
  const bool opaque = whole_source.is_opaque() || whole_destination.is_opaque();
  const LayoutView source = opaque ? whole_source.collapsed().value() : whole_source;
  const LayoutView destination = opaque ? whole_destination.collapsed().value() : whole_destination;
  Expected expected;
  const std::uint64_t tokens = blocks.destination.size() * extent(destination, Axis::kToken);
  const std::uint64_t last = std::min(layers.end, destination.axis(Axis::kLayer).whole);
  std::map<std::tuple<std::size_t, std::size_t, std::uint64_t, std::uint64_t>, std::size_t> groups;
  Coordinates at;
  for (at.token = 0; at.token < tokens; ++at.token) {
    const std::size_t position = at.token / extent(destination, Axis::kToken);
    const std::size_t from_position = at.token / extent(source, Axis::kToken);
    for (at.layer = layers.first; at.layer < last; ++at.layer) {
      for (at.outer = 0; at.outer < destination.axis(Axis::kOuter).whole; ++at.outer) {
        for (at.head = 0; at.head < destination.axis(Axis::kHead).whole; ++at.head) {
          const std::optional<Place> to = place_in(destination, at, blocks.destination);
          if (!to) {
            continue;
          }
          ++expected.wanted;
          const std::optional<Place> from = place_in(source, at, blocks.source);
          if (!from) {
            continue;
          }
          const auto key = std::tuple{from_position, position, at.layer, at.outer};
          const std::size_t group = groups.emplace(key, groups.size()).first->second;
          expected.moves.push_back(Move{source.locate(*from), destination.locate(*to),
                                        extent(source, Axis::kElement) * source.element_bytes(),
                                        position, group});
        }
      }
    }
  }
  return expected;
}

std::uint64_t contiguous_pieces(std::vector<Move> moves, bool inside_groups) {
  std::sort(moves.begin(), moves.end(), [](const Move& a, const Move& b) {
    return std::pair{a.to.region, a.to.offset_bytes} < std::pair{b.to.region, b.to.offset_bytes};
  });
  std::uint64_t pieces = 0;
  for (std::size_t i = 0; i < moves.size(); ++i) {
    const bool goes_on =
        i > 0 && moves[i].to.region == moves[i - 1].to.region &&
        moves[i].from.region == moves[i - 1].from.region &&
        moves[i].to.offset_bytes == moves[i - 1].to.offset_bytes + moves[i - 1].bytes &&
        moves[i].from.offset_bytes == moves[i - 1].from.offset_bytes + moves[i - 1].bytes &&
        (!inside_groups || moves[i].group == moves[i - 1].group);
    pieces += goes_on ? 0 : 1;
  }
  return pieces;
}

namespace {

/// What is left to write, byte by byte.
class Ledger {
 public:
  explicit Ledger(const Task& task) : left_(task.plan.destination_blocks().size(), 0) {
    std::map<BlockId, std::size_t> order;
    for (std::size_t i = 0; i < left_.size(); ++i) {
      order[task.plan.destination_blocks()[i]] = i;
    }
    for (const Move& move : task.expected.moves) {
      const std::size_t position = order.at(task.blocks.destination[move.position]);
      for (std::uint64_t i = 0; i < move.bytes; ++i) {
        owners_[{move.to.region, move.to.offset_bytes + i}] = position;
      }
      left_[position] += move.bytes;
    }
  }

  /// Notes that bytes were written; false when one was not expected or was written before.
  bool write(std::size_t region, std::uint64_t offset, std::uint64_t bytes) {
    for (std::uint64_t i = 0; i < bytes; ++i) {
      const auto owner = owners_.find({region, offset + i});
      if (owner == owners_.end()) {
        return false;
      }
      --left_[owner->second];
      owners_.erase(owner);
    }
    return true;
  }

  /// Whether the first `blocks` blocks are whole.
  [[nodiscard]] bool whole(std::size_t blocks) const {
    return blocks <= left_.size() &&
           std::all_of(left_.begin(), left_.begin() + static_cast<std::ptrdiff_t>(blocks),
                       [](std::uint64_t bytes) { return bytes == 0; });
  }
  [[nodiscard]] bool empty() const { return owners_.empty(); }

 private:
  Owners owners_;
  std::vector<std::uint64_t> left_;
};

/// Copies the pieces of one run; false when one is wrong.
bool copy_run(const Run& run, const Memory& source, Memory& destination, Ledger& ledger) {
  for (std::uint64_t i = 0; i < run.count; ++i) {
    const std::uint64_t to = run.destination.offset_bytes + (i * run.destination.stride_bytes);
    const std::uint64_t from = run.source.offset_bytes + (i * run.source.stride_bytes);
    if (!source.holds(run.source.region, from, run.bytes)) {
      ADD_FAILURE() << "region " << run.source.region << ", " << run.bytes << " bytes at " << from
                    << ": not in the source";
      return false;
    }
    if (!ledger.write(run.destination.region, to, run.bytes)) {
      ADD_FAILURE() << "region " << run.destination.region << ", " << run.bytes << " bytes at "
                    << to << ": written twice, or not to be written";
      return false;
    }
    std::memcpy(destination.region(run.destination.region) + to,
                source.region(run.source.region) + from, run.bytes);
  }
  return true;
}

}  // namespace

Applied apply(const Task& task, const Memory& source, Memory& destination,
              const std::vector<std::uint64_t>& max_bytes) {
  Ledger ledger{task};
  Applied applied;
  RunCursor cursor = task.plan.cursor();
  EXPECT_EQ(cursor.completed_blocks(), 0U);
  std::size_t step = 0;
  for (Run run; cursor.next(run, max_bytes[step % max_bytes.size()]); ++step) {
    EXPECT_GT(run.total_bytes(), 0U);
    EXPECT_LE(run.total_bytes(), max_bytes[step % max_bytes.size()]);
    if (run.count == 1) {
      EXPECT_EQ(run.source.stride_bytes, 0U);
      EXPECT_EQ(run.destination.stride_bytes, 0U);
    }
    if (run.total_bytes() == 0 || !copy_run(run, source, destination, ledger)) {
      ADD_FAILURE() << "at step " << step;
      return applied;
    }
    applied.runs += run.count;
    applied.bytes += run.total_bytes();
    applied.smallest = applied.smallest == 0 ? run.bytes : std::min(applied.smallest, run.bytes);
    applied.largest = std::max(applied.largest, run.bytes);
    if (!ledger.whole(cursor.completed_blocks())) {
      ADD_FAILURE() << "step " << step << ": " << cursor.completed_blocks()
                    << " blocks are called complete and are not";
      return applied;
    }
  }
  EXPECT_TRUE(ledger.empty()) << "not everything was written";
  EXPECT_EQ(cursor.completed_blocks(), task.plan.destination_blocks().size());
  Run after;
  EXPECT_FALSE(cursor.next(after)) << "a cursor at its end stays there";
  return applied;
}

}  // namespace kvferry::plan::test
