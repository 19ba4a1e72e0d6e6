// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace kvferry::tool {

/// What is to be done once the whole command line is known to be right.
using Action = std::function<int()>;

/// Adds a command whose options are an `Options`: `add` binds them to the command.
///
/// The options are shared by the command, whose parser writes into them, and by the action, which
/// runs when the parser is done with them; neither can own them alone.
template <class Options, class Add>
void add_command(CLI::App& app, Action& action, const std::string& name, int (*run)(const Options&),
                 const Add& add) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(name);
  add(*command, *options);
  command->callback([&action, options, run] { action = [options, run] { return run(*options); }; });
}

inline void add_json(CLI::App& command, bool& json) {
  command.add_flag("--json", json, "Print one JSON document");
}

inline void add_exchange(CLI::App& command, std::string& exchange) {
  command
      .add_option("--exchange", exchange,
                  "Where workers find each other: dir:PATH; default $KVFERRY_EXCHANGE, else a "
                  "directory of this user")
      ->check([](const std::string& given) {
        return given.empty() ? std::string{"is empty"} : std::string{};  // An unset variable.
      });
}

inline void add_trusted(CLI::App& command, std::optional<std::string>& trusted) {
  command.add_option("--trusted", trusted,
                     "Take only envelopes that a key of this directory, NAME.pub, signed");
}

/// worker, pull, demo, bench.
void add_worker_commands(CLI::App& app, Action& action);

}  // namespace kvferry::tool
