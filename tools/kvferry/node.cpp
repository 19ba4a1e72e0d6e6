// SPDX-License-Identifier: Apache-2.0
#include "node.hpp"

#include <fmt/format.h>
#include <unistd.h>
#include <xxhash.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "kvferry/agent/shm_agent.hpp"
#include "kvferry/base/try.hpp"
#include "kvferry/testing/fault.hpp"
#include "kvferry/testing/pattern.hpp"
#include "logging.hpp"
#include "spec.hpp"

namespace kvferry::tool {
namespace {

Outcome<GeometrySpec> spec_of(const NodeOptions& options) {
  KVFERRY_ASSIGN_OR_RETURN(GeometrySpec spec, named_geometry(options.geometry));
  const std::pair<std::string_view, const std::optional<std::string>*> keys[] = {
      {"layout", &options.layout},    {"order", &options.order}, {"page", &options.page},
      {"dtype", &options.dtype},      {"tp", &options.tp},       {"pp", &options.pp},
      {"blocks", &options.num_blocks}};
  for (const auto& [key, value] : keys) {
    if (value->has_value()) {
      KVFERRY_ASSIGN_OR_RETURN(spec, with_key(spec, key, **value));
    }
  }
  return spec;
}

Outcome<WorkerId> worker_id_of(const NodeOptions& options) {
  if (!options.id.has_value()) {
    return WorkerId{XXH3_64bits(options.name.data(), options.name.size())};
  }
  KVFERRY_ASSIGN_OR_RETURN(const std::uint64_t id, parse_number("id", *options.id));
  return WorkerId{id};
}

Access access_of(std::string_view text) {
  if (text == "none") {
    return Access::kNone;
  }
  return text == "read" ? Access::kRead : Access::kReadWrite;
}

/// Writes every byte of a layout, so that its pages are there when blocks arrive.
Result<void> fill_layout(const transfer::PhysicalLayout& layout, const std::string& with,
                         std::uint64_t seed) {
  if (with == "pattern") {
    return testing::pattern_fill(layout.view(), layout.region_bases(),
                                 testing::pattern_blocks(layout.config().num_blocks), seed);
  }
  for (const memory::MemoryPtr& memory : layout.memories()) {
    std::memset(memory->bytes().data(), 0, memory->bytes().size());
  }
  return {};
}

}  // namespace

std::string socket_directory() {
  const char* const runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime != nullptr && *runtime != '\0') {
    return std::string{runtime} + "/kvferry-shm";
  }
  return "/tmp/kvferry-" + std::to_string(::getuid()) + "-shm";
}

Outcome<Node> Node::create(const NodeOptions& options, std::uint64_t num_blocks) {
  Node node;
  KVFERRY_ASSIGN_OR_RETURN(GeometrySpec spec, spec_of(options));
  if (!options.num_blocks.has_value()) {
    spec.blocks = num_blocks;
  }
  KVFERRY_ASSIGN_OR_RETURN(node.seed_, parse_number("seed", options.seed));
  KVFERRY_ASSIGN_OR_RETURN(const WorkerId id, worker_id_of(options));
  KVFERRY_ASSIGN_OR_RETURN(const layout::PackedLayout packed, spec.packed());
  KVFERRY_ASSIGN_OR_RETURN(node.layout_,
                           transfer::PhysicalLayout::packed(packed).allocate_system().build());
  KVFERRY_RETURN_IF_ERROR(fill_layout(*node.layout_, options.fill, node.seed_));
  KVFERRY_ASSIGN_OR_RETURN(
      std::shared_ptr<agent::Agent> agent,
      agent::ShmAgent::create(
          {.name = options.name, .socket_directory = socket_directory(), .log = log_to_stderr}));
  if (options.fault.has_value()) {
    const auto fault = testing::parse_fault(*options.fault);
    if (!fault) {
      return usage("fault: " + fault.error().message);
    }
    node.fault_ = std::make_shared<testing::FaultyAgent>(std::move(agent), *fault);
    agent = node.fault_;
  }
  KVFERRY_ASSIGN_OR_RETURN(node.manager_,
                           manager::TransportManager::create(
                               {.worker_id = id, .agent = std::move(agent), .log = log_to_stderr}));
  KVFERRY_ASSIGN_OR_RETURN(node.handle_, node.manager_->register_layout(
                                             node.layout_, {.access = access_of(options.access),
                                                            .meaning = {.model = options.model}}));
  return node;
}

std::optional<testing::FaultReport> Node::fault_report() const {
  return fault_ == nullptr ? std::nullopt : std::optional<testing::FaultReport>{fault_->report()};
}

}  // namespace kvferry::tool
