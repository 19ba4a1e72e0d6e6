// SPDX-License-Identifier: Apache-2.0
#include "cli.hpp"
#include "output.hpp"

int main(int argc, char** argv) {
  kvferry::tool::occupy_standard_descriptors();
  const int code = kvferry::tool::run_command_line(argc, argv);
  return code != 0 || kvferry::tool::flush_output() ? code : kvferry::tool::kExitUnavailable;
}
