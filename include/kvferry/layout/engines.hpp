// SPDX-License-Identifier: Apache-2.0
#pragma once

// The KV caches of known engines, by name, over the memory of tensors that the engine allocated.
//
//   engines::Cache cache{.num_blocks = 1024, .block_size = 16, .head_size = 128};
//   cache.layers = {0, 32, 32};
//   cache.heads = *layout::heads_of({.rank = 1, .ranks = 2}, 8);
//   auto view = engines::vllm_packed(cache, "LBHNC", regions_of_the_layers);
//
// They are facts about versions of those engines, which change them: what differs, and every cache
// that is not here, is described by tensor_view() (kvferry/layout/tensor.hpp) from the strides that
// the engine itself reports. docs/spec/engines.md has the table.

#include <cstdint>
#include <string_view>
#include <vector>

#include "kvferry/base/result.hpp"
#include "kvferry/base/run.hpp"
#include "kvferry/layout/config.hpp"
#include "kvferry/layout/packed.hpp"
#include "kvferry/layout/view.hpp"

namespace kvferry::layout::engines {

/// What a worker holds of a model's cache. Every layer is alike.
struct Cache {
  std::uint64_t num_blocks{0};
  std::uint64_t block_size{0};  ///< tokens of a block
  std::uint64_t head_size{0};   ///< elements of one head of K, and as many of V; of a latent, all
  std::uint64_t element_bytes{2};
  Part layers{};  ///< of the worker
  Part heads{};   ///< of the worker; a latent is one head, {0, 1, 1}, which every rank holds
};

/// How vLLM arranges K and V on an axis of their own.
struct VllmSplit {
  bool outer_first{true};  ///< shape (2, num_blocks, ...); otherwise (num_blocks, 2, ...)
  InnerShape order{InnerShape::kNhd};  ///< the engine's get_kv_cache_layout()
  bool cross_layers{false};            ///< one tensor for all layers, for KV connectors
};

/// vLLM before it packed K and V: logical shape (2, num_blocks, block_size, heads, head_size), or
/// (num_blocks, 2, ...), which HND permutes in memory.
///
/// Shape:  a region for each layer; with cross_layers one for all.
/// Errors: kInvalidArgument for an order that is not known, and those of tensor_view().
/// Source: vLLM, vllm/v1/attention/backends, get_kv_cache_shape(), get_kv_cache_stride_order():
///         flash_attn.py at 5704f34f361c6c59a9c092c4e1e96730cc6dc14d (2 first), flashinfer.py at
///         00a817ada81626793c9e2432903ee4c5b33ab33a (blocks first); pull request 27743 (layers).
[[nodiscard]] Result<LayoutView> vllm_split(const Cache& cache, const VllmSplit& how,
                                            std::vector<Region> regions);

/// vLLM since 0.26: logical shape (num_blocks, heads, block_size, 2 x head_size), K in front of V
/// in each row. `layout` names the order in memory with L layer, B block, H head, N token and C
/// row: LBHNC (the HND of 0.26), LBNHC (its NHD), LHBNC, BLHNC, BLNHC or BHLNC.
///
/// Shape:  a region for each layer where L is first; otherwise one for all.
/// Errors: kInvalidArgument for another layout, and those of tensor_view().
/// Source: vLLM, pull requests 44455 (get_kv_cache_shape() of its attention backends) and 51718
///         (vllm/v1/kv_cache_layout.py, KVCacheLayout). docs/spec/engines.md, section 2.
[[nodiscard]] Result<LayoutView> vllm_packed(const Cache& cache, std::string_view layout,
                                             std::vector<Region> regions);

/// vLLM with MLA: shape (num_blocks, block_size, kv_lora_rank + qk_rope_head_dim), the same on
/// every rank of tensor parallelism.
///
/// Shape:  a region for each layer; head_size is the whole row.
/// Errors: kInvalidArgument for heads that are not the one, and those of tensor_view().
/// Source: vLLM, vllm/v1/attention/backends/mla/common.py, MLACommonBackend.get_kv_cache_shape(),
///         at 37fa5c0940ef6770b265fe3a99581fec91f9cf2d.
[[nodiscard]] Result<LayoutView> vllm_mla(const Cache& cache, std::vector<Region> regions);

/// How vLLM packs blocks on a CPU.
struct VllmCpu {
  std::string_view isa;    ///< amx, amx_fp8, neon, rvv, vec, vec16, vsx or vxe, as the engine says
  std::string_view build;  ///< what else must agree: version, compiled features, element type
};

/// vLLM on CPUs, before 0.26: shape (2, num_blocks, heads, block_size, head_size), in whose blocks
/// K and V are transposed or tiled as the instruction set likes it: an opaque view, of which blocks
/// go only to the same instruction set, build, heads and head size. The build counts because tiles
/// have changed between versions, and those of neon follow from how it was compiled.
///
/// Shape:  a region for each layer.
/// Errors: kInvalidArgument for another isa or no build, and those of tensor_view().
/// Source: vLLM, vllm/v1/attention/backends/cpu_attn.py, get_kv_cache_shape() and _get_attn_isa(),
///         at 00358600ed52e00c3c99b35e54aa916f900c4c15; csrc/cpu/cpu_attn.cpp (the names) at
///         0a2c686d2d91b309d48ba66692b30fabccd948ff, cpu_attn_vec16.hpp (K is head size x tokens in
///         a block and head) at 295f5233ab74cf47be6e6188e916c721c4244aa8, cpu_attn_neon.hpp
///         (ARM_BF16_SUPPORT).
[[nodiscard]] Result<LayoutView> vllm_cpu(const Cache& cache, const VllmCpu& how,
                                          std::vector<Region> regions);

/// SGLang's MHATokenToKVPool: a K and a V buffer for each layer, of shape (size + page_size, heads,
/// head_size). Block p is page p: block 0 is the padding, where dummy tokens go, so num_blocks is
/// size / page_size + 1.
///
/// Shape:  two regions for each layer: K of all layers, then V of all layers, as data_ptrs has.
/// Errors: those of tensor_view().
/// Source: SGLang, python/sglang/srt/mem_cache/memory_pool.py, MHATokenToKVPool._create_buffers(),
///         at 000ccdba94d4ed75d4fab7b1dac5f8ebcaaee7e8.
[[nodiscard]] Result<LayoutView> sglang_mha(const Cache& cache, std::vector<Region> regions);

/// SGLang's MLATokenToKVPool: a buffer for each layer, of shape (size + page_size, 1,
/// kv_lora_rank + qk_rope_head_dim). Blocks are as in sglang_mha().
///
/// Shape:  a region for each layer; head_size is the whole row.
/// Errors: kInvalidArgument for heads that are not the one, and those of tensor_view().
/// Source: SGLang, the same file and commit, MLATokenToKVPool.__init__().
[[nodiscard]] Result<LayoutView> sglang_mla(const Cache& cache, std::vector<Region> regions);

}  // namespace kvferry::layout::engines
