// SPDX-License-Identifier: Apache-2.0
// Two workers in one process: one owns blocks, the other pulls three of them. The part between the
// marks is the example of the README.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>

#include "kvferry/agent/shm_agent.hpp"
#include "kvferry/manager/transport_manager.hpp"

namespace {

// An example reads better without qualifiers.
using namespace kvferry;  // NOLINT(*-build-using-namespace)
using namespace std::chrono_literals;
using layout::BlockDimension;
using layout::InnerShape;
using layout::LayoutConfig;
using transfer::PhysicalLayout;
using transfer::TransferReport;
using wire::SerializedLayout;

std::unique_ptr<manager::TransportManager> worker(std::uint64_t id, const std::string& name) {
  const std::string sockets = "/tmp/kvferry-example-" + std::to_string(::getuid());
  auto agent = agent::ShmAgent::create({.name = name, .socket_directory = sockets});
  return *manager::TransportManager::create({.worker_id = WorkerId{id}, .agent = *agent});
}

void pull_three_blocks() {
  const auto prefill = worker(7, "prefill");  // usually another process
  const auto decode = worker(8, "decode");
  // [readme]
  // 16 blocks of a Llama-3.1-8B cache: 32 layers, K and V, 16 tokens, 8 heads of 128 elements.
  LayoutConfig config{.num_blocks = 16,
                      .num_layers = 32,
                      .outer_dim = 2,
                      .page_size = 16,
                      .inner_dim = 1024,
                      .inner_shape = InnerShape::kNhd,
                      .num_heads = 8};

  // The owner: one region for everything; peers may read it.
  auto source = PhysicalLayout::fully_contiguous(config).allocate_system().build();
  (void)prefill->register_layout(*source, {.access = Access::kRead});
  SerializedLayout message = *prefill->export_metadata();  // bytes to send, in any way

  // The other worker: one region for each layer.
  auto destination = PhysicalLayout::layer_separate(config, BlockDimension::kBlockIsFirstDim)
                         .allocate_system()
                         .build();
  LayoutHandle local = *decode->register_layout(*destination, {.access = Access::kNone});
  LayoutHandle remote = decode->import_metadata(message)->front();

  // Blocks 4, 9 and 2 of the owner become 0, 1 and 2; layers 0 to 15 only; give up after 2 s.
  auto transfer =
      decode->execute_transfer(remote, block_ids({4, 9, 2}), local, block_ids({0, 1, 2}),
                               {.layers = {0, 16}, .deadline = 2s});
  TransferReport report = transfer->wait();  // error, bad_blocks, bytes, route, times, quiet
  // [readme]
  std::printf("%s: %lu bytes in %lu runs, ok: %d\n", report.route.c_str(), report.bytes_moved,
              report.plan.runs, report.ok());
}

}  // namespace

int main() { pull_three_blocks(); }
