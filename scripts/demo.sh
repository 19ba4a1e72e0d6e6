#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Sets up, builds the tool, runs its demo, and says at the end what took longest.
set -euo pipefail
cd "$(dirname "$0")/.."

names=()
times=()
step() {
  local name=$1 begin end
  shift
  begin=$(date +%s%N)
  "$@"
  end=$(date +%s%N)
  names+=("${name}")
  times+=($(((end - begin) / 1000000)))
}

step set-up scripts/bootstrap.sh
step build scripts/build.sh release kvferry_tool
step demo build/bin/kvferry demo

longest=0
summary=""
for i in "${!names[@]}"; do
  summary+="${names[i]} $((times[i] / 1000)).$(printf '%03d' $((times[i] % 1000))) s, "
  if ((times[i] > times[longest])); then longest=$i; fi
done
echo "${summary}longest: ${names[longest]}"
