// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace kvferry::tool {

/// Reads the command line and carries out its command; gives the exit code.
int run_command_line(int argc, const char* const* argv);

}  // namespace kvferry::tool
