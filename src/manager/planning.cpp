// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "kvferry/base/try.hpp"
#include "kvferry/plan/gather.hpp"
#include "manager/impl.hpp"

namespace kvferry::manager {
namespace {

std::vector<Region> by_address(std::span<const Region> regions) {
  std::vector<Region> sorted{regions.begin(), regions.end()};
  std::ranges::sort(sorted, {}, &Region::address);
  return sorted;
}

/// Whether two layouts of this process have a byte in common; regions are taken as a whole.
Sharing sharing_of(const transfer::PhysicalLayout& a, const transfer::PhysicalLayout& b) {
  if (&a == &b) {
    return Sharing::kSameLayout;
  }
  if (a.is_on_disk() || b.is_on_disk()) {
    return Sharing::kNone;  // A file has one layout: it is locked.
  }
  const std::vector<Region> left = by_address(a.regions());
  const std::vector<Region> right = by_address(b.regions());
  auto other = right.begin();
  std::uint64_t left_end{0};  // A plane may lie between the bytes of others, in their region.
  std::uint64_t right_end{0};
  for (const Region& region : left) {
    for (; other != right.end() && other->address < region.address; ++other) {
      right_end = std::max(right_end, other->address + other->size_bytes);
      if (other->address < left_end) {
        return Sharing::kOverlapping;
      }
    }
    if (region.address < right_end) {
      return Sharing::kOverlapping;
    }
    left_end = std::max(left_end, region.address + region.size_bytes);
  }
  return other != right.end() && other->address < left_end ? Sharing::kOverlapping : Sharing::kNone;
}

/// The data, whose name is empty, and the planes of a transfer into `destination`.
std::vector<std::string> names_of(const TransferEnd& destination) {
  std::vector<std::string> names{""};
  std::ranges::transform(destination.planes(), std::back_inserter(names), &layout::Plane::name);
  return names;
}

Error of_plane(Error error, const std::string& name) {
  return name.empty() ? error : std::move(error).with_context("plane \"" + name + "\"");
}

/// Those of a layer together, the largest last: see TransferParts.
void put_in_order(std::vector<transfer::LayerPlan>& plans) {
  std::ranges::stable_sort(plans, {}, [](const transfer::LayerPlan& one) {
    return std::pair{one.layer, one.plan.total_bytes()};
  });
}

/// Layers that move together, and what their plans are told to be of.
struct Cut {
  plan::LayerRange layers;
  std::uint64_t layer{0};
};

/// Whether the plans of a transfer are of one layer each. Digests are.
bool is_cut(const transfer::TransferOptions& options) {
  return options.by_layer || options.verify != transfer::Verify::kNone;
}

/// One for each of `layers` that the destination has; one for all where they move together, or
/// where planning has to say what is wrong with them.
std::vector<Cut> cuts_of(const plan::LayerRange& layers, bool cut,
                         const layout::LayoutView& destination) {
  const layout::AxisSpan& axis = destination.axis(layout::Axis::kLayer);
  const std::uint64_t end = layers.end == plan::LayerRange::kAll ? axis.whole : layers.end;
  std::vector<Cut> cuts;
  if (cut && end <= axis.whole) {
    const std::uint64_t last = std::min(end, axis.origin + axis.extent);
    for (std::uint64_t layer = std::max(layers.first, axis.origin); layer < last; ++layer) {
      cuts.push_back({{layer, layer + 1}, layer});
    }
  }
  return cuts.empty() ? std::vector<Cut>{{layers, 0}} : cuts;
}

/// The same in stretches of blocks, of which a layer takes one step: its bytes are still in the
/// caches when their digest is computed, and what fails makes bad no blocks of earlier stretches.
Result<std::vector<transfer::LayerPlan>> in_stretches(std::vector<transfer::LayerPlan> plans) {
  const plan::CopyPlan& largest = plans.back().plan;
  const plan::PlanTemplate& shape = largest.shape();
  const std::size_t count = largest.destination_blocks().size();
  const bool equal_pages = shape.source().page_size() == shape.destination().page_size();
  const std::uint64_t of_block = count == 0 ? 0 : largest.total_bytes() / count;
  const std::size_t stretch = std::max<std::uint64_t>(
      transfer::TransferState::kStepBytes / std::max<std::uint64_t>(of_block, 1), 1);
  if (!equal_pages || stretch >= count) {
    return plans;
  }
  std::vector<transfer::LayerPlan> all;
  for (std::size_t first = 0; first < count; first += stretch) {
    for (const transfer::LayerPlan& one : plans) {
      const std::size_t end = std::min(first + stretch, one.plan.destination_blocks().size());
      if (first < end) {
        KVFERRY_ASSIGN_OR_RETURN(
            plan::CopyPlan plan,
            plan::CopyPlan::create(one.plan.shared_shape(),
                                   {one.plan.source_blocks().subspan(first, end - first),
                                    one.plan.destination_blocks().subspan(first, end - first)}));
        all.push_back({std::move(plan), one.layer, one.plane});
      }
    }
  }
  return all;
}

/// Appends what of `ids`, a stretch of a list, lies behind `end`, and moves that on.
void append_rest(std::span<const BlockId> ids, const BlockId*& end, std::vector<BlockId>& to) {
  const auto known = static_cast<std::size_t>(std::max<std::ptrdiff_t>(end - ids.data(), 0));
  if (known < ids.size()) {
    to.insert(to.end(), ids.begin() + static_cast<std::ptrdiff_t>(known), ids.end());
    end = ids.data() + ids.size();
  }
}

/// What one source gives to a gather: plans, and the stretches of the block lists that they feed.
struct Given {
  std::vector<transfer::LayerPlan> plans;
  std::vector<plan::BlockPairs> fed;
};

}  // namespace

Result<std::shared_ptr<disk::Queue>> TransportManager::Impl::disk_queue() {
  const MutexLock lock{tiers_mutex_};
  if (disk_queue_ == nullptr) {
    KVFERRY_ASSIGN_OR_RETURN(disk_queue_, disk::Queue::open(options_.disk, options_.log));
  }
  return disk_queue_;
}

Result<std::shared_ptr<transfer::BouncePool>> TransportManager::Impl::bounce_pool() {
  const MutexLock lock{tiers_mutex_};
  if (bounce_pool_ == nullptr) {
    KVFERRY_ASSIGN_OR_RETURN(memory::MemoryPtr memory,
                             memory::allocate_system(options_.bounce_bytes));
    bounce_pool_ = std::make_shared<transfer::BouncePool>(std::move(memory));
  }
  return bounce_pool_;
}

/// Between one end and memory of this process.
Result<std::unique_ptr<const transfer::Executor>> TransportManager::Impl::make_hop(
    const TransferEnd& end, bool is_source, const HostMemory& memory) {
  if (!end.is_local()) {
    const FoundRemote& remote = end.remote;
    return transfer::make_agent_executor(
        {options_.agent, remote.peer->contact->id(),
         is_source ? agent::Operation::kRead : agent::Operation::kWrite, remote.layout->side,
         memory.regions, memory.keep_alive});
  }
  KVFERRY_ASSIGN_OR_RETURN(auto queue, disk_queue());
  return transfer::make_file_executor({std::move(queue),
                                       is_source ? disk::Direction::kRead : disk::Direction::kWrite,
                                       end.local->physical,
                                       {memory.bases.begin(), memory.bases.end()},
                                       memory.keep_alive});
}

Result<std::unique_ptr<const transfer::Executor>> TransportManager::Impl::make_executor(
    const TransferEnd& source, const TransferEnd& destination) {
  const bool from_memory = source.is_in_memory();
  const bool into_memory = destination.is_in_memory();
  if (from_memory && into_memory) {
    return transfer::make_host_executor(source.local->physical, destination.local->physical);
  }
  if (from_memory || into_memory) {
    const transfer::PhysicalLayoutPtr& own = (from_memory ? source : destination).local->physical;
    return make_hop(into_memory ? source : destination, into_memory,
                    {own->regions(), own->region_bases(), own});
  }
  KVFERRY_ASSIGN_OR_RETURN(const auto pool, bounce_pool());
  const std::span<std::byte> bytes = pool->memory()->bytes();
  const Region region{reinterpret_cast<std::uintptr_t>(bytes.data()), bytes.size()};
  std::byte* const base = bytes.data();
  const HostMemory bounce{{&region, 1}, {&base, 1}, pool->memory()};
  KVFERRY_ASSIGN_OR_RETURN(auto into_bounce, make_hop(source, true, bounce));
  KVFERRY_ASSIGN_OR_RETURN(auto out_of_bounce, make_hop(destination, false, bounce));
  return transfer::make_staged_executor(std::move(into_bounce), std::move(out_of_bounce), pool);
}

Result<LaneEntry> TransportManager::Impl::make_lane(const TransferEnd& source,
                                                    const TransferEnd& destination,
                                                    const LaneKey& key) {
  auto lane = std::make_shared<transfer::Lane>();
  if (key.shaped) {
    for (const Cut& cut : cuts_of(key.layers, key.cut, destination.view())) {
      for (const std::string& name : names_of(destination)) {
        auto shape = plan::PlanTemplate::create(
            *source.find_view(name), *destination.find_view(name), {.layers = cut.layers});
        if (!shape) {
          return of_plane(std::move(shape).error(), name);
        }
        lane->shapes.push_back({*std::move(shape), cut.layer, name});
      }
    }
  }
  KVFERRY_ASSIGN_OR_RETURN(lane->executor, make_executor(source, destination));
  LaneEntry entry;
  if (source.is_local() && destination.is_local()) {
    entry.sharing = sharing_of(*source.local->physical, *destination.local->physical);
  } else {
    entry.remote = (source.is_local() ? destination : source).remote.layout;
  }
  entry.lane = std::move(lane);
  return entry;
}

Result<LaneEntry> TransportManager::Impl::lane_between(const TransferEnd& source,
                                                       const TransferEnd& destination,
                                                       const LaneKey& key) {
  if (std::optional<LaneEntry> known = registry_.find_lane(key)) {
    return *std::move(known);
  }
  KVFERRY_ASSIGN_OR_RETURN(LaneEntry made, make_lane(source, destination, key));
  registry_.add_lane(key, made);
  return made;
}

Result<plan::PlanSummary> TransportManager::Impl::plan_parts(
    const Ends& ends, const plan::BlockPairs& blocks, const transfer::TransferOptions& options,
    std::vector<PlannedPart>& parts) {
  if (ends.sources.size() != 1 || options.partial) {
    return plan_gather(ends, blocks, options, parts);
  }
  KVFERRY_ASSIGN_OR_RETURN(LaneEntry entry,
                           lane_between(ends.sources.front(), ends.destination,
                                        {ends.source_handles.front(), ends.destination_handle,
                                         options.layers, is_cut(options)}));
  plan::PlanSummary sum;
  std::vector<transfer::LayerPlan> plans;
  plans.reserve(entry.lane->shapes.size());
  for (const transfer::Lane::Shape& one : entry.lane->shapes) {
    KVFERRY_ASSIGN_OR_RETURN(plan::CopyPlan plan, plan::CopyPlan::create(one.shape, blocks));
    sum.add(plan.summary());
    plans.push_back({std::move(plan), options.by_layer ? one.layer : 0, one.plane});
  }
  put_in_order(plans);
  if (is_cut(options) && !options.by_layer) {
    KVFERRY_ASSIGN_OR_RETURN(plans, in_stretches(std::move(plans)));
  }
  parts.push_back({0, std::move(entry), std::move(plans), blocks});
  return sum;
}

Result<plan::PlanSummary> TransportManager::Impl::plan_gather(
    const Ends& ends, const plan::BlockPairs& blocks, const transfer::TransferOptions& options,
    std::vector<PlannedPart>& parts) {
  plan::PlanSummary sum;
  double coverage = 0;
  std::vector<Given> given(ends.sources.size());
  const std::vector<Cut> cuts = cuts_of(options.layers, is_cut(options), ends.destination.view());
  for (const Cut& cut : cuts) {
    plan::PlanSummary of_cut;
    for (const std::string& name : names_of(ends.destination)) {
      std::vector<layout::LayoutView> views;
      std::ranges::transform(ends.sources, std::back_inserter(views),
                             [&name](const TransferEnd& end) { return *end.find_view(name); });
      auto gather = plan::Gather::create(views, *ends.destination.find_view(name), blocks,
                                         {.layers = cut.layers, .partial = options.partial});
      if (!gather) {
        return of_plane(std::move(gather).error(), name);
      }
      of_cut.add(gather->summary());
      for (const plan::GatherPart& part : gather->parts()) {
        given[part.source].plans.push_back({part.plan, options.by_layer ? cut.layer : 0, name});
        given[part.source].fed.push_back(part.blocks);
      }
    }
    sum.add(of_cut);
    coverage += of_cut.coverage;
  }
  sum.coverage = coverage / static_cast<double>(cuts.size());
  for (std::size_t i = 0; i < given.size(); ++i) {
    if (!given[i].plans.empty()) {
      KVFERRY_ASSIGN_OR_RETURN(PlannedPart part, part_of_source(ends, i, blocks, given[i].fed));
      put_in_order(given[i].plans);
      part.plans = std::move(given[i].plans);
      parts.push_back(std::move(part));
    }
  }
  if (parts.empty()) {
    KVFERRY_ASSIGN_OR_RETURN(PlannedPart part, part_of_nothing(ends, blocks));
    parts.push_back(std::move(part));
  }
  return sum;
}

/// A part without plans that feeds the blocks of all the stretches `fed`.
Result<TransportManager::Impl::PlannedPart> TransportManager::Impl::part_of_source(
    const Ends& ends, std::size_t source, const plan::BlockPairs& blocks,
    std::vector<plan::BlockPairs> fed) {
  PlannedPart part;
  part.source = source;
  KVFERRY_ASSIGN_OR_RETURN(
      part.entry,
      lane_between(ends.sources[source], ends.destination,
                   {ends.source_handles[source], ends.destination_handle, {}, false, false}));
  std::ranges::sort(fed, {}, [](const plan::BlockPairs& one) { return one.destination.data(); });
  const BlockId* source_end = blocks.source.data();
  const BlockId* destination_end = blocks.destination.data();
  for (const plan::BlockPairs& one : fed) {
    append_rest(one.source, source_end, part.source_blocks);
    append_rest(one.destination, destination_end, part.destination_blocks);
  }
  part.blocks = {part.source_blocks, part.destination_blocks};
  return part;
}

/// A transfer of nothing has an end, too.
Result<TransportManager::Impl::PlannedPart> TransportManager::Impl::part_of_nothing(
    const Ends& ends, const plan::BlockPairs& blocks) {
  KVFERRY_ASSIGN_OR_RETURN(PlannedPart part, part_of_source(ends, 0, blocks, {blocks}));
  KVFERRY_ASSIGN_OR_RETURN(
      auto shape, plan::PlanTemplate::create(ends.sources.front().view(), ends.destination.view(),
                                             {.layers = {0, 0}, .partial = true}));
  KVFERRY_ASSIGN_OR_RETURN(plan::CopyPlan plan, plan::CopyPlan::create(std::move(shape), blocks));
  part.plans.push_back({std::move(plan)});
  return part;
}

}  // namespace kvferry::manager
