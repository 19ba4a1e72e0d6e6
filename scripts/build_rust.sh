#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the original's side of suite `wire` into build/rust, where cargo is. The versions are those
# of the lock file that the published crate comes with.
set -euo pipefail
cd "$(dirname "$0")/.."

crate=kvbm-physical version=1.6.1
if ! command -v cargo >/dev/null; then
  echo "suite wire: there is no cargo, so it has nothing to compare with" >&2
  exit 1
fi
mkdir -p build/rust
cp -r bench/rust/Cargo.toml bench/rust/src build/rust/
cd build/rust
if [[ ! -f Cargo.lock ]]; then
  cargo info --quiet "${crate}@${version}" >/dev/null  # Brings the crate, and with it the file.
  cp "${CARGO_HOME:-${HOME}/.cargo}"/registry/src/*/"${crate}-${version}/Cargo.lock" .
  # Puts our own program into it; what the program needs keeps its version.
  cargo fetch --quiet || { rm -f Cargo.lock; exit 1; }
fi
cargo build --release --locked
