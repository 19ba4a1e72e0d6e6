// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kvferry/base/result.hpp"
#include "kvferry/base/storage_kind.hpp"
#include "kvferry/disk/file.hpp"
#include "kvferry/layout/layout.hpp"
#include "kvferry/layout/packed.hpp"
#include "kvferry/layout/planes.hpp"
#include "kvferry/layout/view.hpp"
#include "kvferry/memory/memory.hpp"
#include "kvferry/transfer/block_guards.hpp"

namespace kvferry::disk {
class DigestFile;
}  // namespace kvferry::disk

namespace kvferry::transfer {

class ClaimTable;
class PhysicalLayout;
class PhysicalLayoutBuilder;

// Shared: the caller, the manager it is registered with and transfers in flight.
using PhysicalLayoutPtr = std::shared_ptr<const PhysicalLayout>;

/// What becomes a plane of another layout.
struct NamedLayout {
  std::string name;
  PhysicalLayoutPtr layout;
  /// Of a plane with all heads beside data with some of them: whether the other ranks have the same
  /// bytes. A scale for each token over a rank's own heads is not the same: it is head `rank` of as
  /// many as there are ranks.
  bool same_on_all_ranks{false};
};

/// A layout and the memory in which it lies, in this process.
///
///   auto layout = PhysicalLayout::layer_separate(config, BlockDimension::kBlockIsFirstDim)
///                     .allocate_system().build();
///
/// Threads: immutable; the bytes themselves are the caller's to synchronize.
class PhysicalLayout {
 public:
  [[nodiscard]] static PhysicalLayoutBuilder fully_contiguous(const layout::LayoutConfig& config);
  [[nodiscard]] static PhysicalLayoutBuilder layer_separate(const layout::LayoutConfig& config,
                                                            layout::BlockDimension dimension);
  /// Any layout without padding: other orders than NHD and HND, a rank's part of the model.
  [[nodiscard]] static PhysicalLayoutBuilder packed(layout::PackedLayout packed);
  /// Any view over memory of this process: an engine's own tensors, with padding or without, or a
  /// part of one big allocation. What is without padding is told to peers as such, which every peer
  /// understands. Each region of the view lies in one of `memories`. The blocks of a slice count
  /// from 0.
  ///
  /// Errors: those of LayoutView::alone(); kInvalidArgument for regions that overlap, or lie in
  /// none
  ///         of the memories.
  [[nodiscard]] static Result<std::shared_ptr<const PhysicalLayout>> over(
      const layout::LayoutView& view, std::vector<memory::MemoryPtr> memories);

  /// `data` with planes that move with its blocks: one layout, whose guards and claims are those of
  /// the data. A transfer into a plane's own layout, if that is registered too, is no transfer into
  /// this one: they are the caller's to keep apart.
  ///
  /// Errors: those of layout::side_by_side(); kInvalidArgument for a layout that is null, or a
  ///         plane with guards, planes of its own or another kind of storage, or with all heads
  ///         beside some of the data's that does not say to be the same on all ranks.
  [[nodiscard]] static Result<PhysicalLayoutPtr> with_planes(const PhysicalLayoutPtr& data,
                                                             std::vector<NamedLayout> planes);

  /// How workers tell each other of it, but its planes.
  [[nodiscard]] const layout::Description& description() const noexcept { return description_; }
  [[nodiscard]] layout::LayoutConfig config() const { return config_of(description_); }
  /// Of the data.
  [[nodiscard]] const layout::LayoutView& view() const noexcept { return view_; }
  /// Over regions().
  [[nodiscard]] std::span<const layout::Plane> planes() const noexcept { return planes_; }
  /// Each plane by itself, in the same order.
  [[nodiscard]] std::span<const NamedLayout> plane_layouts() const noexcept {
    return plane_layouts_;
  }
  /// Of the data, then of each plane.
  [[nodiscard]] std::span<const Region> regions() const noexcept { return regions_; }
  [[nodiscard]] StorageKind storage_kind() const noexcept;
  [[nodiscard]] bool is_on_disk() const noexcept { return !files_.empty(); }
  /// None of a layout on disk.
  [[nodiscard]] std::span<const memory::MemoryPtr> memories() const noexcept { return memories_; }
  /// On disk, the file of each of regions(), whose addresses are offsets in it; else empty.
  [[nodiscard]] std::span<const disk::FilePtr> files() const noexcept { return files_; }

  /// On disk, what is known of the data's bytes, beside the file: its path with ".digests" behind.
  [[nodiscard]] const std::shared_ptr<disk::DigestFile>& digest_file() const noexcept {
    return digest_file_;
  }

  /// Where each of regions() begins in this process; empty on disk.
  [[nodiscard]] std::span<std::byte* const> region_bases() const noexcept { return bases_; }

  /// The blocks' sequence numbers; null where the layout was built without.
  [[nodiscard]] const BlockGuardsPtr& guards() const noexcept { return guards_; }

  /// Which blocks are being written: one table, however often the layout is registered.
  [[nodiscard]] const std::shared_ptr<ClaimTable>& claims() const noexcept { return claims_; }

 private:
  friend class PhysicalLayoutBuilder;

  PhysicalLayout(layout::Description description, layout::LayoutView view,
                 std::vector<memory::MemoryPtr> memories, BlockGuardsPtr guards);
  PhysicalLayout(layout::Description description, layout::LayoutView view,
                 const disk::FilePtr& file, std::shared_ptr<disk::DigestFile> digests,
                 BlockGuardsPtr guards);
  PhysicalLayout(const PhysicalLayout& data, std::vector<NamedLayout> plane_layouts,
                 std::vector<layout::Plane> planes);

  layout::Description description_;
  layout::LayoutView view_;
  std::vector<layout::Plane> planes_;
  std::vector<NamedLayout> plane_layouts_;
  std::vector<memory::MemoryPtr> memories_;
  std::vector<disk::FilePtr> files_;
  std::shared_ptr<disk::DigestFile> digest_file_;  // shared: with layouts that have this as data
  std::vector<Region> regions_;
  std::vector<std::byte*> bases_;
  BlockGuardsPtr guards_;
  std::shared_ptr<ClaimTable> claims_;  // shared: with transfers that write into it
};

/// Collects what a physical layout is made of.
class PhysicalLayoutBuilder {
 public:
  explicit PhysicalLayoutBuilder(layout::PackedLayout packed) : packed_{packed} {}
  PhysicalLayoutBuilder(const layout::LayoutConfig& config, layout::Arrangement arrangement)
      : packed_{layout::packed_layout(config, arrangement)} {}

  /// Takes one zeroed allocation of system memory that workers of this machine can map. Every
  /// region begins at a multiple of 4096, or of the config's alignment where that is larger.
  PhysicalLayoutBuilder& allocate_system();

  /// Takes a file, in which every region begins at a multiple of 4096, or of the config's alignment
  /// where that is larger. A new one holds zeros; what is in one from before stays. Peers cannot
  /// reach it. That bytes are written does not mean that they outlive a failure of the machine.
  PhysicalLayoutBuilder& allocate_disk(disk::FileOptions file);

  /// Takes memory of the caller: one range for each region, in order. `keep_alive` is held as long
  /// as anything uses the ranges.
  ///
  /// Lifetime: without `keep_alive`, the bytes outlive the layout, its registration and every
  ///           transfer that uses it.
  PhysicalLayoutBuilder& adopt(std::vector<std::span<std::byte>> regions,
                               std::shared_ptr<const void> keep_alive = nullptr);

  /// Gives each block a sequence number, for readers to see that it did not change meanwhile.
  PhysicalLayoutBuilder& guarded();

  /// Errors: kInvalidArgument for a config that does not validate, regions that do not fit it or
  ///         overlap, or not one kind of storage named; kUnavailable when there is not enough
  ///         memory; those of disk::File::open().
  [[nodiscard]] Result<PhysicalLayoutPtr> build() const;

 private:
  [[nodiscard]] Result<PhysicalLayoutPtr> build_allocated() const;
  [[nodiscard]] Result<PhysicalLayoutPtr> build_on_disk() const;
  [[nodiscard]] Result<std::vector<std::uint64_t>> region_sizes() const;
  [[nodiscard]] std::uint64_t alignment() const noexcept;
  [[nodiscard]] Result<BlockGuardsPtr> make_guards() const;
  [[nodiscard]] Result<PhysicalLayoutPtr> build_adopted() const;
  [[nodiscard]] Result<PhysicalLayoutPtr> assemble(std::vector<Region> regions,
                                                   std::vector<memory::MemoryPtr> memories) const;

  layout::PackedLayout packed_;
  bool allocate_{false};
  std::optional<disk::FileOptions> file_;
  bool guarded_{false};
  std::optional<std::vector<std::span<std::byte>>> adopted_;
  std::shared_ptr<const void> keep_alive_;  // shared: with whoever lent the memory
};

}  // namespace kvferry::transfer
