// SPDX-License-Identifier: Apache-2.0
#include "commands.hpp"
#include "outcome.hpp"

#if KVFERRY_HAS_TRUST
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "files.hpp"
#include "kvferry/base/try.hpp"
#include "kvferry/wire/limits.hpp"
#include "signing.hpp"
#endif

namespace kvferry::tool {

#if KVFERRY_HAS_TRUST
namespace {

/// What is not signed as it should be is not valid, whoever might allow it.
int exit_code_of_verdict(const Error& error) {
  return error.code == ErrorCode::kRefused ? kExitInvalid : exit_code_of(error.code);
}

Result<std::string> verify_file(const std::string& file, const trust::TrustedKeys& trusted) {
  KVFERRY_ASSIGN_OR_RETURN(const auto bytes, read_input(file, wire::WireLimits{}.message_bytes));
  return signer_of(bytes, trusted);
}

}  // namespace

int run_verify(const VerifyOptions& options) {
  const auto trusted = trust::TrustedKeys::load(options.trusted);
  if (!trusted) {
    return fail(Failure{trusted.error()}, options.json);
  }
  int exit_code{kExitYes};
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const std::string& file : options.files) {
    const Result<std::string> signer = verify_file(file, *trusted);
    if (!signer) {
      exit_code = std::max(exit_code, exit_code_of_verdict(signer.error()));
    }
    if (!options.json) {
      print(
          fmt::format("{}: {}\n", file, signer ? "signed by " + *signer : signer.error().message));
      continue;
    }
    nlohmann::ordered_json row{
        {"file", file}, {"ok", signer.has_value()}, {"signed_by", nullptr}, {"error", nullptr}};
    signer ? row["signed_by"] = *signer : row["error"] = signer.error().message;
    rows.push_back(std::move(row));
  }
  if (options.json) {
    print_json(rows);
  }
  return exit_code;
}
#else
int run_verify(const VerifyOptions& options) { return fail(signatures_left_out(), options.json); }
#endif

}  // namespace kvferry::tool
