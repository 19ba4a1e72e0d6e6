// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli_commands.hpp"
#include "commands.hpp"
#include "suites.hpp"

namespace kvferry::tool {
namespace {

void add_layout_options(CLI::App& command, NodeOptions& node) {
  command.add_option("--geometry", node.geometry, "The model's shape")->capture_default_str();
  command.add_option("--model", node.model,
                     "Whose cache it is, which an envelope tells peers: blocks do not move between "
                     "two that differ (default not told)");
  command.add_option("--layout", node.layout, "fc, ls or ls2 (default fc)");
  command.add_option("--order", node.order,
                     "Inside a block: nhd, hnd, or with fc utp or upp (default nhd)");
  command.add_option("--page", node.page, "Tokens of a block (default the geometry's)");
  command.add_option("--dtype", node.dtype, "Bytes of an element (default 2)");
  command.add_option("--tp", node.tp, "R/N: of N tensor parallel ranks, rank R (default 0/1)");
  command.add_option("--pp", node.pp, "R/N: of N pipeline stages, stage R (default 0/1)");
  command.add_option("--storage", "Where the blocks lie: system")->check(CLI::IsMember({"system"}));
  command.add_option("--agent", "What makes them reachable: auto or shm")
      ->check(CLI::IsMember({"auto", "shm"}));
  command.add_option("--fill", node.fill, "What they hold at first: pattern or zero")
      ->check(CLI::IsMember({"pattern", "zero"}))
      ->capture_default_str();
  command.add_option("--id", node.id, "Worker id (default a hash of the name)");
}

void add_worker(CLI::App& command, WorkerOptions& options) {
  options.node.fill = "pattern";
  command.description("Runs a worker that owns a layout, until SIGINT or SIGTERM.");
  command.add_option("--name", options.node.name, "Of the worker and its agent")->required();
  add_exchange(command, options.exchange);
  add_layout_options(command, options.node);
  command.add_option("--num-blocks", options.node.num_blocks, "Blocks of the layout (default 64)");
  command.add_option("--seed", options.node.seed, "Of the pattern")->capture_default_str();
  command.add_option("--access", options.node.access, "What peers may do: none, read, read-write")
      ->check(CLI::IsMember({"none", "read", "read-write"}))
      ->capture_default_str();
  command.add_option("--publish", options.publish, "Formats of the message: a, b, envelope")
      ->capture_default_str();
  command.add_option("--sign", options.sign, "Sign the envelope with this secret key, of keygen");
  command.footer(
      "Prints `ready NAME` once peers can find it.\n"
      "Example: kvferry worker --name prefill --layout fc --num-blocks 256");
}

/// What pull and push have in common.
void add_move(CLI::App& command, MoveOptions& options) {
  add_exchange(command, options.exchange);
  add_trusted(command, options.trusted);
  add_layout_options(command, options.node);
  command.add_option("--num-blocks", options.node.num_blocks,
                     "Blocks of one's own layout (default the highest own id and one more)");
  command.add_option("--seed", options.node.seed, "Of the source's pattern")->capture_default_str();
  command.add_option("--layers", options.layers, "F:T of the whole model, half open (default all)");
  command.add_option("--assume", options.assume,
                     "What the peer's message does not say: order=nhd,heads=8");
  command.add_flag("--partial", options.partial,
                   "Move what both sides hold, though that be a part of the blocks");
  command.add_option("--deadline", options.deadline, "From start to last check")
      ->capture_default_str();
  command
      .add_option(
          "--verify", options.verify,
          "How the bytes are checked: none, checksum (by digests of both sides), or pattern (of a "
          "source filled with it)")
      ->check(CLI::IsMember({"none", "checksum", "pattern"}))
      ->capture_default_str();
  command.add_option("--fault", options.node.fault,
                     "What goes wrong at piece K of 64 KiB: stop-owner@K, kill-owner@K, "
                     "kill-self@K, drop@K, delay@K:500ms, corrupt@K, fail@K");
  add_json(command, options.json);
}

void add_pull(CLI::App& command, MoveOptions& options) {
  options.node.fill = "zero";
  command.description("Pulls blocks of workers into a layout of its own, checks and reports.");
  command
      .add_option("--peer", options.peers,
                  "A worker that owns the blocks, or a part of them: repeat it for the others")
      ->required()
      ->take_all();
  command.add_option("--blocks", options.blocks, "A:B, the peers' ids and one's own: 4,9,2:0-2")
      ->required();
  add_move(command, options);
  command.add_option("--dump", options.dump,
                     "Write the blocks to this file, good or bad, as the report says");
  command.footer(
      "Examples: kvferry pull --peer prefill --blocks 4,9,2:0-2 --layout ls\n"
      "          kvferry pull --peer rank0 --peer rank1 --blocks 0-3:0-1 --page 32");
}

void add_push(CLI::App& command, MoveOptions& options) {
  options.node.fill = "pattern";
  command.description("Pushes blocks of a layout of its own to a worker, checks and reports.");
  command.add_option("--peer", options.peers, "The worker that the blocks go to")
      ->required()
      ->expected(1);
  command.add_option("--blocks", options.blocks, "A:B, one's own ids and the peer's: 0-2:4,9,2")
      ->required();
  add_move(command, options);
  command.footer("Example: kvferry push --peer decode --blocks 0-2:4,9,2 --layout ls");
}

void add_demo(CLI::App& command, DemoOptions& options) {
  command.description("Two processes move blocks between unlike layouts; every byte is checked.");
  command.add_option("--report", options.report, "Write an HTML page with the figures here");
  add_json(command, options.json);
  command.footer("Example: kvferry demo --json | jq .ratio");
}

void add_bench(CLI::App& command, BenchOptions& options) {
  command.description("Measures kvferry beside baselines, in one run; 1 when a bar is missed.");
  command.add_option("SUITE", options.suites,
                     fmt::format("{} (default all)", fmt::join(bench::suite_names(), ", ")));
  command.add_option("--rust", options.rust,
                     "Suite wire: the program that is built from bench/rust, to compare with");
  command.add_option(
      "--disk", options.disk,
      "Where suites put files, each gone in the end (default: where temporary ones are)");
  command.add_option("--report", options.report, "Write an HTML page with the figures here");
  command.add_flag("--quick", options.quick, "Fewer rounds over less memory");
  add_json(command, options.json);
  command.footer("Example: kvferry bench host --quick");
}

}  // namespace

void add_worker_commands(CLI::App& app, Action& action) {
  add_command<WorkerOptions>(app, action, "worker", run_worker, add_worker);
  add_command<MoveOptions>(app, action, "pull", run_pull, add_pull);
  add_command<MoveOptions>(app, action, "push", run_push, add_push);
  add_command<DemoOptions>(app, action, "demo", run_demo, add_demo);
  add_command<BenchOptions>(app, action, "bench", run_bench, add_bench);
}

}  // namespace kvferry::tool
