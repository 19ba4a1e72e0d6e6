#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Configures a preset and builds it, or only the targets that are named: build.sh PRESET [TARGET...]
set -euo pipefail
cd "$(dirname "$0")/.."

preset=$1
shift
cmake --preset "${preset}" --log-level=NOTICE
cmake --build --preset "${preset}" -j "$(nproc)" ${1:+--target "$@"}
