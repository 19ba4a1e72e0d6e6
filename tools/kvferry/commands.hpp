// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "node.hpp"

// The commands: what the command line says, as plain options, and what carries it out. Each gives
// the exit code.

namespace kvferry::tool {

/// Which file to read: "-" is standard input.
struct InspectOptions {
  std::string file{};
  std::string format{"auto"};  ///< or "a", "b", "envelope"
  bool json{false};
};

/// Says what a message holds.
int run_inspect(const InspectOptions& options);

struct EncodeOptions {
  std::string file{"-"};
  std::string format{
      "auto"};  ///< what the document says; or "a", "b", "envelope", whatever it says
};

/// Writes the message that a document of `inspect --json` describes to stdout.
int run_encode(const EncodeOptions& options);

struct ValidateOptions {
  std::vector<std::string> files{};
  bool strict{false};
  bool json{false};
};

/// Says of each file whether it is a message, and which rules of import it breaks.
int run_validate(const ValidateOptions& options);

/// A SPEC, as it was typed; of a message, all layouts unless it says which.
struct DrawOptions {
  std::string spec{};
  std::string output{"-"};  ///< a file, or "-" for standard output
  std::optional<std::string> assume{};
};

/// Draws the memory map of layouts as an SVG.
int run_draw(const DrawOptions& options);

/// SPECs, ids and ranges as they were typed.
struct PlanOptions {
  std::vector<std::string> from{};
  std::string to{};
  std::string blocks{};
  std::optional<std::string> layers{};
  std::optional<std::string> assume{};
  bool partial{false};
  bool list{false};
  std::optional<std::string> svg{};  ///< a file for the drawing, or "-" for standard output
  bool json{false};
};

/// Says how blocks would move, without moving any.
int run_plan(const PlanOptions& options);

struct DiffOptions {
  std::string left{};
  std::string right{};
  std::optional<std::string> assume{};
  bool json{false};
};

/// Says whether two layouts can move blocks to each other, and why not; 1 when they cannot.
int run_diff(const DiffOptions& options);

/// An empty exchange is the default one.
struct PeersOptions {
  std::string exchange{};
  bool watch{false};                     ///< until SIGINT or SIGTERM
  std::optional<std::string> trusted{};  ///< directory of the keys that must have signed
  bool json{false};
};

/// Says which workers there are, once or at each change.
int run_peers(const PeersOptions& options);

struct WorkerOptions {
  NodeOptions node{};
  std::string exchange{};               ///< empty: the default of this user
  std::string publish{"a,b,envelope"};  ///< formats
  std::optional<std::string> sign{};    ///< file of the key that signs the envelope
};

/// Runs a worker that owns a layout, until SIGINT or SIGTERM.
int run_worker(const WorkerOptions& options);

/// Of `pull` and `push`.
struct MoveOptions {
  NodeOptions node{};
  std::string exchange{};
  std::optional<std::string> trusted{};  ///< directory of the keys that must have signed
  std::vector<std::string> peers{};      ///< of a push: one
  std::string blocks{};
  std::optional<std::string> layers{};
  std::optional<std::string> assume{};
  std::string deadline{"30s"};
  std::string verify{"pattern"};
  std::optional<std::string> dump{};  ///< of a pull
  bool partial{false};
  bool json{false};
};

/// Pulls blocks of workers into a layout of its own, checks them and reports.
int run_pull(const MoveOptions& options);

/// Pushes blocks of a layout of its own to a worker, checks them and reports.
int run_push(const MoveOptions& options);

struct DemoOptions {
  std::optional<std::string> report{};  ///< a file for the page
  bool json{false};
};

/// Two processes move blocks between unlike layouts, and check every byte.
int run_demo(const DemoOptions& options);

struct BenchOptions {
  std::vector<std::string> suites{};    ///< none: all
  std::string rust{};                   ///< the program of the original's side; empty: none
  std::string disk{};                   ///< the directory of files; empty: that of temporary ones
  std::optional<std::string> report{};  ///< an HTML page with the figures
  bool quick{false};
  bool json{false};
};

/// Measures kvferry beside baselines, in one run.
int run_bench(const BenchOptions& options);

struct KeygenOptions {
  std::string file{};  ///< the secret key's; the public key's has .pub after it
  bool json{false};
};

/// Makes a key that signs messages, in two new files.
int run_keygen(const KeygenOptions& options);

struct SignOptions {
  std::string key_file{};
  std::string file{};
  std::optional<std::string> output{};  ///< nothing: the message's own file
};

/// Signs an envelope.
int run_sign(const SignOptions& options);

struct VerifyOptions {
  std::string trusted{};  ///< directory of public keys
  std::vector<std::string> files{};
  bool json{false};
};

/// Says who signed each envelope.
int run_verify(const VerifyOptions& options);

struct VersionOptions {
  bool json{false};
};

/// Says what was built.
int run_version(const VersionOptions& options);

}  // namespace kvferry::tool
