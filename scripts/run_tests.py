#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the tests of a build folder and says what happened: `N passed, N failed, N skipped`.

A skip must match a line `name pattern | reason` of tests/skips.txt; any other skip, and a run
without tests, fails. Words after `--` go to ctest.
"""

import argparse
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as xml
from collections import namedtuple
from pathlib import Path

import tree

Case = namedtuple("Case", "name outcome seconds")
SLOWEST = 5


def read_skips(text):
    """Pairs of pattern and reason."""
    skips = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        pattern, bar, reason = (part.strip() for part in line.partition("|"))
        if not bar or not pattern or not reason:
            raise ValueError(f"skips line {number} is not `pattern | reason`: {line}")
        skips.append((re.compile(pattern), reason))
    return skips


def read_cases(junit):
    """What ctest wrote, as cases with the outcome passed, failed or skipped."""
    cases = []
    for case in xml.fromstring(junit).iter("testcase"):
        skipped = case.find("skipped")
        if case.get("status") == "run":
            outcome = "passed"
        elif case.get("status") == "disabled":
            outcome = "skipped"
        elif skipped is not None and skipped.get("message", "").startswith("SKIP_"):
            outcome = "skipped"
        else:
            # Also what ctest calls "not run": a program that is not there, a set-up that failed.
            outcome = "failed"
        cases.append(Case(case.get("name"), outcome, float(case.get("time", "0"))))
    return cases


def judge(cases, skips):
    """The lines to print, the last with the counts, and whether the run is good."""
    count = {outcome: sum(case.outcome == outcome for case in cases)
             for outcome in ("passed", "failed", "skipped")}
    lines = []
    good = count["failed"] == 0
    if not cases:
        lines.append("no tests were run")
        good = False
    slowest = sorted(cases, key=lambda case: -case.seconds)[:SLOWEST]
    lines += [f"slowest: {case.seconds:6.1f} s  {case.name}" for case in slowest]
    for case in cases:
        if case.outcome == "failed":
            lines.append(f"failed:  {case.name}")
        if case.outcome == "skipped":
            reasons = [reason for pattern, reason in skips if pattern.fullmatch(case.name)]
            good = good and bool(reasons)
            reason = reasons[0] if reasons else "NOT LISTED in tests/skips.txt"
            lines.append(f"skipped: {case.name}: {reason}")
    lines.append("{passed} passed, {failed} failed, {skipped} skipped".format(**count))
    return lines, good


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=tree.ROOT / "build")
    parser.add_argument("ctest", nargs="*", help="further words for ctest")
    args = parser.parse_args()
    build = args.build.resolve()
    junit = build / "tests.xml"
    junit.unlink(missing_ok=True)
    command = ["ctest", "--test-dir", str(build), "--output-junit", str(junit), "--progress",
               "--output-on-failure", "--no-tests=error", "-j", str(os.cpu_count()), *args.ctest]
    status = subprocess.run(command, check=False).returncode
    if not junit.exists():
        print("ctest ran no tests")
        return 1
    skips = read_skips((tree.ROOT / "tests" / "skips.txt").read_text())
    lines, good = judge(read_cases(junit.read_text()), skips)
    print("\n".join(lines))
    return 0 if good and status == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
