// SPDX-License-Identifier: Apache-2.0
// Describes the KV cache of an in-house engine by the strides of its tensors, and asks where its
// blocks can go: to caches of engines that have a constructor, and of engines that have none.
#include <array>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "kvferry/layout/compatibility.hpp"
#include "kvferry/layout/engines.hpp"
#include "kvferry/layout/tensor.hpp"
#include "kvferry/plan/plan.hpp"

namespace {

// An example reads better without qualifiers.
using namespace kvferry;          // NOLINT(*-build-using-namespace)
using namespace kvferry::layout;  // NOLINT(*-build-using-namespace)

// Llama-3.1-8B: 32 layers, 8 heads of 128 elements of 2 bytes; 64 blocks of 16 tokens.
constexpr std::uint64_t kBlocks = 64;
constexpr std::uint64_t kLayers = 32;
constexpr std::uint64_t kRow = 8 * 128;      // elements of a token, layer and outer
constexpr std::uint64_t kPiece = 16 * kRow;  // of a block, layer and outer
constexpr std::uint64_t kAll = kBlocks * kLayers * 2 * kPiece * 2;  // bytes

/// Addresses that stand for `count` tensors: nothing is read here.
std::vector<Region> tensors(std::uint64_t count, std::uint64_t bytes) {
  std::vector<Region> regions;
  for (std::uint64_t i = 0; i < count; ++i) {
    regions.push_back(Region{(i + 1) << 32U, bytes});
  }
  return regions;
}

/// A tensor K and a tensor V of each layer, of shape (blocks, 8, 16, 128), with 64 elements of
/// padding behind each block: the numbers that shape() and stride() of a framework give.
Result<LayoutView> in_house() {
  const std::int64_t block = kPiece + 64;
  return tensor_view({.dims = {{Axis::kBlock, kBlocks, block},
                               {Axis::kHead, 8, 16 * 128},
                               {Axis::kToken, 16, 128},
                               {Axis::kElement, 128, 1}},
                      .lists = {{Axis::kLayer, kLayers}, {Axis::kOuter, 2}}},
                     tensors(kLayers * 2, kBlocks * static_cast<std::uint64_t>(block) * 2));
}

/// TensorRT-LLM: one pool [blocks, layers, K and V, heads, tokens, head size].
Result<LayoutView> tensorrt_llm() {
  const std::array axes{AxisExtent{Axis::kBlock, kBlocks}, AxisExtent{Axis::kLayer, kLayers},
                        AxisExtent{Axis::kOuter, 2},       AxisExtent{Axis::kHead, 8},
                        AxisExtent{Axis::kToken, 16},      AxisExtent{Axis::kElement, 128}};
  return tensor_view({.dims = *contiguous_dims(axes)}, tensors(1, kAll));
}

/// llama.cpp with flash attention off keeps V transposed over the whole context, so that a block of
/// tokens is no piece of it. The one block is then all of the cache, and its packing has a name.
Result<LayoutView> llama_cpp_without_flash_attention() {
  const std::uint64_t cells = kBlocks * 16;
  const std::array axes{AxisExtent{Axis::kElement, cells * kRow}};
  return tensor_view({.dims = *contiguous_dims(axes),
                      .lists = {{Axis::kLayer, kLayers}, {Axis::kOuter, 2}},
                      .packing = "llama.cpp:v-transposed:f16",
                      .page_size = cells},
                     tensors(kLayers * 2, cells * kRow * 2));
}

void tell(const char* name, const LayoutView& from, const Result<LayoutView>& to) {
  const Compatibility compatibility = compatible(from, *to);
  std::printf("%-14s %s\n", name, std::string{to_string(compatibility.verdict)}.c_str());
  const auto shape = plan::PlanTemplate::create(from, *to);
  if (!shape) {
    std::printf("               %s\n", shape.error().message.c_str());
    return;
  }
  const auto plan = plan::CopyPlan::create(
      *shape, {.source = block_ids({4, 9}), .destination = block_ids({0, 1})});
  const plan::PlanSummary summary = plan->summary();
  std::printf("               2 blocks: %lu bytes in %lu pieces of %lu and more\n",
              summary.bytes_moved, summary.runs, summary.smallest_run);
}

}  // namespace

int main() {
  engines::Cache cache{.num_blocks = kBlocks, .block_size = 16, .head_size = 128};
  cache.layers = {0, kLayers, kLayers};
  cache.heads = {0, 8, 8};
  const LayoutView mine = *in_house();
  tell("vLLM LBHNC", mine, engines::vllm_packed(cache, "LBHNC", tensors(kLayers, kAll / kLayers)));
  tell("SGLang", mine, engines::sglang_mha(cache, tensors(kLayers * 2, kAll / kLayers / 2)));
  tell("TensorRT-LLM", mine, tensorrt_llm());
  tell("llama.cpp", mine, llama_cpp_without_flash_attention());
}
