#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Formats all C++ of the project; with --check only says what is not formatted.
set -euo pipefail
cd "$(dirname "$0")/.."

how=(-i)
[[ "${1:-}" == --check ]] && how=(--dry-run -Werror)
find include src tools testing tests bench examples fuzz -name '*.hpp' -o -name '*.cpp' |
  sort | xargs clang-format-14 "${how[@]}"
