// SPDX-License-Identifier: Apache-2.0
#include "cli.hpp"

#include <iostream>

#include "cli_commands.hpp"
#include "commands.hpp"
#include "logging.hpp"
#include "output.hpp"

namespace kvferry::tool {
namespace {

void add_inspect(CLI::App& command, InspectOptions& options) {
  command.description("Says what a message holds: format, worker, layouts, regions, sizes.");
  command.add_option("FILE", options.file, "The message; - is standard input")->required();
  command.add_option("--format", options.format, "What the message is in: auto, a, b or envelope")
      ->check(CLI::IsMember({"auto", "a", "b", "envelope"}))
      ->capture_default_str();
  add_json(command, options.json);
  command.footer("Example: kvferry inspect --json worker-7.a | jq .value.layouts[0].layout");
}

void add_encode(CLI::App& command, EncodeOptions& options) {
  command.description("Writes the message that a document of inspect --json describes.");
  command.add_option("FILE", options.file, "The JSON document; - is standard input, the default");
  command
      .add_option("--format", options.format,
                  "What to write: a, b or envelope, whatever the document says")
      ->check(CLI::IsMember({"a", "b", "envelope"}));
  command.footer(
      "The bytes go to standard output. Of the document only `value` is needed, and of handles "
      "there\n"
      "not display and, with worker_id and layout_id, not raw.\n"
      "Example: kvferry inspect --json worker-7.a | kvferry encode --format a > copy.a");
}

void add_validate(CLI::App& command, ValidateOptions& options) {
  command.description("Says which files are messages, and which rules of import they break.");
  command.add_option("FILE", options.files, "The messages; - is standard input")->required();
  command.add_flag("--strict", options.strict, "Apply the rules of import too (exit 1)");
  add_json(command, options.json);
  command.footer("Example: kvferry validate --strict *.a");
}

void add_draw(CLI::App& command, DrawOptions& options) {
  command.description(
      "Draws the memory map of a message's layouts as an SVG: the regions to scale, and what lies "
      "inside what, from a region down to the elements of a head.");
  command
      .add_option("FILE", options.spec,
                  "The message, of any format; - is standard input. FILE:LAYOUT_ID for one of its "
                  "layouts, or geometry:NAME,... as of plan")
      ->required();
  command.add_option("-o,--output", options.output, "Where the drawing goes; - is standard output")
      ->capture_default_str();
  command.add_option("--assume", options.assume,
                     "What you know of the message's layouts: order=nhd|hnd,heads=N");
  command.footer(
      "Examples: kvferry draw worker-7.kvfy -o worker-7.svg\n"
      "          kvferry draw geometry:llama-3.1-8b,layout=ls,order=hnd > llama.svg");
}

void add_plan(CLI::App& command, PlanOptions& options) {
  command.description(
      "Says how blocks would move between two layouts, without moving any.\n"
      "A layout is FILE or FILE:LAYOUT_ID of a message, or geometry:NAME[,KEY=VALUE...] with the "
      "keys blocks (64), layout (fc, ls, ls2), order (nhd, hnd, utp, upp), page, tp and pp (0/1: "
      "which rank of how many) and dtype (2).");
  command.add_option("--from", options.from, "The source's layout; again for each of several")
      ->required()
      ->take_all()
      ->expected(1);
  command.add_option("--to", options.to, "The destination's layout")->required();
  command.add_option("--blocks", options.blocks, "Ids, SOURCE:DESTINATION, as 4,9,2:0-2")
      ->required();
  command.add_option("--layers", options.layers, "Layers FIRST:END, half open; all");
  command.add_option("--assume", options.assume,
                     "What you know of the messages' layouts: order=nhd|hnd,heads=N");
  command.add_flag("--partial", options.partial,
                   "Move what both sides hold, where the source does not cover the destination");
  command.add_flag(
      "--list", options.list,
      "Print the runs: source region and offset, destination region and offset, "
      "bytes, count, source and destination stride; with several sources the number of "
      "the source first. Regions count from 0, those of planes behind the layout's own");
  command.add_option("--svg", options.svg,
                     "Draw which bytes go where, for the first blocks, into this file; - is "
                     "standard output, and the summary goes to standard error then");
  add_json(command, options.json);
  command.footer(
      "Example: kvferry plan --from geometry:llama-3.1-8b --to geometry:llama-3.1-8b,layout=ls "
      "--blocks 4,9,2:0-2");
}

void add_diff(CLI::App& command, DiffOptions& options) {
  command.description(
      "Says whether two layouts can move blocks to each other: identical, copyable, needs "
      "reordering, or impossible (exit 1); with what differs, and what to do about it.");
  command.add_option("LEFT", options.left, "FILE, FILE:LAYOUT_ID, or geometry:NAME,... as of plan")
      ->required();
  command.add_option("RIGHT", options.right, "The other one")->required();
  command.add_option("--assume", options.assume,
                     "What you know of the messages' layouts: order=nhd|hnd,heads=N");
  add_json(command, options.json);
  command.footer("Example: kvferry diff prefill.kvfy decode.kvfy");
}

void add_peers(CLI::App& command, PeersOptions& options) {
  command.description("Says which workers there are.");
  add_exchange(command, options.exchange);
  command.add_flag("--watch", options.watch,
                   "Say so again at each change, until SIGINT or SIGTERM; with --json a document a "
                   "line");
  add_trusted(command, options.trusted);
  add_json(command, options.json);
  command.footer("Example: kvferry peers --exchange dir:/tmp/exchange");
}

void add_keygen(CLI::App& command, KeygenOptions& options) {
  command.description(
      "Makes a key that signs messages: FILE, the secret key that only you may read, and FILE.pub, "
      "the public\n"
      "key for those who read the messages. Neither is ever overwritten.");
  command.add_option("FILE", options.file, "Where the secret key goes")->required();
  add_json(command, options.json);
  command.footer("Example: kvferry keygen ~/.config/kvferry/prefill.key");
}

void add_sign(CLI::App& command, SignOptions& options) {
  command.description(
      "Signs an envelope, in place of a signature that it has. The file is replaced whole or not "
      "at "
      "all.");
  command.add_option("--key", options.key_file, "The secret key's file, of keygen")->required();
  command.add_option("MESSAGE", options.file, "The envelope; - is standard input")->required();
  command.add_option("-o,--output", options.output,
                     "Where the signed one goes; - is standard output (default: back to MESSAGE)");
  command.footer("Example: kvferry sign --key prefill.key prefill.kvfy");
}

void add_verify(CLI::App& command, VerifyOptions& options) {
  command.description(
      "Says who signed each envelope. Exit 3 when one is not signed, not by a trusted key, or not "
      "as it was signed.");
  command
      .add_option("--trusted", options.trusted,
                  "Directory of public keys, NAME.pub, of those who may sign")
      ->required();
  command.add_option("MESSAGE", options.files, "The envelopes; - is standard input")->required();
  add_json(command, options.json);
  command.footer("Example: kvferry verify --trusted ~/.config/kvferry/trusted prefill.kvfy");
}

void add_version(CLI::App& command, VersionOptions& options) {
  command.description("Says what was built, from what, with what.");
  add_json(command, options.json);
  command.footer("Example: kvferry version --json | jq .components");
}

int usage_error(const CLI::App& app, const CLI::ParseError& error) {
  // A word that is no command is left over; that one was missing is then only what follows from it.
  const std::vector<std::string> unknown = app.remaining();
  if (unknown.empty() && error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
    return app.exit(error);  // --help.
  }
  std::cerr << "kvferry: " << (unknown.empty() ? error.what() : "unknown word: " + unknown.front())
            << "\nkvferry: see kvferry --help\n";
  return kExitUsage;
}

}  // namespace

int run_command_line(int argc, const char* const* argv) {
  set_up_logging();
  CLI::App app{"Says where KV-cache blocks lie, tells other workers, and moves the blocks.",
               "kvferry"};
  app.require_subcommand(1);
  app.footer(
      "Each command has --help, with an example.\n"
      "Exit codes: 0 done, the answer is yes; 1 done, the answer is no; 2 the command line is "
      "wrong;\n3 something read is not valid; 4 something needed is not there; 5 a deadline "
      "passed, "
      "or\ninterrupted; 6 bytes arrived wrong, or nobody knows. The graver counts: 6, then 5, then "
      "4.");
  Action action;
  add_command<InspectOptions>(app, action, "inspect", run_inspect, add_inspect);
  add_command<EncodeOptions>(app, action, "encode", run_encode, add_encode);
  add_command<ValidateOptions>(app, action, "validate", run_validate, add_validate);
  add_command<DrawOptions>(app, action, "draw", run_draw, add_draw);
  add_command<PlanOptions>(app, action, "plan", run_plan, add_plan);
  add_command<DiffOptions>(app, action, "diff", run_diff, add_diff);
  add_command<PeersOptions>(app, action, "peers", run_peers, add_peers);
  add_worker_commands(app, action);
  add_command<KeygenOptions>(app, action, "keygen", run_keygen, add_keygen);
  add_command<SignOptions>(app, action, "sign", run_sign, add_sign);
  add_command<VerifyOptions>(app, action, "verify", run_verify, add_verify);
  add_command<VersionOptions>(app, action, "version", run_version, add_version);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return usage_error(app, error);
  }
  return action();
}

}  // namespace kvferry::tool
