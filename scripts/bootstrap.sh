#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian 12 packages that kvferry is built with; with --check also those that
# `make check` uses. Says what it will install before it does. When nothing is missing it changes
# nothing and needs neither rights nor a network.
set -euo pipefail

packages=(g++ cmake ninja-build ccache python3 libgtest-dev libgmock-dev libcli11-dev
          nlohmann-json3-dev libxxhash-dev libfmt-dev libsodium-dev liburing-dev libprotobuf-dev
          protobuf-compiler)
if [[ "${1:-}" == --check ]]; then
  packages+=(clang-14 clang-tidy-14 clang-format-14 libclang-rt-14-dev)
elif [[ $# -gt 0 ]]; then
  echo "usage: $0 [--check]" >&2
  exit 2
fi

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "set-up: this is not a Debian. Install what these Debian 12 packages hold, then run" >&2
  echo "  cmake --preset release && cmake --build build" >&2
  echo "packages: ${packages[*]}" >&2
  exit 1
fi

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f='${Status}' "${package}" 2>/dev/null || true)
  [[ "${status}" == "install ok installed" ]] || missing+=("${package}")
done
if [[ ${#missing[@]} -eq 0 ]]; then
  echo "set-up: all ${#packages[@]} packages are there"
  exit 0
fi

as_root=()
if [[ "$(id -u)" != 0 ]]; then
  if ! command -v sudo >/dev/null; then
    echo "set-up: packages are missing, and this is neither root nor is there sudo. As root:" >&2
    echo "  apt-get update && apt-get install -y --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

echo "set-up: will install with apt-get${as_root[*]:+ (through sudo)}: ${missing[*]}"
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends "${missing[@]}"
echo "set-up: done"
