// SPDX-License-Identifier: Apache-2.0
#include "fuzz/reference_reader.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace kvferry::fuzz {
namespace {

/// Thrown at the first thing that is not as the format wants it.
struct Refused {};

void want(bool holds) {
  if (!holds) {
    throw Refused{};
  }
}

/// Whether `text` is UTF-8, by computing each code point and asking whether this was its shortest
/// form.
bool is_utf8(const std::string& text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<std::uint8_t>(text[i++]);
    if (lead < 0x80) {
      continue;
    }
    const int more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
    if (lead < 0xC0 || lead > 0xF7) {
      return false;
    }
    std::uint32_t point = lead & (0x3FU >> more);
    for (int k = 0; k < more; ++k, ++i) {
      if (i == text.size() || (static_cast<std::uint8_t>(text[i]) & 0xC0U) != 0x80) {
        return false;
      }
      point = point << 6U | (static_cast<std::uint8_t>(text[i]) & 0x3FU);
    }
    const std::uint32_t least = more == 3 ? 0x10000 : more == 2 ? 0x800 : 0x80;
    if (point < least || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) {
      return false;
    }
  }
  return true;
}

class ReferenceReader {
 public:
  ReferenceReader(std::span<const std::byte> bytes, const wire::WireLimits& limits)
      : bytes_{bytes}, limits_{limits} {}

  wire::RdmaLayoutDescriptors message() {
    want(bytes_.size() <= limits_.message_bytes);
    wire::RdmaLayoutDescriptors message;
    message.worker_address.worker_id = WorkerId{integer(8)};
    message.worker_address.nixl_agent_name = name();
    message.nixl_metadata = blob(limits_.nixl_metadata_bytes);
    const std::uint64_t count = integer(8);
    want(count <= limits_.layouts);
    for (std::uint64_t i = 0; i < count; ++i) {
      message.layouts.push_back(local_layout());
    }
    want(at_ == bytes_.size());
    return message;
  }

 private:
  std::uint8_t byte() {
    want(at_ < bytes_.size());
    return std::to_integer<std::uint8_t>(bytes_[at_++]);
  }

  std::uint64_t fixed(int bytes) {
    std::uint64_t value{0};
    for (int i = 0; i < bytes; ++i) {
      value |= std::uint64_t{byte()} << (8 * i);
    }
    return value;
  }

  /// An integer of at most `bytes_max` bytes; `high` takes what does not fit into 64 bits.
  std::uint64_t integer(int bytes_max, std::uint64_t* high = nullptr) {
    const std::uint8_t first = byte();
    if (first <= 250) {
      return first;
    }
    want(first <= 254);
    const int bytes = 1 << (first - 250);
    want(bytes <= bytes_max);
    if (bytes < 16) {
      return fixed(bytes);
    }
    const std::uint64_t low = fixed(8);
    *high = fixed(8);
    return low;
  }

  std::size_t variant(std::uint64_t count) {
    const std::uint64_t index = integer(4);
    want(index < count);
    return static_cast<std::size_t>(index);
  }

  std::vector<std::byte> blob(std::uint64_t limit) {
    const std::uint64_t length = integer(8);
    want(length <= limit);
    std::vector<std::byte> bytes;
    for (std::uint64_t i = 0; i < length; ++i) {
      bytes.push_back(static_cast<std::byte>(byte()));
    }
    return bytes;
  }

  std::string name() {
    std::string text;
    for (const std::byte one : blob(limits_.agent_name_bytes)) {
      text.push_back(static_cast<char>(one));
    }
    want(is_utf8(text));
    return text;
  }

  wire::LocalLayoutDescriptor local_layout() {
    wire::LocalLayoutDescriptor local;
    std::uint64_t high{0};
    const std::uint64_t low = integer(16, &high);
    local.handle = LayoutHandle::from_bits(high, low);
    local.layout.version = static_cast<std::uint32_t>(integer(4));
    layout::LayoutConfig& config = local.layout.layout_config;
    config.num_blocks = integer(8);
    config.num_layers = integer(8);
    config.outer_dim = integer(8);
    config.page_size = integer(8);
    config.inner_dim = integer(8);
    config.alignment = integer(8);
    config.dtype_width_bytes = integer(8);
    config.inner_shape = static_cast<layout::InnerShape>(variant(3));
    local.layout.location = location();
    local.layout.nixl_metadata.agent_name = name();
    local.layout.nixl_metadata.mem_type = static_cast<wire::MemType>(variant(6));
    local.layout.nixl_metadata.device_id = integer(8);
    const std::uint64_t regions = integer(8);
    want(regions <= limits_.descriptors_per_layout);
    for (std::uint64_t i = 0; i < regions; ++i) {
      const std::uint64_t address = integer(8);
      local.layout.memory_descriptors.push_back({address, integer(8)});
    }
    local.layout.layout_type_details = details();
    return local;
  }

  StorageKind location() {
    switch (variant(4)) {
      case 0: return StorageKind::system();
      case 1: return StorageKind::pinned();
      case 2: return StorageKind::device(static_cast<std::uint32_t>(integer(4)));
      default: return StorageKind::disk(integer(8));
    }
  }

  wire::LayoutTypeDetails details() {
    if (variant(2) == 0) {
      return wire::FullyContiguousDetails{static_cast<wire::BlockFormat>(variant(1))};
    }
    return wire::LayerSeparateDetails{static_cast<layout::BlockDimension>(variant(2))};
  }

  std::span<const std::byte> bytes_;
  const wire::WireLimits& limits_;
  std::size_t at_{0};
};

}  // namespace

std::optional<wire::RdmaLayoutDescriptors> read_reference(std::span<const std::byte> bytes,
                                                          const wire::WireLimits& limits) {
  try {
    return ReferenceReader{bytes, limits}.message();
  } catch (const Refused&) {
    return std::nullopt;
  }
}

}  // namespace kvferry::fuzz
