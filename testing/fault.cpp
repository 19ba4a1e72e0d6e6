// SPDX-License-Identifier: Apache-2.0
#include "kvferry/testing/fault.hpp"

#include <array>
#include <charconv>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "kvferry/base/try.hpp"

namespace kvferry::testing {
namespace {

constexpr std::array<std::pair<std::string_view, FaultKind>, 7> kNames{{
    {"stop-owner", FaultKind::kStopOwner},
    {"kill-owner", FaultKind::kKillOwner},
    {"kill-self", FaultKind::kKillSelf},
    {"drop", FaultKind::kDrop},
    {"delay", FaultKind::kDelay},
    {"corrupt", FaultKind::kCorrupt},
    {"fail", FaultKind::kFail},
}};

// More cannot be multiplied by the size of a piece, or is no delay that anybody waits for.
constexpr std::uint64_t kPieceMax = std::uint64_t{1} << 40U;
constexpr std::uint64_t kDelayMsMax = 3'600'000;

Error invalid(std::string_view spec, std::string_view what) {
  return Error{ErrorCode::kInvalidArgument,
               "fault \"" + std::string{spec} + "\": " + std::string{what}};
}

std::optional<std::uint64_t> number(std::string_view text, std::uint64_t bound) {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, value);
  if (failure != std::errc{} || stop != end || value > bound) {
    return std::nullopt;
  }
  return value;
}

std::optional<Duration> duration(std::string_view text) {
  std::uint64_t unit_ms = 1;
  if (text.ends_with("ms")) {
    text.remove_suffix(2);
  } else if (text.ends_with("s")) {
    text.remove_suffix(1);
    unit_ms = 1000;
  } else {
    return std::nullopt;
  }
  const auto count = number(text, kDelayMsMax / unit_ms);
  if (!count) {
    return std::nullopt;
  }
  return Duration{std::chrono::milliseconds{*count * unit_ms}};
}

Result<FaultKind> kind_of(std::string_view spec, std::string_view word) {
  for (const auto& [name, kind] : kNames) {
    if (word == name) {
      return kind;
    }
  }
  return invalid(spec, "no fault has the name \"" + std::string{word} + "\"");
}

}  // namespace

Result<Fault> parse_fault(std::string_view spec) {
  const std::size_t at = spec.find('@');
  if (at == std::string_view::npos) {
    return invalid(spec, "is not NAME@PIECE");
  }
  Fault fault;
  KVFERRY_ASSIGN_OR_RETURN(fault.kind, kind_of(spec, spec.substr(0, at)));
  std::string_view place = spec.substr(at + 1);
  const std::size_t colon = place.find(':');
  if ((colon != std::string_view::npos) != (fault.kind == FaultKind::kDelay)) {
    return invalid(spec, "delay, and only delay, is NAME@PIECE:TIME");
  }
  if (colon != std::string_view::npos) {
    const auto delay = duration(place.substr(colon + 1));
    if (!delay) {
      return invalid(spec, "its time is not a number of ms or s up to an hour");
    }
    fault.delay = *delay;
    place = place.substr(0, colon);
  }
  const auto piece = number(place, kPieceMax);
  if (!piece) {
    return invalid(spec, "its piece is not a number up to " + std::to_string(kPieceMax));
  }
  fault.piece = *piece;
  return fault;
}

}  // namespace kvferry::testing
