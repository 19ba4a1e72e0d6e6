// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "kvferry/base/ids.hpp"
#include "kvferry/base/result.hpp"
#include "kvferry/base/run.hpp"
#include "kvferry/base/storage_kind.hpp"
#include "kvferry/layout/config.hpp"
#include "kvferry/wire/limits.hpp"
#include "kvferry/wire/metadata.hpp"

namespace kvferry::wire {

/// One layout of a MessageView. Its regions lie in the message's one array.
struct LocalLayoutView {
  LayoutHandle handle{};
  std::uint32_t version{kLayoutVersion};
  LogicalType logical_type{LogicalType::kG2};  ///< format B
  MemType mem_type{MemType::kDram};
  bool strided{false};   ///< of an envelope: strides tell which regions there are
  bool is_plane{false};  ///< of an envelope: of the layout before it, whose handle it has
  LayoutTypeDetails layout_type_details{};
  layout::LayoutConfig layout_config{};
  StorageKind location{};
  std::string_view agent_name{};
  std::uint64_t device_id{0};
  std::size_t regions_index{0};  ///< of its first region in MessageView::regions
  std::size_t regions_count{0};
};

/// The layouts of a message and, behind them in the same memory, their regions. One layout with one
/// region lies in the object itself.
///
/// Lifetime: what is given points into this object or its memory, until it is moved from, which
///           leaves it empty.
class ViewArrays {
 public:
  ViewArrays() = default;
  ViewArrays(ViewArrays&& other) noexcept { *this = std::move(other); }
  ViewArrays& operator=(ViewArrays&& other) noexcept {
    layouts_room_ = std::exchange(other.layouts_room_, 1);
    regions_room_ = std::exchange(other.regions_room_, 1);
    layouts_count_ = std::exchange(other.layouts_count_, 0);
    regions_count_ = std::exchange(other.regions_count_, 0);
    layout_ = other.layout_;
    region_ = other.region_;
    memory_ = std::move(other.memory_);
    return *this;
  }
  ~ViewArrays() = default;
  /// Room for so many. Nothing is written; layouts are made with std::construct_at().
  ViewArrays(std::size_t layouts, std::size_t regions)
      : layouts_room_{layouts},
        regions_room_{regions},
        memory_{std::make_unique_for_overwrite<std::byte[]>(layouts * sizeof(LocalLayoutView) +
                                                            regions * sizeof(Region))} {}

  /// How many were written.
  void set_counts(std::size_t layouts, std::size_t regions) noexcept {
    layouts_count_ = layouts;
    regions_count_ = regions;
  }
  [[nodiscard]] std::size_t layouts_count() const noexcept { return layouts_count_; }
  [[nodiscard]] std::size_t regions_count() const noexcept { return regions_count_; }
  [[nodiscard]] std::size_t layouts_room() const noexcept { return layouts_room_; }
  [[nodiscard]] std::size_t regions_room() const noexcept { return regions_room_; }

  [[nodiscard]] const LocalLayoutView* layouts() const noexcept {
    return memory_ == nullptr ? &layout_ : reinterpret_cast<const LocalLayoutView*>(memory_.get());
  }
  [[nodiscard]] const Region* regions() const noexcept {
    return memory_ == nullptr ? &region_
                              : reinterpret_cast<const Region*>(
                                    memory_.get() + layouts_room_ * sizeof(LocalLayoutView));
  }
  [[nodiscard]] LocalLayoutView* layouts() noexcept {
    return const_cast<LocalLayoutView*>(std::as_const(*this).layouts());
  }
  [[nodiscard]] Region* regions() noexcept {
    return const_cast<Region*>(std::as_const(*this).regions());
  }

 private:
  static_assert(std::is_trivially_copyable_v<LocalLayoutView> &&
                std::is_trivially_copyable_v<Region>);
  static_assert(alignof(Region) <= alignof(LocalLayoutView) &&
                alignof(LocalLayoutView) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);

  std::size_t layouts_count_{0};
  std::size_t regions_count_{0};
  std::size_t layouts_room_{1};
  std::size_t regions_room_{1};
  LocalLayoutView layout_{};
  Region region_{};
  std::unique_ptr<std::byte[]> memory_{};
};

/// Everything that one message says, without copies of names and blob.
///
/// Lifetime: names and blob point into the bytes that were decoded, which must stay alive and
///           unchanged as long as the view is used. layouts() and regions() point into the view,
///           until it is moved from, which leaves it without any.
struct MessageView {
  MessageFormat format{MessageFormat::kA};
  bool is_ambiguous{false};  ///< it could as well be the other format
  WorkerId worker_id{};
  std::string_view nixl_agent_name{};
  std::span<const std::byte> nixl_metadata{};
  ViewArrays arrays{};

  [[nodiscard]] std::span<const LocalLayoutView> layouts() const noexcept {
    return {arrays.layouts(), arrays.layouts_count()};
  }
  /// Of all layouts, in the order of the layouts.
  [[nodiscard]] std::span<const Region> regions() const noexcept {
    return {arrays.regions(), arrays.regions_count()};
  }

  /// The regions of one layout of this message.
  [[nodiscard]] std::span<const Region> regions_of(const LocalLayoutView& layout) const {
    return regions().subspan(layout.regions_index, layout.regions_count);
  }
};

/// Reads a message of format A or B and finds out which: the one that it fits, or fits without a
/// breach of the rules of import. Where that does not decide, it is read as `preferred` and marked
/// as ambiguous. Takes one allocation, and none for one layout with one region; a second where
/// layouts have more regions than the first, and one more for a message that fits both formats.
/// Announced lengths are checked against what is left before anything is allocated. Nothing is said
/// about the meaning of the values: that is lint()'s.
///
/// Errors: kCorrupt naming field, byte offset, value and bound, for whatever is not exactly one
///         message of a format, or is above a limit:
///         "layouts[0].layout.nixl_metadata.agent_name at 46: length 8589934592 of 15 left".
///         It is the error of the format that the message seems to be in, or else of the one that
///         could be read further.
/// Source: docs/spec/wire-format.md, sections 1.2 to 1.5.
[[nodiscard]] Result<MessageView> decode_view(std::span<const std::byte> bytes,
                                              const WireLimits& limits = WireLimits{},
                                              MessageFormat preferred = MessageFormat::kA);

/// As decode_view(), when the format is known.
[[nodiscard]] Result<MessageView> decode_view_as(MessageFormat format,
                                                 std::span<const std::byte> bytes,
                                                 const WireLimits& limits = WireLimits{});

/// Writes the message that a view, as decode_view() gives it, says, in its format: the shortest
/// form of each integer.
[[nodiscard]] std::vector<std::byte> encode(const MessageView& view);

/// The same values, owned.
[[nodiscard]] RdmaLayoutDescriptors to_owned(const MessageView& view);

/// Whether encode() of `view` gives back `bytes`, which it was decoded from.
[[nodiscard]] bool is_canonical(const MessageView& view, std::span<const std::byte> bytes);

}  // namespace kvferry::wire
