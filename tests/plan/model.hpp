// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the tests of plans share: views of small models, memory with guards for them, and a model
// of what must move, written apart from the planner: a list of elements, one by one.

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <random>
#include <vector>

#include "kvferry/layout/view.hpp"
#include "kvferry/plan/plan.hpp"

namespace kvferry::plan::test {

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_{seed} {}

  /// A number in [first, last].
  std::uint64_t between(std::uint64_t first, std::uint64_t last) {
    return first + (engine_() % (last - first + 1));
  }
  /// Whether something happens that does so one time in `n`.
  bool one_in(std::uint64_t n) { return between(1, n) == 1; }
  std::mt19937_64& engine() { return engine_; }

 private:
  std::mt19937_64 engine_;
};

/// The whole model that views are parts of.
struct Model {
  std::uint64_t layers{3};
  std::uint64_t outers{2};
  std::uint64_t heads{3};
  std::uint64_t head_elements{2};
  std::uint64_t element_bytes{2};
};

/// What a side holds of a model: blocks, page, order, arrangement.
struct Shape {
  std::uint64_t blocks{4};
  std::uint64_t page{4};
  layout::InnerShape order{layout::InnerShape::kNhd};
  layout::Arrangement arrangement{layout::Arrangement::kFullyContiguous};
  bool tells_heads{true};
};

/// The view of a layout whose regions do not touch each other.
layout::LayoutView layout_view(const Model& model, const Shape& shape);

/// A view as an engine might bring it: axes in any order, padding, any region axis but elements.
layout::LayoutView adopted_view(const Model& model, const Shape& shape, Random& random);

/// `view`, or sometimes only a part of it on some of `axes`.
layout::LayoutView random_part(const layout::LayoutView& view,
                               std::initializer_list<layout::Axis> axes, Random& random);

/// Bytes for each region of a view, with guard bytes around them.
class Memory {
 public:
  Memory(const layout::LayoutView& view, std::uint64_t seed);

  [[nodiscard]] std::byte* region(std::size_t index) { return regions_[index].data() + kGuard; }
  [[nodiscard]] const std::byte* region(std::size_t index) const {
    return regions_[index].data() + kGuard;
  }
  /// Whether `bytes` at `offset` lie in region `index`.
  [[nodiscard]] bool holds(std::size_t index, std::uint64_t offset, std::uint64_t bytes) const;
  [[nodiscard]] std::vector<std::byte*> pointers();
  [[nodiscard]] std::vector<const std::byte*> const_pointers() const;

  friend bool operator==(const Memory&, const Memory&) = default;

 private:
  static constexpr std::size_t kGuard = 64;
  std::vector<std::vector<std::byte>> regions_;
};

/// Block ids of both sides, kept alive.
struct Pairs {
  std::vector<BlockId> source;
  std::vector<BlockId> destination;

  [[nodiscard]] BlockPairs view() const { return {source, destination}; }
};

Pairs pairs(std::initializer_list<std::uint64_t> source,
            std::initializer_list<std::uint64_t> destination);

/// One element that must move.
struct Move {
  layout::Location from;
  layout::Location to;
  std::uint64_t bytes{0};
  std::size_t position{0};  ///< of the destination block in the caller's list
  std::size_t group{0};     ///< number of its (source block, destination block, layer, outer)
};

struct Expected {
  std::vector<Move> moves;
  std::uint64_t wanted{0};  ///< elements that the destination's blocks want of the selection
};

/// Every element that must move, found by walking over the coordinates of the whole model.
Expected expect_moves(const layout::LayoutView& source, const layout::LayoutView& destination,
                      const Pairs& blocks, const LayerRange& layers = {});

/// How many pieces are contiguous on both sides, inside the groups or over all of them.
std::uint64_t contiguous_pieces(std::vector<Move> moves, bool inside_groups);

/// What applying the runs of a cursor amounted to.
struct Applied {
  std::uint64_t runs{0};  ///< pieces
  std::uint64_t bytes{0};
  std::uint64_t smallest{0};
  std::uint64_t largest{0};
};

/// A plan, what it should do, and the lists of blocks that it was made for.
struct Task {
  const CopyPlan& plan;
  const Expected& expected;
  const Pairs& blocks;
};

/// Carries out every run of a plan, of at most `max_bytes` each (in turn, over and over), and
/// checks on the way that each stays in its regions, writes only what is expected and nothing
/// twice, and that the blocks that the cursor calls complete are. Failures are reported to
/// GoogleTest.
Applied apply(const Task& task, const Memory& source, Memory& destination,
              const std::vector<std::uint64_t>& max_bytes);

}  // namespace kvferry::plan::test
