// SPDX-License-Identifier: Apache-2.0
#include "wire_messages.hpp"

#include <string>
#include <utility>

namespace kvferry::bench {
namespace {

using wire::KvBlockLayout;
using wire::LogicalType;

constexpr WorkerId kWorker{7};
constexpr std::uint64_t kAddress = 0x7F12'3400'0000;  ///< where a process has its large mappings
constexpr KvBlockLayout kNhd{KvBlockLayout::Type::kOperationalNhd, {}};

/// A shape of llama-3.1-70b, shared by eight workers.
layout::LayoutConfig model_config() {
  return {.num_blocks = 1000,
          .num_layers = 80,
          .outer_dim = 2,
          .page_size = 16,
          .inner_dim = 128,
          .dtype_width_bytes = 2,
          .num_heads = 1};
}

wire::RdmaLayoutDescriptors empty_message() {
  wire::RdmaLayoutDescriptors message;
  message.worker_address = {kWorker, "worker-7"};
  return message;
}

}  // namespace

wire::RdmaLayoutDescriptors seed_message() {
  wire::LocalLayoutDescriptor local{.handle = {WorkerId{100}, LayoutId{1}},
                                    .logical_type = LogicalType::kG2};
  local.layout.layout_config = {
      .num_blocks = 2, .num_layers = 2, .outer_dim = 2, .page_size = 4, .inner_dim = 8};
  local.layout.nixl_metadata.agent_name = "test";
  local.layout.memory_descriptors = {{0x1000, 4096}};
  local.layout.layout_type_details = wire::FullyContiguousDetails{.kv_block_layout = kNhd};
  wire::RdmaLayoutDescriptors message;
  message.worker_address = {WorkerId{100}, "worker_100"};
  for (unsigned byte = 1; byte <= 5; ++byte) {
    message.nixl_metadata.push_back(static_cast<std::byte>(byte));
  }
  message.layouts.push_back(std::move(local));
  return message;
}

wire::RdmaLayoutDescriptors layered_message(std::uint16_t layouts) {
  wire::RdmaLayoutDescriptors message = empty_message();
  message.nixl_metadata.assign(2048, std::byte{0xAA});
  const layout::LayoutConfig config = model_config();
  const std::uint64_t layer_bytes = config.required_bytes() / config.num_layers;
  for (std::uint16_t i = 0; i < layouts; ++i) {
    wire::LayoutDescriptor layout;
    layout.layout_config = config;
    layout.location = StorageKind::device(i);
    layout.nixl_metadata = {"worker-7", wire::MemType::kVram, i};
    for (std::uint64_t layer = 0; layer < config.num_layers; ++layer) {
      layout.memory_descriptors.push_back({kAddress + layer * layer_bytes, layer_bytes});
    }
    layout.layout_type_details = wire::LayerSeparateDetails{.kv_block_layout = kNhd};
    message.layouts.push_back({{kWorker, LayoutId{i}}, std::move(layout), LogicalType::kG1});
  }
  return message;
}

wire::RdmaLayoutDescriptors contiguous_message(std::uint16_t layouts) {
  wire::RdmaLayoutDescriptors message = empty_message();
  const layout::LayoutConfig config = model_config();
  for (std::uint16_t i = 0; i < layouts; ++i) {
    wire::LayoutDescriptor layout;
    layout.layout_config = config;
    layout.nixl_metadata.agent_name = "worker-7";
    layout.memory_descriptors = {{kAddress + i * config.required_bytes(), config.required_bytes()}};
    layout.layout_type_details = wire::FullyContiguousDetails{.kv_block_layout = kNhd};
    message.layouts.push_back({{kWorker, LayoutId{i}}, std::move(layout), LogicalType::kG2});
  }
  return message;
}

}  // namespace kvferry::bench
