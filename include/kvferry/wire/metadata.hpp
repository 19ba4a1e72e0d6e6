// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "kvferry/base/ids.hpp"
#include "kvferry/base/result.hpp"
#include "kvferry/base/run.hpp"
#include "kvferry/base/storage_kind.hpp"
#include "kvferry/layout/config.hpp"
#include "kvferry/layout/layout.hpp"
#include "kvferry/layout/packed.hpp"
#include "kvferry/wire/limits.hpp"

// What a message of format A or B says, as values that own what they hold. serialized_layout.hpp
// turns them into bytes and back; message_view.hpp reads bytes without copying; lint.hpp says which
// rules of import a message breaks.
//
//   wire::LayoutDescriptor layout{.layout_config = config,
//                                 .nixl_metadata = {.agent_name = "worker-7"},
//                                 .memory_descriptors = {{address, size_bytes}}};
//   const wire::LocalLayoutDescriptor local{LayoutHandle{WorkerId{7}, LayoutId{0}}, layout};
//   auto message = wire::SerializedLayout::pack({WorkerId{7}, "worker-7"}, blob, {&local, 1});

namespace kvferry::wire {

/// The formats of the original's messages.
///
/// Source: docs/spec/wire-format.md, sections 1.3 and 1.4.
enum class MessageFormat : std::uint8_t { kA, kB };

/// "A", "B".
[[nodiscard]] std::string_view to_string(MessageFormat format) noexcept;

/// Who a message is from.
struct WorkerAddress {
  WorkerId worker_id{};
  std::string nixl_agent_name{};

  friend bool operator==(const WorkerAddress&, const WorkerAddress&) = default;
};

/// What NIXL calls the memory of a region. The wire's values, which are also NIXL's.
///
/// Source: docs/spec/wire-format.md, section 1.3.
enum class MemType : std::uint8_t {
  kDram = 0,
  kVram = 1,
  kBlock = 2,
  kObject = 3,
  kFile = 4,
  kUnknown = 5,
};

/// "Dram", "Vram", "Block", "Object", "File", "Unknown".
[[nodiscard]] std::string_view to_string(MemType type) noexcept;

/// The mem type that a writer pairs with a storage kind.
[[nodiscard]] MemType mem_type_of(StorageKind kind) noexcept;

/// What an agent needs, beside address and size, to reach the regions of a layout.
struct NixlMetadata {
  std::string agent_name{};
  MemType mem_type{MemType::kDram};
  std::uint64_t device_id{0};  ///< device ordinal or file descriptor; 0 for memory of the host

  friend bool operator==(const NixlMetadata&, const NixlMetadata&) = default;
};

/// One region of a layout: `addr` and `size` of the wire are `address` and `size_bytes` here.
using MemoryDescriptor = Region;

/// The inside of a fully contiguous block; the format knows one.
enum class BlockFormat : std::uint8_t { kOperational = 0 };

/// "Operational".
[[nodiscard]] std::string_view to_string(BlockFormat format) noexcept;

/// "BlockIsFirstDim", "BlockIsSecondDim".
[[nodiscard]] std::string_view variant_name(layout::BlockDimension dimension) noexcept;

/// An axis of a block, as format B names it.
enum class BlockDim : std::uint8_t { kLayer = 0, kOuter = 1, kPage = 2, kHead = 3 };

/// "Layer", "Outer", "Page", "Head".
[[nodiscard]] std::string_view to_string(BlockDim dim) noexcept;

/// The order of the axes of a block, as format B says it.
///
/// Source: docs/spec/wire-format.md, section 1.4.
struct KvBlockLayout {
  enum class Type : std::uint8_t {
    kUniversalTp = 0,
    kUniversalPp = 1,
    kOperationalHnd = 2,
    kOperationalNhd = 3,
    kCustom = 4,
    kUnknown = 5,
  };

  Type type{Type::kUnknown};
  std::array<BlockDim, 4> custom{};  ///< outermost first; of kCustom only

  friend bool operator==(const KvBlockLayout&, const KvBlockLayout&) = default;
};

/// "UniversalTP", "UniversalPP", "OperationalHND", "OperationalNHD", "Custom", "Unknown".
[[nodiscard]] std::string_view to_string(KvBlockLayout::Type type) noexcept;

/// One region with the block outermost.
struct FullyContiguousDetails {
  BlockFormat block_format{BlockFormat::kOperational};
  std::optional<KvBlockLayout> kv_block_layout{};  ///< format B; nothing is written as Unknown

  friend bool operator==(const FullyContiguousDetails&, const FullyContiguousDetails&) = default;
};

/// One region for each layer.
struct LayerSeparateDetails {
  layout::BlockDimension block_dim{layout::BlockDimension::kBlockIsFirstDim};
  std::optional<KvBlockLayout> kv_block_layout{};  ///< format B; nothing is written as Unknown

  friend bool operator==(const LayerSeparateDetails&, const LayerSeparateDetails&) = default;
};

using LayoutTypeDetails = std::variant<FullyContiguousDetails, LayerSeparateDetails>;

/// The arrangement that `details` stand for, and the details that stand for `arrangement`.
[[nodiscard]] layout::Arrangement arrangement_of(const LayoutTypeDetails& details) noexcept;
[[nodiscard]] LayoutTypeDetails details_of(layout::Arrangement arrangement) noexcept;

/// What `details` say of the order of a block; nothing in format A.
[[nodiscard]] const std::optional<KvBlockLayout>& kv_block_layout_of(
    const LayoutTypeDetails& details) noexcept;

/// How format B says an order; nothing is Unknown. The order names each axis once.
[[nodiscard]] KvBlockLayout kv_block_layout_of(
    const std::optional<layout::BlockAxes>& order) noexcept;

/// The layout that is told, whichever format tells its order. An order that regions of one layer
/// each cannot have is unknown, as the original takes it.
[[nodiscard]] layout::PackedLayout told_layout(const layout::LayoutConfig& config,
                                               const LayoutTypeDetails& details);

/// The version that writers of formats A and B put into each layout.
inline constexpr std::uint32_t kLayoutVersion = 1;

/// Everything about one layout that another worker may want to know.
///
/// Source: docs/spec/wire-format.md, sections 1.3 and 1.11.
struct LayoutDescriptor {
  std::uint32_t version{kLayoutVersion};
  layout::LayoutConfig layout_config{};
  StorageKind location{};
  NixlMetadata nixl_metadata{};
  std::vector<MemoryDescriptor> memory_descriptors{};
  LayoutTypeDetails layout_type_details{};

  /// The layout as JSON, byte for byte as the original of `format` writes it.
  ///
  /// Errors: kInvalidArgument naming what the format cannot carry, as SerializedLayout::pack().
  [[nodiscard]] Result<std::string> to_json(MessageFormat format = MessageFormat::kA) const;
  [[nodiscard]] Result<std::vector<std::byte>> to_json_bytes(
      MessageFormat format = MessageFormat::kA) const;

  /// Reads JSON as strictly as the original of `format` does; that of B also takes the text of A,
  /// without the inner shape. What the values mean is not checked.
  ///
  /// Errors: kCorrupt naming the field ("layout_config.num_blocks: ...").
  [[nodiscard]] static Result<LayoutDescriptor> from_json(std::string_view text,
                                                          const WireLimits& limits = WireLimits{},
                                                          MessageFormat format = MessageFormat::kA);
  [[nodiscard]] static Result<LayoutDescriptor> from_json_bytes(
      std::span<const std::byte> text, const WireLimits& limits = WireLimits{},
      MessageFormat format = MessageFormat::kA);

  friend bool operator==(const LayoutDescriptor&, const LayoutDescriptor&) = default;
};

/// The tier that a layout serves, as format B says it.
enum class LogicalType : std::uint8_t { kG1 = 0, kG2 = 1, kG3 = 2, kG4 = 3 };

/// "G1", "G2", "G3", "G4".
[[nodiscard]] std::string_view to_string(LogicalType type) noexcept;

/// A layout and the handle that names it.
struct LocalLayoutDescriptor {
  LayoutHandle handle{};
  LayoutDescriptor layout{};
  std::optional<LogicalType> logical_type{};  ///< format B; nothing is written as G2

  friend bool operator==(const LocalLayoutDescriptor&, const LocalLayoutDescriptor&) = default;
};

/// Everything that one message says.
struct RdmaLayoutDescriptors {
  WorkerAddress worker_address{};
  std::vector<std::byte> nixl_metadata{};  ///< opaque here; the agent that wrote it reads it
  std::vector<LocalLayoutDescriptor> layouts{};

  friend bool operator==(const RdmaLayoutDescriptors&, const RdmaLayoutDescriptors&) = default;
};

}  // namespace kvferry::wire
