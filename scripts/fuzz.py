#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every fuzz target for some time and says what it did and found.

    scripts/fuzz.py                          builds, then ten minutes each, two at a time or more
    scripts/fuzz.py --seconds 60 format_a    one target, for a minute

What a run learns stays in build-asan/fuzz/TARGET/corpus for the next one. Exit: 0 nothing found,
1 something found (the input is kept, and the command that shows it again is printed).
"""

import argparse
import hashlib
import os
import re
import subprocess
import sys
import time
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fuzz_seeds
import tree

# An announced length must not make a decoder allocate: far above what an input of
# fuzz_seeds.SEED_BYTES_MAX can honestly need, far below what a length can announce.
MALLOC_MIB_MAX = 4
RSS_MIB_MAX = 512
INPUT_SECONDS_MAX = 5
START_AND_END_SECONDS = 60

Report = namedtuple("Report", "target executions seconds corpus coverage finding inputs")


def read_log(target, log, seconds, exit_code):
    """What libFuzzer printed, as a Report; `finding` is empty when all went well."""
    marks = re.findall(r"^#(\d+)\s+\w+\s+cov: (\d+) ft: \d+ corp: (\d+)/", log, re.MULTILINE)
    total = re.search(r"^stat::number_of_executed_units:\s*(\d+)", log, re.MULTILINE)
    executions = int(total.group(1)) if total else int(marks[-1][0]) if marks else 0
    coverage, corpus = ((int(marks[0][i]), int(marks[-1][i])) if marks else (0, 0) for i in (1, 2))
    inputs = re.findall(r"Test unit written to (\S+)", log)
    finding = ""
    if exit_code != 0 or inputs:
        said = re.findall(r"^SUMMARY: (.*)", log, re.MULTILINE)
        finding = said[0] if said else f"exit code {exit_code}"
    elif executions == 0:
        finding = "nothing was executed"
    return Report(target, executions, seconds, corpus, coverage, finding, inputs)


def lines_of(report, program):
    """What a person reads about one target."""
    rate = report.executions / max(report.seconds, 0.001)
    found = f"FOUND after {report.seconds:.1f} s" if report.finding else "no finding"
    lines = [f"{report.target:20}{report.executions:12,} executions {rate:9,.0f}/s  "
             f"corpus {report.corpus[0]:4} -> {report.corpus[1]:4}  "
             f"coverage {report.coverage[0]:4} -> {report.coverage[1]:4}  {found}"]
    if report.finding:
        lines.append(f"    {report.finding}")
        lines += [f"    again: {program} {path}" for path in report.inputs]
    return lines


def write_seeds(target, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for seed in fuzz_seeds.seeds(target):
        (folder / hashlib.sha1(seed).hexdigest()).write_bytes(seed)


def shown(path):
    """As a person would type it."""
    return path.relative_to(tree.ROOT) if path.is_relative_to(tree.ROOT) else path


def program_of(target, build):
    return build / "bin" / "fuzz" / f"kvferry_fuzz_{target}"


def run(target, build, seconds):
    """Runs one target; its output goes to a file beside its corpus."""
    home = build / "fuzz" / target
    for name in ("corpus", "findings"):
        (home / name).mkdir(parents=True, exist_ok=True)
    write_seeds(target, home / "seeds")
    words = [str(program_of(target, build)), f"-max_total_time={seconds}",
             f"-max_len={fuzz_seeds.SEED_BYTES_MAX}", f"-malloc_limit_mb={MALLOC_MIB_MAX}",
             f"-rss_limit_mb={RSS_MIB_MAX}", f"-timeout={INPUT_SECONDS_MAX}",
             "-print_final_stats=1", f"-artifact_prefix={shown(home / 'findings')}/"]
    if target in fuzz_seeds.DICTIONARIES:
        words.append(f"-dict={tree.ROOT / 'fuzz/dictionaries' / fuzz_seeds.DICTIONARIES[target]}")
    words += [str(home / "corpus"), str(home / "seeds")]
    # Freed memory is kept to find uses of it; so much that it would count as a leak is not needed.
    environment = dict(os.environ, ASAN_OPTIONS="quarantine_size_mb=16")
    begin = time.monotonic()
    try:
        done = subprocess.run(words, cwd=tree.ROOT, env=environment, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False,
                              timeout=seconds + START_AND_END_SECONDS)
        output, exit_code = done.stdout, done.returncode
    except subprocess.TimeoutExpired as expired:
        output, exit_code = expired.stdout or b"", "none: it did not end"
    log = output.decode(errors="replace")
    (home / "log").write_text(log)
    return read_log(target, log, time.monotonic() - begin, exit_code)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=600, help="for each target")
    parser.add_argument("--built", type=Path, help="a build folder to use as it is")
    parser.add_argument("targets", nargs="*", metavar="target",
                        help=", ".join(fuzz_seeds.SEEDS) + " (default: all)")
    options = parser.parse_args()
    unknown = [name for name in options.targets if name not in fuzz_seeds.SEEDS]
    if unknown:
        parser.error(f"no target {', '.join(unknown)}")
    if not options.built:
        subprocess.run([tree.ROOT / "scripts/build.sh", "asan", "kvferry_fuzz"], check=True)
    build = (options.built or tree.ROOT / "build-asan").resolve()
    found = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        targets = options.targets or list(fuzz_seeds.SEEDS)
        for report in pool.map(lambda target: run(target, build, options.seconds), targets):
            print("\n".join(lines_of(report, shown(program_of(report.target, build)))), flush=True)
            found += bool(report.finding)
    print(f"{len(targets) - found} of {len(targets)} targets without a finding")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
