// SPDX-License-Identifier: Apache-2.0
#include "kvferry/transfer/physical_layout.hpp"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "disk/digest_file.hpp"
#include "kvferry/base/checked.hpp"
#include "kvferry/base/try.hpp"
#include "transfer/claims.hpp"
#include "transfer/disk_digests.hpp"

namespace kvferry::transfer {
namespace {

using layout::LayoutView;
using layout::PackedLayout;

std::uint64_t address_of(const std::byte* bytes) { return reinterpret_cast<std::uintptr_t>(bytes); }

Error too_large() {
  return Error{ErrorCode::kInvalidArgument,
               "the regions of this layout, aligned, do not fit into 64 bits"};
}

/// Sizes as they are laid out one after the other: each rounded up, and room to align the first.
Result<std::uint64_t> allocation_bytes(const std::vector<std::uint64_t>& sizes,
                                       std::uint64_t alignment) {
  std::uint64_t total = alignment > memory::kAlignmentBytes ? alignment : 0;
  for (const std::uint64_t size : sizes) {
    const auto rounded = checked_round_up(size, alignment);
    const auto sum = rounded ? checked_add(total, *rounded) : std::nullopt;
    if (!sum) {
      return too_large();
    }
    total = *sum;
  }
  return total;
}

/// Regions one after the other, from the first aligned address on. Nothing overflows: all of it
/// lies inside what allocation_bytes() said.
std::vector<Region> placed(const std::vector<std::uint64_t>& sizes, std::uint64_t begin,
                           std::uint64_t alignment) {
  std::vector<Region> regions;
  regions.reserve(sizes.size());
  std::uint64_t address = *checked_round_up(begin, alignment);
  for (const std::uint64_t size : sizes) {
    regions.push_back(Region{address, size});
    address = *checked_round_up(address + size, alignment);
  }
  return regions;
}

Result<void> check_disjoint(std::vector<Region> regions) {
  std::sort(regions.begin(), regions.end(),
            [](const Region& a, const Region& b) { return a.address < b.address; });
  for (std::size_t i = 1; i < regions.size(); ++i) {
    if (regions[i - 1].address + regions[i - 1].size_bytes > regions[i].address) {
      return Error{ErrorCode::kInvalidArgument,
                   "two regions overlap at address " + std::to_string(regions[i].address)};
    }
  }
  return {};
}

bool lies_in(const Region& region, const memory::MemoryPtr& memory) {
  const std::uint64_t begin = address_of(memory->bytes().data());
  const std::uint64_t size = memory->bytes().size();
  return region.address >= begin && region.size_bytes <= size &&
         region.address - begin <= size - region.size_bytes;
}

Result<void> check_backed(std::span<const Region> regions,
                          const std::vector<memory::MemoryPtr>& memories) {
  for (std::size_t i = 0; i < regions.size(); ++i) {
    const bool backed = std::ranges::any_of(
        memories, [&](const memory::MemoryPtr& memory) { return lies_in(regions[i], memory); });
    if (!backed) {
      return Error{ErrorCode::kInvalidArgument,
                   "region " + std::to_string(i) + ": " + std::to_string(regions[i].size_bytes) +
                       " bytes at " + std::to_string(regions[i].address) + " lie in none of the " +
                       std::to_string(memories.size()) + " memories"};
    }
  }
  return {};
}

std::vector<std::byte*> bases_of(std::span<const Region> regions) {
  std::vector<std::byte*> bases;
  bases.reserve(regions.size());
  for (const Region& region : regions) {
    bases.push_back(reinterpret_cast<std::byte*>(region.address));  // NOLINT(*-int-to-ptr)
  }
  return bases;
}

/// On disk every plane has a file of its own.
Result<void> check_files(const PhysicalLayout& data, const std::vector<NamedLayout>& planes) {
  std::vector<const disk::File*> taken;
  for (const disk::FilePtr& file : data.files()) {
    taken.push_back(file.get());
  }
  for (const NamedLayout& plane : planes) {
    for (const disk::FilePtr& file : plane.layout->files()) {
      if (std::ranges::find(taken, file.get()) != taken.end()) {
        return Error{ErrorCode::kInvalidArgument,
                     "plane \"" + plane.name + "\": its file holds the data, or another plane"};
      }
    }
    for (const disk::FilePtr& file : plane.layout->files()) {
      taken.push_back(file.get());
    }
  }
  return {};
}

bool has_all_heads(const PhysicalLayout& layout) {
  const layout::AxisSpan& heads = layout.view().axis(layout::Axis::kHead);
  return heads.extent == heads.whole;
}

Result<void> check_plane(const PhysicalLayout& data, const NamedLayout& plane) {
  const auto wrong = [&plane](const std::string& what) {
    return Error{ErrorCode::kInvalidArgument, "plane \"" + plane.name + "\": " + what};
  };
  if (plane.layout == nullptr) {
    return wrong("null");
  }
  if (plane.layout->guards() != nullptr) {
    return wrong("it has guards, and blocks are guarded by those of the data");
  }
  if (!plane.layout->planes().empty()) {
    return wrong("it has planes itself");
  }
  if (plane.layout->storage_kind().type != data.storage_kind().type) {
    return wrong("storage " + to_string(plane.layout->storage_kind()) + ", the data has " +
                 to_string(data.storage_kind()));
  }
  if (!plane.same_on_all_ranks && has_all_heads(*plane.layout) && !has_all_heads(data)) {
    return wrong(
        "head axis: it has all heads and the data has not: say which of the ranks' it is, or that "
        "it is the same on all ranks");
  }
  return {};
}

}  // namespace

PhysicalLayout::PhysicalLayout(layout::Description description, LayoutView view,
                               std::vector<memory::MemoryPtr> memories, BlockGuardsPtr guards)
    : description_{std::move(description)},
      view_{std::move(view)},
      memories_{std::move(memories)},
      regions_{view_.regions().begin(), view_.regions().end()},
      bases_{bases_of(regions_)},
      guards_{std::move(guards)},
      claims_{std::make_shared<ClaimTable>()} {}

PhysicalLayout::PhysicalLayout(layout::Description description, LayoutView view,
                               const disk::FilePtr& file, std::shared_ptr<disk::DigestFile> digests,
                               BlockGuardsPtr guards)
    : description_{std::move(description)},
      view_{std::move(view)},
      files_(view_.regions().size(), file),
      digest_file_{std::move(digests)},
      regions_{view_.regions().begin(), view_.regions().end()},
      guards_{std::move(guards)},
      claims_{std::make_shared<ClaimTable>()} {}

PhysicalLayout::PhysicalLayout(const PhysicalLayout& data, std::vector<NamedLayout> plane_layouts,
                               std::vector<layout::Plane> planes)
    : description_{data.description_},
      view_{data.view_},
      planes_{std::move(planes)},
      plane_layouts_{std::move(plane_layouts)},
      memories_{data.memories_},
      files_{data.files_},
      digest_file_{data.digest_file_},
      regions_{layout::all_regions(view_, planes_)},
      bases_{is_on_disk() ? std::vector<std::byte*>{} : bases_of(regions_)},
      guards_{data.guards_},
      claims_{data.claims_} {
  for (const NamedLayout& plane : plane_layouts_) {
    files_.insert(files_.end(), plane.layout->files().begin(), plane.layout->files().end());
    std::ranges::copy_if(plane.layout->memories(), std::back_inserter(memories_),
                         [this](const memory::MemoryPtr& memory) {
                           return std::ranges::find(memories_, memory) == memories_.end();
                         });
  }
}

StorageKind PhysicalLayout::storage_kind() const noexcept {
  return is_on_disk() ? StorageKind::disk(static_cast<std::uint64_t>(files_.front()->descriptor()))
                      : memories_.front()->storage_kind();
}

PhysicalLayoutBuilder PhysicalLayout::fully_contiguous(const layout::LayoutConfig& config) {
  return {config, layout::Arrangement::kFullyContiguous};
}

PhysicalLayoutBuilder PhysicalLayout::layer_separate(const layout::LayoutConfig& config,
                                                     layout::BlockDimension dimension) {
  return {config, layout::layer_separate(dimension)};
}

PhysicalLayoutBuilder PhysicalLayout::packed(PackedLayout packed) {
  return PhysicalLayoutBuilder{packed};
}

Result<PhysicalLayoutPtr> PhysicalLayout::over(const LayoutView& whole_or_part,
                                               std::vector<memory::MemoryPtr> memories) {
  KVFERRY_ASSIGN_OR_RETURN(const LayoutView view, whole_or_part.alone());
  KVFERRY_RETURN_IF_ERROR(check_disjoint({view.regions().begin(), view.regions().end()}));
  KVFERRY_RETURN_IF_ERROR(check_backed(view.regions(), memories));
  // make_shared cannot reach the private constructor.
  return PhysicalLayoutPtr{
      new PhysicalLayout{layout::describe(view), view, std::move(memories), nullptr}};
}

Result<PhysicalLayoutPtr> PhysicalLayout::with_planes(const PhysicalLayoutPtr& data,
                                                      std::vector<NamedLayout> planes) {
  if (data == nullptr || !data->planes().empty()) {
    return Error{ErrorCode::kInvalidArgument,
                 data == nullptr ? "data: null" : "data: it has planes already"};
  }
  std::vector<layout::Plane> views;
  for (const NamedLayout& plane : planes) {
    KVFERRY_RETURN_IF_ERROR(check_plane(*data, plane));
    views.push_back({plane.name, plane.layout->view()});
  }
  KVFERRY_RETURN_IF_ERROR(check_files(*data, planes));
  KVFERRY_ASSIGN_OR_RETURN(
      views, layout::side_by_side(data->view(), std::move(views),
                                  data->is_on_disk() ? layout::Addresses::kOfFiles
                                                     : layout::Addresses::kOfOneMemory));
  // make_shared cannot reach the private constructor.
  return PhysicalLayoutPtr{new PhysicalLayout{*data, std::move(planes), std::move(views)}};
}

PhysicalLayoutBuilder& PhysicalLayoutBuilder::allocate_system() {
  allocate_ = true;
  return *this;
}

PhysicalLayoutBuilder& PhysicalLayoutBuilder::allocate_disk(disk::FileOptions file) {
  file_ = std::move(file);
  return *this;
}

PhysicalLayoutBuilder& PhysicalLayoutBuilder::adopt(std::vector<std::span<std::byte>> regions,
                                                    std::shared_ptr<const void> keep_alive) {
  adopted_ = std::move(regions);
  keep_alive_ = std::move(keep_alive);
  return *this;
}

PhysicalLayoutBuilder& PhysicalLayoutBuilder::guarded() {
  guarded_ = true;
  return *this;
}

Result<PhysicalLayoutPtr> PhysicalLayoutBuilder::build() const {
  const int kinds = (allocate_ ? 1 : 0) + (adopted_ ? 1 : 0) + (file_ ? 1 : 0);
  if (kinds != 1) {
    return Error{ErrorCode::kInvalidArgument,
                 "a physical layout needs allocated memory, adopted memory or a file, and one of "
                 "them only: " +
                     std::to_string(kinds) + " are named"};
  }
  return allocate_ ? build_allocated() : adopted_ ? build_adopted() : build_on_disk();
}

Result<PhysicalLayoutPtr> PhysicalLayoutBuilder::build_allocated() const {
  KVFERRY_ASSIGN_OR_RETURN(const std::vector<std::uint64_t> sizes, region_sizes());
  KVFERRY_ASSIGN_OR_RETURN(const std::uint64_t total, allocation_bytes(sizes, alignment()));
  KVFERRY_ASSIGN_OR_RETURN(memory::MemoryPtr memory, memory::allocate_system(total));
  std::vector<Region> regions = placed(sizes, address_of(memory->bytes().data()), alignment());
  return assemble(std::move(regions), {std::move(memory)});
}

Result<PhysicalLayoutPtr> PhysicalLayoutBuilder::build_on_disk() const {
  KVFERRY_ASSIGN_OR_RETURN(const std::vector<std::uint64_t> sizes, region_sizes());
  KVFERRY_ASSIGN_OR_RETURN(const std::uint64_t total, allocation_bytes(sizes, alignment()));
  KVFERRY_ASSIGN_OR_RETURN(LayoutView view, packed_view(packed_, placed(sizes, 0, alignment())));
  KVFERRY_ASSIGN_OR_RETURN(const disk::FilePtr file, disk::File::open(*file_, total));
  KVFERRY_ASSIGN_OR_RETURN(auto digests,
                           disk::DigestFile::open(file_->path + ".digests", digest_subject(view),
                                                  view.axis(layout::Axis::kBlock).extent *
                                                      view.axis(layout::Axis::kLayer).extent));
  KVFERRY_ASSIGN_OR_RETURN(BlockGuardsPtr guards, make_guards());
  // make_shared cannot reach the private constructor.
  return PhysicalLayoutPtr{
      new PhysicalLayout{packed_, std::move(view), file, std::move(digests), std::move(guards)}};
}

Result<PhysicalLayoutPtr> PhysicalLayoutBuilder::build_adopted() const {
  std::vector<Region> regions;
  std::vector<memory::MemoryPtr> memories;
  for (const std::span<std::byte> range : *adopted_) {
    KVFERRY_ASSIGN_OR_RETURN(memory::MemoryPtr memory, memory::adopt(range, keep_alive_));
    memories.push_back(std::move(memory));
    regions.push_back(Region{address_of(range.data()), range.size()});
  }
  KVFERRY_RETURN_IF_ERROR(check_disjoint(regions));
  return assemble(std::move(regions), std::move(memories));
}

Result<std::vector<std::uint64_t>> PhysicalLayoutBuilder::region_sizes() const {
  return required_regions(packed_.config, packed_.arrangement);
}

std::uint64_t PhysicalLayoutBuilder::alignment() const noexcept {
  return std::max(memory::kAlignmentBytes, packed_.config.alignment);
}

Result<BlockGuardsPtr> PhysicalLayoutBuilder::make_guards() const {
  BlockGuardsPtr guards;
  if (guarded_) {
    KVFERRY_ASSIGN_OR_RETURN(guards, BlockGuards::allocate(packed_.config.num_blocks));
  }
  return guards;
}

Result<PhysicalLayoutPtr> PhysicalLayoutBuilder::assemble(
    std::vector<Region> regions, std::vector<memory::MemoryPtr> memories) const {
  KVFERRY_ASSIGN_OR_RETURN(LayoutView view, packed_view(packed_, std::move(regions)));
  KVFERRY_ASSIGN_OR_RETURN(BlockGuardsPtr guards, make_guards());
  // make_shared cannot reach the private constructor.
  return PhysicalLayoutPtr{
      new PhysicalLayout{packed_, std::move(view), std::move(memories), std::move(guards)}};
}

}  // namespace kvferry::transfer
