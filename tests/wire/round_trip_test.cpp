// SPDX-License-Identifier: Apache-2.0
// Goal: whatever can be said comes back as it was said, as bytes and as JSON. Method: random
// messages from printed seeds, with values near the boundaries of the integer forms.
#include <array>
#include <limits>
#include <random>

#include "kvferry/wire/lint.hpp"
#include "kvferry/wire/serialized_layout.hpp"
#include "samples.hpp"

namespace kvferry::wire {
namespace {

constexpr std::uint64_t kMessages = 2000;

class Generator {
 public:
  explicit Generator(std::uint64_t seed) : random_{seed} {}

  RdmaLayoutDescriptors message() {
    RdmaLayoutDescriptors made;
    made.worker_address = {WorkerId{integer()}, text()};
    made.nixl_metadata.resize(below(600));
    for (std::byte& byte : made.nixl_metadata) {
      byte = static_cast<std::byte>(below(256));
    }
    const std::uint64_t count = below(4);
    for (std::uint64_t i = 0; i < count; ++i) {
      made.layouts.push_back({LayoutHandle::from_bits(integer(), integer()), layout()});
    }
    return made;
  }

 private:
  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

  std::uint64_t integer() {
    constexpr std::array<std::uint64_t, 6> kNear{
        0, 251, 0x1'0000, 0x1'0000'0000, 1ULL << 63U, std::numeric_limits<std::uint64_t>::max()};
    return below(2) == 0 ? random_() >> below(64) : kNear[below(kNear.size())] + below(3) - 1;
  }

  std::string text() {
    constexpr std::array<std::string_view, 6> kParts{
        "a", "worker-7", "\xC5\xBC", "\xF0\x9F\x9A\xA2", "\"\\\n", std::string_view{"\0", 1}};
    std::string made;
    for (std::uint64_t i = below(40); i > 0; --i) {
      made += kParts[below(kParts.size())];
    }
    return made;
  }

  StorageKind location() {
    switch (below(4)) {
      case 0: return StorageKind::system();
      case 1: return StorageKind::pinned();
      case 2: return StorageKind::device(static_cast<std::uint32_t>(integer()));
      default: return StorageKind::disk(integer());
    }
  }

  LayoutDescriptor layout() {
    LayoutDescriptor made;
    made.version = static_cast<std::uint32_t>(integer());
    made.layout_config = {.num_blocks = integer(),
                          .num_layers = integer(),
                          .outer_dim = integer(),
                          .page_size = integer(),
                          .inner_dim = integer(),
                          .alignment = integer(),
                          .dtype_width_bytes = integer(),
                          .inner_shape = static_cast<layout::InnerShape>(below(3))};
    made.location = location();
    made.nixl_metadata = {text(), static_cast<MemType>(below(6)), integer()};
    for (std::uint64_t i = below(5); i > 0; --i) {
      made.memory_descriptors.push_back({integer(), integer()});
    }
    made.layout_type_details = details_of(static_cast<layout::Arrangement>(below(3)));
    return made;
  }

  std::mt19937_64 random_;
};

TEST(RoundTrip, KeepsEveryRandomMessage) {
  for (std::uint64_t seed = 0; seed < kMessages; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const RdmaLayoutDescriptors message = Generator{seed}.message();
    const auto packed =
        SerializedLayout::pack(message.worker_address, message.nixl_metadata, message.layouts);
    ASSERT_TRUE(packed) << packed.error().message;
    const auto view = decode_view_as(MessageFormat::kA, packed->as_bytes());
    ASSERT_TRUE(view) << view.error().message;
    ASSERT_EQ(to_owned(*view), message);
    ASSERT_TRUE(is_canonical(*view, packed->as_bytes()));
    static_cast<void>(lint(*view));  // Must stand any values.
    for (const LocalLayoutDescriptor& local : message.layouts) {
      const auto text = local.layout.to_json();
      ASSERT_TRUE(text) << text.error().message;
      const auto read = LayoutDescriptor::from_json(*text);
      ASSERT_TRUE(read) << read.error().message;
      ASSERT_EQ(*read, local.layout);
    }
  }
}

TEST(RoundTrip, SurvivesRandomDamage) {
  for (std::uint64_t seed = 0; seed < kMessages; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const RdmaLayoutDescriptors message = Generator{seed}.message();
    const auto packed =
        SerializedLayout::pack(message.worker_address, message.nixl_metadata, message.layouts);
    samples::Bytes bytes{packed->as_bytes().begin(), packed->as_bytes().end()};
    std::mt19937_64 random{seed};
    for (int i = 0; i < 3; ++i) {
      bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    }
    const auto view = decode_view(bytes);
    if (!view) {
      ASSERT_EQ(view.error().code, ErrorCode::kCorrupt);
      continue;
    }
    static_cast<void>(lint(*view));
    const samples::Bytes again = encode(*view);
    const auto view_again = decode_view(again);
    ASSERT_TRUE(view_again);
    ASSERT_EQ(to_owned(*view_again), to_owned(*view));
  }
}

}  // namespace
}  // namespace kvferry::wire
