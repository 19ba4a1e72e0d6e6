// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "commands.hpp"
#include "envelope_json.hpp"
#include "files.hpp"
#include "kvferry/wire/lint.hpp"
#include "kvferry/wire/message_view.hpp"
#include "message_json.hpp"
#include "output.hpp"

namespace kvferry::tool {
namespace {

/// What there is to say of one file.
struct Verdict {
  int exit_code{kExitYes};
  std::optional<std::string> error{};
  std::optional<std::string> format{};  ///< if it decodes
  std::vector<wire::Lint> lints{};
};

/// What the rules of import say of a message that decodes.
void apply_rules(const wire::MessageView& view, bool strict, Verdict& verdict) {
  verdict.lints = lint(view);
  const auto refusal = std::ranges::find_if(verdict.lints, &wire::Lint::refuses_import);
  if (strict && refusal != verdict.lints.end()) {
    verdict.exit_code = kExitNo;
    verdict.error = fmt::format("{}: {}", to_string(refusal->rule), refusal->message);
  }
}

void refuse(const Error& error, Verdict& verdict) {
  verdict.exit_code = exit_code_of(error.code);
  verdict.error = error.message;
}

Verdict validate(const std::string& file, bool strict) {
  Verdict verdict;
  const auto bytes = read_input(file, wire::WireLimits{}.message_bytes);
  if (!bytes) {
    refuse(bytes.error(), verdict);
    return verdict;
  }
  if (wire::is_envelope(*bytes)) {
    const Result<wire::Envelope> envelope = wire::decode_envelope(*bytes);
    if (!envelope) {
      refuse(envelope.error(), verdict);
      return verdict;
    }
    verdict.format = "envelope";
    apply_rules(view_of(*envelope), strict, verdict);
    return verdict;
  }
  const Result<wire::MessageView> view = wire::decode_view(*bytes);
  if (!view) {
    refuse(view.error(), verdict);
    return verdict;
  }
  verdict.format = to_string(view->format);
  apply_rules(*view, strict, verdict);
  return verdict;
}

std::string line_of(const std::string& file, const Verdict& verdict) {
  const auto names = lint_names(verdict.lints).get<std::vector<std::string>>();
  const std::string name = file + ": ";
  std::string said = verdict.error.value_or("ok");
  if (said.starts_with(name)) {  // What cannot be read is named already.
    said.erase(0, name.size());
  }
  return fmt::format("{}{}{}{}\n", name, said,
                     names.empty() ? "" : "; lint: ", fmt::join(names, ", "));
}

nlohmann::ordered_json json_of(const std::string& file, const Verdict& verdict) {
  nlohmann::ordered_json row{{"file", file},
                             {"ok", verdict.exit_code == kExitYes},
                             {"format", nullptr},
                             {"error", nullptr},
                             {"lint", lint_names(verdict.lints)}};
  if (verdict.format) {
    row["format"] = *verdict.format;
  }
  if (verdict.error) {
    row["error"] = *verdict.error;
  }
  return row;
}

}  // namespace

int run_validate(const ValidateOptions& options) {
  int exit_code{kExitYes};
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const std::string& file : options.files) {
    const Verdict verdict = validate(file, options.strict);
    exit_code = std::max(exit_code, verdict.exit_code);  // The graver the higher.
    if (options.json) {
      rows.push_back(json_of(file, verdict));
    } else {
      print(line_of(file, verdict));
    }
  }
  if (options.json) {
    print_json(rows);
  }
  return exit_code;
}

}  // namespace kvferry::tool
