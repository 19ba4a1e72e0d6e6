// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "geometry.hpp"
#include "kvferry/base/ids.hpp"
#include "kvferry/layout/compatibility.hpp"
#include "kvferry/layout/config.hpp"
#include "kvferry/layout/layout.hpp"
#include "kvferry/layout/planes.hpp"
#include "kvferry/layout/view.hpp"
#include "kvferry/wire/metadata.hpp"
#include "outcome.hpp"
#include "words.hpp"

namespace kvferry::tool {

/// `geometry:NAME[,key=value...]`: a layout made on the spot, without memory.
struct GeometrySpec {
  Geometry geometry{};
  std::uint64_t blocks{64};
  layout::Arrangement arrangement{layout::Arrangement::kFullyContiguous};
  layout::BlockAxes order{layout::kNhd};
  std::uint64_t page_size{0};
  std::uint64_t dtype_width_bytes{2};
  layout::Rank tp{};
  layout::Rank pp{};

  /// The layout that is meant; without memory.
  ///
  /// Errors: invalid for ranks that cannot be.
  [[nodiscard]] Outcome<layout::PackedLayout> packed() const;

  friend bool operator==(const GeometrySpec&, const GeometrySpec&) = default;
};

/// `FILE` or `FILE:LAYOUT_ID`: a layout of a message.
struct FileSpec {
  std::string path;
  std::optional<std::uint64_t> layout_id;
};

using Spec = std::variant<GeometrySpec, FileSpec>;

/// "fc", "ls" or "ls2".
///
/// Errors: usage.
[[nodiscard]] Outcome<layout::Arrangement> parse_arrangement(std::string_view text);

/// A geometry with its defaults.
///
/// Errors: invalid when there is none of that name.
[[nodiscard]] Outcome<GeometrySpec> named_geometry(std::string_view name);

/// Sets what `key` of a SPEC says.
///
/// Errors: usage for an unknown key or word; invalid for a key that is documented but not there
///         yet.
[[nodiscard]] Outcome<GeometrySpec> with_key(GeometrySpec spec, std::string_view key,
                                             std::string_view value);

/// Reads a SPEC; opens no file.
[[nodiscard]] Outcome<Spec> parse_spec(std::string_view text);

/// What a message says of one layout.
struct SaidLayout {
  LayoutHandle handle{};
  StorageKind location{};
  layout::Description description{};
  std::vector<Region> regions{};
  std::string plane{};  ///< of the layout with the same handle; empty: none
  std::string model{};
  std::string group{};
};

/// A message of any format, with as much of it as all formats share.
struct SaidMessage {
  std::string format{};  ///< "A", "B", "A or B", "envelope"
  std::size_t bytes{0};
  wire::WorkerAddress worker{};
  std::vector<SaidLayout> layouts{};
};

/// Errors: those of decode_view() and decode_envelope().
[[nodiscard]] Result<SaidMessage> read_message(std::span<const std::byte> bytes);

/// Reads the message of a file, or of standard input for "-".
///
/// Errors: invalid when it does not decode; not there for a file that cannot be read.
[[nodiscard]] Outcome<SaidMessage> read_message(const std::string& path);

/// The layout of `message` that `spec` names, the only one or the one with its id, and behind it
/// its planes.
///
/// Errors:   invalid when there is none, or several and no id.
/// Lifetime: points into `message`.
[[nodiscard]] Outcome<std::span<const SaidLayout>> find_layout(const FileSpec& spec,
                                                               const SaidMessage& message);

/// What of `assumption` is about `said`: of a plane, which layers are here; the rest is assumed of
/// the data.
[[nodiscard]] layout::Assumptions assumptions_of(const SaidLayout& said,
                                                 const layout::Assumptions& assumption);

/// The view of a message's layout, with what is assumed of it.
///
/// Errors: those of with_assumptions() and layout::view_of().
[[nodiscard]] Result<layout::LayoutView> view_of(const SaidLayout& said,
                                                 const layout::Assumptions& assumption);

/// A layout that a SPEC names, with all that is said of it. The regions of its planes lie behind
/// its own.
struct SpecLayout {
  layout::LayoutView view;
  std::vector<layout::Plane> planes{};
  std::string model{};
  std::string group{};

  /// Lifetime: as long as this.
  [[nodiscard]] layout::Compared compared() const noexcept { return {view, planes, model, group}; }
};

/// The layout that a SPEC names. `assumption` is what is known of a message's layouts beside what
/// it says; a geometry needs none.
///
/// Errors: invalid for values out of range, a message that does not decode or a layout that is not
///         in it; not there for a file that cannot be read.
[[nodiscard]] Outcome<SpecLayout> layout_of(const Spec& spec,
                                            const layout::Assumptions& assumption);

}  // namespace kvferry::tool
