#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Everything that is said about the code without running it: format, style, layers, clang-tidy.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/format.sh --check
python3 scripts/tidy.py
python3 scripts/check_layers.py
cmake --preset tidy --log-level=NOTICE
cmake --build build-tidy --target kvferry_generated
# Headers are seen through the sources that include them.
run-clang-tidy-14 -quiet -p build-tidy -j "$(nproc)" "^$PWD/(src|tools)/" \
  2> >(grep -vE 'warnings? (generated|treated)' >&2)
