// SPDX-License-Identifier: Apache-2.0
#include "kvferry/layout/engines.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <utility>

#include "kvferry/base/checked.hpp"
#include "kvferry/base/try.hpp"
#include "kvferry/layout/tensor.hpp"

namespace kvferry::layout::engines {
namespace {

constexpr Axis kB = Axis::kBlock;
constexpr Axis kL = Axis::kLayer;
constexpr Axis kO = Axis::kOuter;
constexpr Axis kN = Axis::kToken;
constexpr Axis kH = Axis::kHead;

Error invalid(std::string message) {
  return Error{ErrorCode::kInvalidArgument, std::move(message)};
}

std::uint64_t extent_of(Axis axis, const Cache& cache) {
  switch (axis) {
    case Axis::kBlock: return cache.num_blocks;
    case Axis::kLayer: return cache.layers.extent;
    case Axis::kOuter: return 2;
    case Axis::kToken: return cache.block_size;
    case Axis::kHead: return cache.heads.extent;
    case Axis::kElement: break;
  }
  return cache.head_size;
}

std::vector<AxisExtent> extents_of(std::span<const Axis> axes, const Cache& cache) {
  std::vector<AxisExtent> extents;
  for (const Axis axis : axes) {
    extents.push_back(AxisExtent{axis, extent_of(axis, cache)});
  }
  return extents;
}

TensorLayout part_of_model(const Cache& cache) {
  TensorLayout tensors;
  tensors.element_bytes = cache.element_bytes;
  tensors.layers = cache.layers;
  tensors.heads = cache.heads;
  return tensors;
}

/// Tensors without padding: one for each place of `lists`, and inside `memory`, outermost first,
/// then the elements of a head.
Result<LayoutView> view_in_order(const Cache& cache, std::span<const Axis> lists,
                                 std::span<const Axis> memory, std::vector<Region> regions) {
  TensorLayout tensors = part_of_model(cache);
  tensors.lists = extents_of(lists, cache);
  std::vector<AxisExtent> extents = extents_of(memory, cache);
  extents.push_back(AxisExtent{Axis::kElement, cache.head_size});
  KVFERRY_ASSIGN_OR_RETURN(tensors.dims, contiguous_dims(extents));
  return tensor_view(tensors, std::move(regions));
}

/// All axes in the order that they have in memory; layers that come first are tensors of their own.
Result<LayoutView> view_of_row(const Cache& cache, std::span<const Axis> memory,
                               std::vector<Region> regions) {
  const std::size_t lists = memory.front() == kL ? 1 : 0;
  return view_in_order(cache, memory.first(lists), memory.subspan(lists), std::move(regions));
}

/// The latent of MLA: one head, and neither K nor V.
Result<LayoutView> latent_view(const Cache& cache, std::vector<Region> regions) {
  if (cache.heads != Part{0, 1, 1}) {
    return invalid("heads: a latent is 1 head, which every rank holds, not " +
                   std::to_string(cache.heads.extent) + " from " +
                   std::to_string(cache.heads.origin) + " of " + std::to_string(cache.heads.whole));
  }
  return view_of_row(cache, std::array{kL, kB, kN}, std::move(regions));
}

struct SplitRow {
  VllmSplit how;
  std::array<Axis, 5> memory;
};

// A stride order lists the dims of the shape in the order that they have in memory. With
// cross_layers the shape has the layers in front.
constexpr std::array kSplitRows{
    SplitRow{{true, InnerShape::kNhd, false}, {kL, kO, kB, kN, kH}},   // (0, 1, 2, 3, 4)
    SplitRow{{true, InnerShape::kHnd, false}, {kL, kO, kB, kH, kN}},   // (0, 1, 3, 2, 4)
    SplitRow{{true, InnerShape::kNhd, true}, {kB, kL, kO, kN, kH}},    // (2, 0, 1, 3, 4, 5)
    SplitRow{{true, InnerShape::kHnd, true}, {kB, kH, kL, kO, kN}},    // (2, 4, 0, 1, 3, 5)
    SplitRow{{false, InnerShape::kNhd, false}, {kL, kB, kO, kN, kH}},  // (0, 1, 2, 3, 4)
    SplitRow{{false, InnerShape::kHnd, false}, {kL, kB, kO, kH, kN}},  // (0, 1, 3, 2, 4)
    SplitRow{{false, InnerShape::kNhd, true}, {kB, kL, kO, kN, kH}},   // (1, 0, 2, 3, 4, 5)
    SplitRow{{false, InnerShape::kHnd, true}, {kB, kO, kH, kL, kN}},   // (1, 2, 4, 0, 3, 5)
};

struct PackedRow {
  std::string_view layout;
  std::array<Axis, 5> memory;
};

constexpr std::array kPackedRows{
    PackedRow{"LBHNC", {kL, kB, kH, kN, kO}}, PackedRow{"LBNHC", {kL, kB, kN, kH, kO}},
    PackedRow{"LHBNC", {kL, kH, kB, kN, kO}}, PackedRow{"BLHNC", {kB, kL, kH, kN, kO}},
    PackedRow{"BLNHC", {kB, kL, kN, kH, kO}}, PackedRow{"BHLNC", {kB, kH, kL, kN, kO}},
};

constexpr std::array<std::string_view, 8> kIsas{"amx", "amx_fp8", "neon", "rvv",
                                                "vec", "vec16",   "vsx",  "vxe"};

/// Says all that must agree: the bytes of a block depend on each of these.
std::string cpu_packing(const Cache& cache, const VllmCpu& how) {
  return "vllm-cpu:" + std::string{how.isa} + ":" + std::string{how.build} +
         ":heads=" + std::to_string(cache.heads.origin) + "+" + std::to_string(cache.heads.extent) +
         "/" + std::to_string(cache.heads.whole) + ":head_size=" + std::to_string(cache.head_size);
}

}  // namespace

Result<LayoutView> vllm_split(const Cache& cache, const VllmSplit& how,
                              std::vector<Region> regions) {
  for (const auto& [row, memory] : kSplitRows) {
    if (row.outer_first == how.outer_first && row.order == how.order &&
        row.cross_layers == how.cross_layers) {
      return view_of_row(cache, memory, std::move(regions));
    }
  }
  return invalid("order: " + std::string{to_string(how.order)} + " is not NHD or HND");
}

Result<LayoutView> vllm_packed(const Cache& cache, std::string_view layout,
                               std::vector<Region> regions) {
  for (const auto& [name, memory] : kPackedRows) {
    if (name == layout) {
      return view_of_row(cache, memory, std::move(regions));
    }
  }
  return invalid("layout: \"" + std::string{layout} +
                 "\" is not LBHNC, LBNHC, LHBNC, BLHNC, BLNHC or BHLNC");
}

Result<LayoutView> vllm_mla(const Cache& cache, std::vector<Region> regions) {
  return latent_view(cache, std::move(regions));
}

Result<LayoutView> vllm_cpu(const Cache& cache, const VllmCpu& how, std::vector<Region> regions) {
  if (std::find(kIsas.begin(), kIsas.end(), how.isa) == kIsas.end()) {
    return invalid("isa: \"" + std::string{how.isa} +
                   "\" is not amx, amx_fp8, neon, rvv, vec, vec16, vsx or vxe");
  }
  if (how.build.empty()) {
    return invalid("build: empty, so that nothing says whether two packings are the same");
  }
  const Part& heads = cache.heads;
  if (heads.origin > heads.whole || heads.extent > heads.whole - heads.origin) {
    return invalid("heads: " + std::to_string(heads.extent) + " from " +
                   std::to_string(heads.origin) + " leave the model's " +
                   std::to_string(heads.whole));
  }
  // The packing hides them from the axes, which would be named instead.
  for (const auto& [field, value] :
       {std::pair{"block_size", cache.block_size}, std::pair{"heads", heads.extent},
        std::pair{"head_size", cache.head_size}}) {
    if (value == 0) {
      return invalid(std::string{field} + ": 0 is not at least 1");
    }
  }
  const auto piece = checked_product({cache.block_size, heads.extent, cache.head_size});
  if (!piece) {
    return invalid("head_size: " + std::to_string(cache.head_size) + " x " +
                   std::to_string(heads.extent) + " heads x " + std::to_string(cache.block_size) +
                   " tokens do not fit into 64 bits");
  }
  TensorLayout tensors = part_of_model(cache);
  tensors.heads = {};
  tensors.packing = cpu_packing(cache, how);
  tensors.page_size = cache.block_size;
  tensors.lists = extents_of(std::array{kL}, cache);
  KVFERRY_ASSIGN_OR_RETURN(
      tensors.dims, contiguous_dims(std::array{AxisExtent{kO, 2}, AxisExtent{kB, cache.num_blocks},
                                               AxisExtent{Axis::kElement, *piece}}));
  return tensor_view(tensors, std::move(regions));
}

Result<LayoutView> sglang_mha(const Cache& cache, std::vector<Region> regions) {
  return view_in_order(cache, std::array{kO, kL}, std::array{kB, kN, kH}, std::move(regions));
}

Result<LayoutView> sglang_mla(const Cache& cache, std::vector<Region> regions) {
  return latent_view(cache, std::move(regions));
}

}  // namespace kvferry::layout::engines
