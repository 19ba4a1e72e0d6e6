// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "kvferry/base/try.hpp"
#include "kvferry/wire/message_view.hpp"
#include "kvferry/wire/serialized_layout.hpp"
#include "rust_program.hpp"
#include "suites.hpp"
#include "wire_messages.hpp"

namespace kvferry::bench {
namespace {

using wire::MessageFormat;
using wire::RdmaLayoutDescriptors;

constexpr std::string_view kBaseline{"kvbm-physical 1.6.1"};

/// A round takes the original some ten milliseconds; only a program that hangs takes this long.
constexpr std::chrono::seconds kPatience{30};

struct Case {
  std::string_view name;
  RdmaLayoutDescriptors message;
  int operations;  ///< in a round, which takes both sides some milliseconds
  double pack_bar;
  double unpack_bar;
};

std::array<Case, 3> cases() {
  return {{{"seed's message", seed_message(), 100'000, 1.8, 1.8},
           {"8 layouts of 80 layers", layered_message(8), 3'000, 3.0, 2.0},
           {"1,000 layouts", contiguous_message(1'000), 150, 3.0, 3.0}}};
}

CaseResult blank(const Case& one, std::string_view operation) {
  CaseResult result;
  result.suite = "wire";
  result.name = std::string{operation} + ", " + std::string{one.name};
  result.baseline = kBaseline;
  result.bar = operation == "pack" ? one.pack_bar : one.unpack_bar;
  result.figure = Figure::kTime;
  return result;
}

std::vector<CaseResult> all_skipped(const std::string& reason) {
  std::vector<CaseResult> results;
  for (const Case& one : cases()) {
    for (const std::string_view operation : {"pack", "unpack"}) {
      results.push_back(blank(one, operation));
      results.back().skipped = reason;
    }
  }
  return results;
}

/// Packs, and frees what it packed.
void pack(const RdmaLayoutDescriptors& message, std::optional<Error>& error) {
  const auto packed = wire::SerializedLayout::pack(message.worker_address, message.nixl_metadata,
                                                   message.layouts, MessageFormat::kB);
  if (!packed) {
    error = packed.error();
  }
}

/// Reads as import_metadata() does, without being told the format, and frees what it read.
void unpack(std::span<const std::byte> bytes, std::optional<Error>& error) {
  const auto view = wire::decode_view(bytes);
  if (!view) {
    error = view.error();
  }
}

/// Both sides in turns.
template <class Ours>
Result<CaseResult> run_case(const Case& one, std::string_view operation, const Ours& ours,
                            RustProgram& original, int rounds) {
  std::optional<Error> error;
  const TimedWork work{[&] { return seconds_of([&] { ours(error); }, one.operations); },
                       [&] {
                         Result<double> taken =
                             error ? Result<double>{*error}
                                   : original.seconds_of(operation, one.operations);
                         if (!taken) {
                           error = std::move(taken).error();
                           return 0.0;
                         }
                         return *taken / one.operations;
                       }};
  CaseResult result = measure(work, rounds);
  if (error) {
    return *std::move(error);
  }
  CaseResult named = blank(one, operation);
  named.seconds = result.seconds;
  named.ratio = result.ratio;
  return named;
}

}  // namespace

Result<std::vector<CaseResult>> run_wire_suite(const SuiteOptions& options) {
  if (options.rust_program.empty()) {
    return all_skipped("no program of the original's was given (--rust)");
  }
  auto original = RustProgram::start(options.rust_program, kPatience);
  if (!original) {
    return all_skipped(original.error().message);
  }
  const int rounds = options.quick ? 5 : 11;
  std::vector<CaseResult> results;
  for (const Case& one : cases()) {
    const RdmaLayoutDescriptors& message = one.message;
    KVFERRY_ASSIGN_OR_RETURN(const auto packed, wire::SerializedLayout::pack(
                                                    message.worker_address, message.nixl_metadata,
                                                    message.layouts, MessageFormat::kB));
    KVFERRY_RETURN_IF_ERROR(original->load(packed.as_bytes()));
    KVFERRY_ASSIGN_OR_RETURN(
        CaseResult packing,
        run_case(
            one, "pack", [&message](auto& error) { pack(message, error); }, *original, rounds));
    KVFERRY_ASSIGN_OR_RETURN(
        CaseResult unpacking,
        run_case(
            one, "unpack", [&packed](auto& error) { unpack(packed.as_bytes(), error); }, *original,
            rounds));
    for (CaseResult* const result : {&packing, &unpacking}) {
      result->bytes = packed.len();
      set_rates(*result);
      results.push_back(std::move(*result));
    }
  }
  return results;
}

}  // namespace kvferry::bench
