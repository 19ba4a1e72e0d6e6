# SPDX-License-Identifier: Apache-2.0
# The few words a person types. Everything is in scripts/ and in the CMake presets.
.PHONY: setup demo test bench check fuzz format

setup:  ## packages, configure, build of the tool
	scripts/bootstrap.sh
	scripts/build.sh release kvferry_tool

demo:  ## two processes exchange metadata and move blocks
	scripts/demo.sh

test:  ## all tests
	scripts/bootstrap.sh
	scripts/build.sh release
	scripts/run_tests.py

# On one processor: two of a shared machine can differ by more than the bars allow. Without cargo
# suite wire has nothing to compare with, and says that it was skipped.
bench: setup  ## speed beside memcpy's and the original's
	-scripts/build_rust.sh
	taskset -c 0 build/bin/kvferry bench --rust build/rust/target/release/wire-original

check:  ## format, style, layers, clang-tidy
	scripts/bootstrap.sh --check
	scripts/check.sh

fuzz:  ## ten minutes of hostile bytes for each decoder
	scripts/bootstrap.sh --check
	scripts/fuzz.py

format:  ## formats all C++
	scripts/format.sh
