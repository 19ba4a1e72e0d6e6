// SPDX-License-Identifier: Apache-2.0
#include "transfer/disk_digests.hpp"

#include <xxhash.h>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "base/bytes.hpp"
#include "disk/digest_file.hpp"
#include "kvferry/base/try.hpp"

namespace kvferry::transfer {
namespace {

using layout::Axis;
using layout::LayoutView;

/// One file of digests, and the view whose blocks it is about.
struct Kept {
  disk::DigestFile* file{nullptr};
  const LayoutView* view{nullptr};

  [[nodiscard]] std::uint64_t index_of(BlockId block, std::uint64_t layer) const noexcept {
    const layout::AxisSpan& layers = view->axis(Axis::kLayer);
    return block.value() * layers.extent + (layer - layers.origin);
  }
};

Kept kept_of(const PhysicalLayout& layout, const std::string& plane) {
  const auto found = std::ranges::find(layout.plane_layouts(), plane, &NamedLayout::name);
  const PhysicalLayout& named = found == layout.plane_layouts().end() ? layout : *found->layout;
  return {named.digest_file().get(), &named.view()};
}

/// Whether `part` of a layout, paired with blocks of `other_page` tokens, moves in whole blocks.
Result<void> check_whole(const LayoutView& whole, const LayoutView& part,
                         std::uint64_t other_page) {
  for (const Axis axis : {Axis::kOuter, Axis::kHead}) {
    if (part.axis(axis).extent != whole.axis(axis).extent) {
      return Error{ErrorCode::kIncompatible, "verify: blocks on disk are verified whole, and " +
                                                 std::to_string(part.axis(axis).extent) + " of " +
                                                 std::to_string(whole.axis(axis).extent) +
                                                 " on axis " + std::string{to_string(axis)} +
                                                 " move"};
    }
  }
  if (part.page_size() != other_page) {
    return Error{ErrorCode::kIncompatible,
                 "verify: blocks on disk are verified whole, and pages of " +
                     std::to_string(part.page_size()) + " and " + std::to_string(other_page) +
                     " tokens share them out"};
  }
  return {};
}

class DiskTeller final : public DigestTeller {
 public:
  explicit DiskTeller(PhysicalLayoutPtr layout) noexcept : layout_{std::move(layout)} {}

  [[nodiscard]] std::size_t most_boxes() const noexcept override {
    return std::numeric_limits<std::size_t>::max();
  }
  [[nodiscard]] bool may_ask() const override { return true; }
  Result<void> ask(const std::string& plane, const LayoutView& /*part*/,
                   std::vector<DigestBox> boxes, const std::weak_ptr<Waker>& /*waker*/) override {
    const Kept kept = kept_of(*layout_, plane);
    for (const DigestBox& box : boxes) {
      const auto digest = kept.file->get(kept.index_of(box.block, box.layer));
      if (!digest) {
        return Error{ErrorCode::kUnavailable, kept.file->path() + ": nothing is kept of block " +
                                                  std::to_string(box.block.value()) + ", layer " +
                                                  std::to_string(box.layer) +
                                                  ": it was written without verification"};
      }
      told_.push_back(*digest);
    }
    return {};
  }
  Result<void> take(std::vector<Digest>& to) override {
    to.insert(to.end(), told_.begin(), told_.end());
    told_.clear();
    return {};
  }

 private:
  PhysicalLayoutPtr layout_;
  std::vector<Digest> told_;
};

class DiskKeeper final : public DigestKeeper {
 public:
  explicit DiskKeeper(PhysicalLayoutPtr layout) noexcept : layout_{std::move(layout)} {}

  Result<void> keep(const std::string& plane, const DigestBox& box, const Digest& digest) override {
    const Kept kept = kept_of(*layout_, plane);
    return kept.file->put(kept.index_of(box.block, box.layer), digest);
  }

 private:
  PhysicalLayoutPtr layout_;
};

}  // namespace

Digest digest_subject(const LayoutView& view) {
  ByteWriter out;
  for (const Axis axis :
       {Axis::kBlock, Axis::kLayer, Axis::kOuter, Axis::kToken, Axis::kHead, Axis::kElement}) {
    const layout::AxisSpan& span = view.axis(axis);
    for (const std::uint64_t value : {span.extent, span.stride_bytes, span.origin, span.whole,
                                      std::uint64_t{span.region_step}}) {
      out.number(value);
    }
  }
  for (const std::uint64_t value :
       {view.element_bytes(), view.page_size(), view.inner_dim(), view.offset_bytes()}) {
    out.number(value);
  }
  for (const Region& region : view.regions()) {
    out.number(region.address);
    out.number(region.size_bytes);
  }
  out.text(view.packing());
  const XXH128_hash_t hash = XXH3_128bits(out.bytes().data(), out.bytes().size());
  return {hash.low64, hash.high64};
}

Result<std::unique_ptr<DigestTeller>> make_disk_teller(PhysicalLayoutPtr layout,
                                                       std::span<const LayerPlan> plans) {
  for (const LayerPlan& one : plans) {
    const plan::PlanTemplate& shape = one.plan.shape();
    const Kept kept = kept_of(*layout, one.plane);
    KVFERRY_RETURN_IF_ERROR(
        check_whole(*kept.view, shape.source(), shape.destination().page_size()));
  }
  return std::unique_ptr<DigestTeller>{std::make_unique<DiskTeller>(std::move(layout))};
}

Result<std::unique_ptr<DigestKeeper>> make_disk_keeper(PhysicalLayoutPtr layout,
                                                       std::span<const LayerPlan> plans) {
  for (const LayerPlan& one : plans) {
    const plan::PlanTemplate& shape = one.plan.shape();
    const Kept kept = kept_of(*layout, one.plane);
    KVFERRY_RETURN_IF_ERROR(
        check_whole(*kept.view, shape.destination(), shape.source().page_size()));
  }
  return std::unique_ptr<DigestKeeper>{std::make_unique<DiskKeeper>(std::move(layout))};
}

Result<void> drop_digests(const PhysicalLayout& layout, std::span<const LayerPlan> plans) {
  for (const LayerPlan& one : plans) {
    const Kept kept = kept_of(layout, one.plane);
    const layout::AxisSpan& layers = one.plan.shape().destination().axis(Axis::kLayer);
    for (const BlockId block : one.plan.destination_blocks()) {
      KVFERRY_RETURN_IF_ERROR(kept.file->drop(kept.index_of(block, layers.origin), layers.extent));
    }
  }
  return {};
}

}  // namespace kvferry::transfer
