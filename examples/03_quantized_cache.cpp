// SPDX-License-Identifier: Apache-2.0
// Moves blocks of a quantized KV cache with their scales: the engine keeps 4 bytes of scale behind
// each row of a head, the other side wants heads outside of tokens, and scales in a tensor of
// their own. One layout each, one transfer, and no block is good without its scales.
#include <cstdint>
#include <cstdio>
#include <memory>
#include <vector>

#include "kvferry/layout/tensor.hpp"
#include "kvferry/manager/transport_manager.hpp"
#include "kvferry/memory/memory.hpp"

namespace {

// An example reads better without qualifiers.
using namespace kvferry;          // NOLINT(*-build-using-namespace)
using namespace kvferry::layout;  // NOLINT(*-build-using-namespace)
using transfer::PhysicalLayout;
using transfer::PhysicalLayoutPtr;

// 4 layers, 2 heads of 64 one-byte elements; 8 blocks of 16 tokens.
constexpr std::uint64_t kBlocks = 8;
constexpr std::uint64_t kLayers = 4;
constexpr std::uint64_t kHeads = 2;
constexpr std::int64_t kRow = 64 + 4;  // bytes of a row: elements, then its scale
constexpr std::int64_t kToken = kHeads * kRow;
constexpr std::int64_t kBlock = 16 * kToken;
constexpr LayoutConfig kData{.num_blocks = kBlocks,
                             .num_layers = kLayers,
                             .outer_dim = 2,
                             .page_size = 16,
                             .inner_dim = kHeads * 64,
                             .dtype_width_bytes = 1,
                             .num_heads = kHeads};

/// The rows' elements, or their scales, of tensors (blocks, 16, heads, row) of each layer, K and V.
Result<PhysicalLayoutPtr> part_of_rows(const memory::MemoryPtr& memory, bool scales) {
  const std::int64_t width = scales ? 4 : 1;  // strides count elements
  std::vector<Region> tensors;
  const auto begin = reinterpret_cast<std::uintptr_t>(memory->bytes().data());
  for (std::uint64_t i = 0; i < kLayers * 2; ++i) {
    tensors.push_back({begin + i * kBlocks * kBlock, kBlocks * kBlock});
  }
  TensorLayout rows{.dims = {{Axis::kBlock, kBlocks, kBlock / width},
                             {Axis::kToken, 16, kToken / width},
                             {Axis::kHead, kHeads, kRow / width}},
                    .element_bytes = static_cast<std::uint64_t>(width),
                    .offset_elements = scales ? 64 / width : 0,
                    .lists = {{Axis::kLayer, kLayers}, {Axis::kOuter, 2}}};
  if (!scales) {
    rows.dims.push_back({Axis::kElement, 64, 1});
  }
  auto view = tensor_view(rows, std::move(tensors));
  return view ? PhysicalLayout::over(*view, {memory}) : std::move(view).error();
}

/// HND, with the scales in memory of their own.
Result<PhysicalLayoutPtr> apart() {
  LayoutConfig numbers = kData;
  numbers.inner_dim = kHeads;
  numbers.dtype_width_bytes = 4;
  auto data = PhysicalLayout::packed({.config = kData, .order = kHnd}).allocate_system().build();
  auto scales =
      PhysicalLayout::packed({.config = numbers, .order = kNhd}).allocate_system().build();
  return data && scales ? PhysicalLayout::with_planes(*data, {{"scales", *scales}})
                        : (data ? scales : data);
}

}  // namespace

int main() {
  const auto memory = memory::allocate_system(kLayers * 2 * kBlocks * kBlock);
  const auto data = part_of_rows(*memory, /*scales=*/false);
  const auto scales = part_of_rows(*memory, /*scales=*/true);
  const auto engine = PhysicalLayout::with_planes(*data, {{"scales", *scales}});
  if (!engine) {
    std::printf("%s\n", engine.error().message.c_str());
    return 1;
  }
  for (std::size_t i = 0; i < (*memory)->bytes().size(); ++i) {
    (*memory)->bytes()[i] = static_cast<std::byte>(i * 7);
  }
  const auto manager = manager::TransportManager::create({.worker_id = WorkerId{1}});
  const auto to = apart();
  const LayoutHandle source = *(*manager)->register_layout(*engine);
  const LayoutHandle destination = *(*manager)->register_layout(*to);
  const auto transfer =
      (*manager)->execute_transfer(source, block_ids({5, 2}), destination, block_ids({0, 1}));
  if (!transfer) {
    std::printf("%s\n", transfer.error().message.c_str());
    return 1;
  }
  const transfer::TransferReport report = transfer->wait();
  std::printf("%lu bytes in %lu pieces: %s\n", report.bytes_moved, report.plan.runs,
              report.ok() ? "good" : report.error->message.c_str());
  // Token 3 of head 1 of K, layer 0: block 5 of the engine is block 0 there.
  const std::byte* const row = (*memory)->bytes().data() + 5 * kBlock + 3 * kToken + kRow;
  const bool same = (*to)->region_bases()[0][(1 * 16 + 3) * 64] == row[0] &&
                    (*to)->region_bases()[1][(3 * kHeads + 1) * 4] == row[64];
  std::printf("element and scale of one row: %s\n", same ? "the same" : "not the same");
  return report.ok() && same ? 0 : 1;
}
