// SPDX-License-Identifier: Apache-2.0
#include "kvferry/wire/lint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <span>
#include <tuple>

#include "kvferry/base/checked.hpp"
#include "wire/field.hpp"
#include "wire/text.hpp"

namespace kvferry::wire {
namespace {

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

/// The last byte of a region that is not empty, held at the last address.
std::uint64_t last_byte(const Region& region) noexcept {
  return checked_add(region.address, region.size_bytes - 1).value_or(kMax);
}

bool names_each_axis(std::array<BlockDim, 4> dims) {
  std::ranges::sort(dims);
  return std::ranges::adjacent_find(dims) == dims.end();
}

std::uint64_t saturated(std::optional<std::uint64_t> product) noexcept {
  return product.value_or(kMax);
}

class Linter {
 public:
  /// Without `explains`, only whether import is refused is found out.
  Linter(const MessageView& view, bool explains) : view_{view}, explains_{explains} {}

  std::vector<Lint> lints() {
    look();
    std::ranges::sort(lints_, {}, [](const Lint& lint) {
      return std::tuple{lint.rule, !lint.refuses_import};
    });
    return std::move(lints_);
  }

  bool refuses() {
    look();
    return refuses_;
  }

 private:
  void look() {
    worker_name();
    for (index_ = 0; index_ < view_.layouts().size(); ++index_) {
      const LocalLayoutView& layout = view_.layouts()[index_];
      handle(layout);
      version(layout);
      config(layout.layout_config);
      order(layout.layout_type_details);
      names(layout);
      location(layout);
      regions(layout, view_.regions_of(layout));
    }
    duplicate_handles();
  }

  /// Counts a broken rule and tells, the first time, where and how. There are few rules, so what is
  /// held stays small however many places break them.
  template <class Message>
  void note(LintRule rule, bool refuses, FieldPath path, const Message& message) {
    refuses_ = refuses_ || refuses;
    if (!explains_) {
      return;
    }
    path.layout = index_;
    const auto known = std::ranges::find_if(lints_, [rule, refuses](const Lint& lint) {
      return lint.rule == rule && lint.refuses_import == refuses;
    });
    if (known != lints_.end()) {
      ++known->occurrences;
      return;
    }
    lints_.push_back(Lint{rule, refuses, 1, fmt::format("{}: {}", to_string(path), message())});
  }
  template <class Message>
  void refuse(LintRule rule, FieldPath path, const Message& message) {
    note(rule, true, path, message);
  }

  void worker_name() {
    const std::string_view name = view_.nixl_agent_name;
    if (name.empty() || has_control_character(name)) {
      empty_or_control(Field::kWorkerAgentName, name);
    }
  }

  void empty_or_control(Field field, std::string_view name) {
    refuse(LintRule::kAgentNameEmptyOrControl, {field}, [name] {
      return name.empty() ? "an empty name" : printable(name) + " holds a control character";
    });
  }

  void names(const LocalLayoutView& layout) {
    const std::string_view name = layout.agent_name;
    const bool same = name == view_.nixl_agent_name;
    if (!same) {
      refuse(LintRule::kAgentNameMismatch, {Field::kAgentName}, [this, name] {
        return fmt::format("{} is not the worker's {}", printable(name),
                           printable(view_.nixl_agent_name));
      });
    }
    // An equal name broke the rule already as the worker's.
    if (!same && (name.empty() || has_control_character(name))) {
      empty_or_control(Field::kAgentName, name);
    }
  }

  void handle(const LocalLayoutView& layout) {
    const LayoutHandle handle = layout.handle;
    if (handle.worker_id() != view_.worker_id) {
      refuse(LintRule::kHandleWorkerMismatch, {Field::kHandle}, [this, handle] {
        return fmt::format("worker {} in a message of worker {}", handle.worker_id().value(),
                           view_.worker_id.value());
      });
    }
    if (handle.has_reserved_bits()) {
      note(LintRule::kHandleReservedBits, false, {Field::kHandle}, [handle] {
        return fmt::format("reserved bits {:#x} are not zero", handle.high_bits() >> 16U);
      });
    }
  }

  void version(const LocalLayoutView& layout) {
    if (layout.version == 0) {
      note(LintRule::kVersionZero, false, {Field::kVersion}, [] { return "0, writers write 1"; });
    } else if (layout.version > kLayoutVersion) {
      refuse(LintRule::kVersionUnsupported, {Field::kVersion},
             [&layout] { return fmt::format("{} of at most {}", layout.version, kLayoutVersion); });
    }
  }

  void at_least_one(Field field, std::uint64_t value) {
    if (value == 0) {
      refuse(LintRule::kConfigRange, {field}, [] { return "0, at least 1"; });
    }
  }

  void config(const layout::LayoutConfig& config) {
    at_least_one(Field::kNumBlocks, config.num_blocks);
    at_least_one(Field::kNumLayers, config.num_layers);
    if (config.outer_dim != 1 && config.outer_dim != 2) {
      refuse(LintRule::kConfigRange, {Field::kOuterDim},
             [&config] { return fmt::format("{}, neither 1 nor 2", config.outer_dim); });
    }
    at_least_one(Field::kPageSize, config.page_size);
    at_least_one(Field::kInnerDim, config.inner_dim);
    const std::uint64_t alignment = config.alignment;
    if (alignment == 0 || (alignment & (alignment - 1)) != 0) {
      refuse(LintRule::kAlignmentNotPowerOf2, {Field::kAlignment},
             [alignment] { return fmt::format("{} is not a power of two", alignment); });
    }
    const std::uint64_t width = config.dtype_width_bytes;
    if (width != 2 && width != 4 && width != 8) {
      note(LintRule::kDtypeWidth, width != 1, {Field::kDtypeWidthBytes},
           [width] { return fmt::format("{} is none of 2, 4, 8", width); });
    }
    const auto product =
        checked_product({config.num_blocks, config.num_layers, config.outer_dim, config.page_size,
                         config.inner_dim, config.dtype_width_bytes});
    if (!product) {
      refuse(LintRule::kProductOverflow, {Field::kLayoutConfig}, [&config] {
        return fmt::format("{} x {} x {} x {} x {} x {} bytes of at most 2^64 - 1",
                           config.num_blocks, config.num_layers, config.outer_dim, config.page_size,
                           config.inner_dim, config.dtype_width_bytes);
      });
    }
  }

  void order(const LayoutTypeDetails& details) {
    const auto& order = kv_block_layout_of(details);
    if (!order) {
      return;
    }
    const bool separate = std::holds_alternative<LayerSeparateDetails>(details);
    const Field field = separate ? Field::kSeparateOrder : Field::kContiguousOrder;
    const bool custom = order->type == KvBlockLayout::Type::kCustom;
    if (custom && !names_each_axis(order->custom)) {
      refuse(LintRule::kCustomOrderNotAPermutation, {field}, [&order] {
        const auto& dims = order->custom;
        return fmt::format("{}, {}, {}, {} does not name each axis once", to_string(dims[0]),
                           to_string(dims[1]), to_string(dims[2]), to_string(dims[3]));
      });
    }
    if (separate && (custom || order->type == KvBlockLayout::Type::kUniversalTp ||
                     order->type == KvBlockLayout::Type::kUniversalPp)) {
      note(LintRule::kLayerSeparateOrder, false, {field}, [&order] {
        return fmt::format("{} of regions that hold one layer each", to_string(order->type));
      });
    }
  }

  void location(const LocalLayoutView& layout) {
    if (layout.mem_type != mem_type_of(layout.location)) {
      refuse(LintRule::kLocationMemTypeMismatch, {Field::kMemType}, [&layout] {
        return fmt::format("{} of a layout in {}", to_string(layout.mem_type),
                           kvferry::to_string(layout.location));
      });
    }
    if (layout.device_id != layout.location.id) {
      refuse(LintRule::kLocationDeviceMismatch, {Field::kDeviceId}, [&layout] {
        return fmt::format("{} of a layout in {}", layout.device_id,
                           kvferry::to_string(layout.location));
      });
    }
  }

  void regions(const LocalLayoutView& layout, std::span<const Region> regions) {
    const layout::LayoutConfig& config = layout.layout_config;
    const bool contiguous =
        std::holds_alternative<FullyContiguousDetails>(layout.layout_type_details);
    const std::uint64_t count_needed = contiguous ? 1 : config.num_layers;
    if (!layout.strided && regions.size() != count_needed) {
      refuse(LintRule::kRegionCount, {Field::kRegions}, [&regions, count_needed] {
        return fmt::format("{} regions of {}", regions.size(), count_needed);
      });
    }
    const std::uint64_t bytes_needed =
        layout.strided
            ? 0
            : saturated(checked_product({config.num_blocks, contiguous ? config.num_layers : 1,
                                         config.outer_dim, config.page_size, config.inner_dim,
                                         config.dtype_width_bytes}));
    const bool on_disk = layout.location.type == StorageKind::Type::kDisk;
    for (std::size_t i = 0; i < regions.size(); ++i) {
      region(i, regions[i], bytes_needed, on_disk);
    }
    overlap(regions);
  }

  void region(std::size_t index, const Region& region, std::uint64_t bytes_needed, bool on_disk) {
    if (region.size_bytes < bytes_needed) {
      refuse(LintRule::kRegionTooSmall, {Field::kRegionSize, 0, index}, [&region, bytes_needed] {
        return fmt::format("{} of at least {} bytes", region.size_bytes, bytes_needed);
      });
    }
    if (region.address == 0 && !on_disk) {
      refuse(LintRule::kAddressZero, {Field::kRegionAddress, 0, index},
             [] { return "0, which is no address of memory"; });
    }
    // A region may end exactly at 2^64.
    if (region.size_bytes != 0 && !checked_add(region.address, region.size_bytes - 1)) {
      refuse(LintRule::kAddressOverflow, {Field::kRegion, 0, index}, [&region] {
        return fmt::format("{} bytes at {} end past 2^64", region.size_bytes, region.address);
      });
    }
  }

  /// Whether each region begins behind the one before it, as regions mostly do.
  static bool follow_each_other(std::span<const Region> regions) noexcept {
    const Region* before{nullptr};
    for (const Region& region : regions) {
      if (region.size_bytes == 0) {
        continue;
      }
      if (before != nullptr && last_byte(*before) >= region.address) {
        return false;
      }
      before = &region;
    }
    return true;
  }

  void overlap(std::span<const Region> regions) {
    if (follow_each_other(regions)) {
      return;
    }
    order_.clear();
    for (std::size_t i = 0; i < regions.size(); ++i) {
      if (regions[i].size_bytes != 0) {
        order_.push_back(i);
      }
    }
    std::ranges::stable_sort(order_, {}, [&regions](std::size_t i) { return regions[i].address; });
    // If any two overlap, then so do two neighbours.
    for (std::size_t k = 1; k < order_.size(); ++k) {
      const std::size_t lower = order_[k - 1];
      const std::size_t upper = order_[k];
      if (last_byte(regions[lower]) >= regions[upper].address) {
        refuse(LintRule::kRegionsOverlap, {Field::kRegion, 0, upper}, [&regions, lower, upper] {
          return fmt::format("begins at {}, inside memory_descriptors[{}], {} bytes at {}",
                             regions[upper].address, lower, regions[lower].size_bytes,
                             regions[lower].address);
        });
      }
    }
  }

  void duplicate_handles() {
    const auto from = [](const LocalLayoutView& one, const LocalLayoutView& next) {
      return one.handle >= next.handle && !next.is_plane;
    };
    if (std::ranges::adjacent_find(view_.layouts(), from) == view_.layouts().end()) {
      return;
    }
    order_.resize(view_.layouts().size());
    for (std::size_t i = 0; i < order_.size(); ++i) {
      order_[i] = i;
    }
    const auto handle_of = [this](std::size_t i) { return view_.layouts()[i].handle; };
    std::ranges::stable_sort(order_, {}, handle_of);
    for (std::size_t k = 1; k < order_.size(); ++k) {
      if (handle_of(order_[k - 1]) == handle_of(order_[k]) &&
          !view_.layouts()[order_[k]].is_plane) {
        index_ = order_[k];
        refuse(LintRule::kDuplicateHandle, {Field::kHandle}, [this, k, &handle_of] {
          return fmt::format("{} is also that of layouts[{}]",
                             kvferry::to_string(handle_of(order_[k])), order_[k - 1]);
        });
      }
    }
  }

  const MessageView& view_;
  bool explains_;
  bool refuses_{false};
  std::size_t index_{0};              ///< of the layout looked at
  std::vector<std::size_t> order_{};  ///< of regions or layouts; kept, so that it is allocated once
  std::vector<Lint> lints_{};
};

}  // namespace

std::string_view to_string(LintRule rule) noexcept {
  switch (rule) {
    case LintRule::kAddressOverflow: return "address_overflow";
    case LintRule::kAddressZero: return "address_zero";
    case LintRule::kAgentNameEmptyOrControl: return "agent_name_empty_or_control";
    case LintRule::kAgentNameMismatch: return "agent_name_mismatch";
    case LintRule::kAlignmentNotPowerOf2: return "alignment_not_power_of_2";
    case LintRule::kConfigRange: return "config_range";
    case LintRule::kCustomOrderNotAPermutation: return "custom_order_not_a_permutation";
    case LintRule::kDtypeWidth: return "dtype_width";
    case LintRule::kDuplicateHandle: return "duplicate_handle";
    case LintRule::kHandleReservedBits: return "handle_reserved_bits";
    case LintRule::kHandleWorkerMismatch: return "handle_worker_mismatch";
    case LintRule::kLayerSeparateOrder: return "layer_separate_order";
    case LintRule::kLocationDeviceMismatch: return "location_device_mismatch";
    case LintRule::kLocationMemTypeMismatch: return "location_mem_type_mismatch";
    case LintRule::kProductOverflow: return "product_overflow";
    case LintRule::kRegionCount: return "region_count";
    case LintRule::kRegionTooSmall: return "region_too_small";
    case LintRule::kRegionsOverlap: return "regions_overlap";
    case LintRule::kVersionUnsupported: return "version_unsupported";
    case LintRule::kVersionZero: return "version_zero";
  }
  return "unknown";
}

std::vector<Lint> lint(const MessageView& view) { return Linter{view, true}.lints(); }

bool breaks_import_rule(const MessageView& view) { return Linter{view, false}.refuses(); }

}  // namespace kvferry::wire
