#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plants one bug after the other in a copy of the tree and says whether a check finds it.

    scripts/mutants.py tests/e2e/mutants/plan -- tests/e2e/plan_model.py {tool} --pairs 300

Each .patch of the folder is one bug; its first line says which. The command after -- is the check:
{tool} stands for the command line built from the patched copy, and the check finds a bug when it
fails. It must pass without one. Takes some minutes, most of it the first build.

Exit: 0 all found, 1 not, 2 when the tree does not build or the check fails as it is.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = shutil.ignore_patterns(".git", "build*", "__pycache__", "vectors")
CHECK_DEADLINE_S = 300


class Broken(Exception):
    """The copy cannot tell anything."""


def run(*words, cwd, deadline_s=None):
    """Exit code and output; a check that runs out of time has failed."""
    try:
        done = subprocess.run(words, cwd=cwd, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=deadline_s, check=False)
    except subprocess.TimeoutExpired:
        return -1, f"ran longer than {deadline_s} s"
    return done.returncode, done.stdout


class Copy:
    """A copy of the tree, with a build folder of its own."""

    def __init__(self, folder, check):
        self.tree = folder / "tree"
        self.build_folder = folder / "build"
        tool = str(self.build_folder / "bin" / "kvferry")
        self.check_words = [word.replace("{tool}", tool) for word in check]
        shutil.copytree(ROOT, self.tree, ignore=LEFT_OUT)
        self.must("cmake", "-S", ".", "-B", str(self.build_folder), "-G", "Ninja",
                  "-DKVFERRY_BUILD_TESTS=OFF", "-DKVFERRY_DEVELOPER=OFF")

    def must(self, *words):
        code, output = run(*words, cwd=self.tree)
        if code != 0:
            raise Broken(f"{' '.join(words)}:\n{output}")

    def patch(self, file, *more):
        self.must("git", "apply", *more, str(file))

    def build(self):
        self.must("cmake", "--build", str(self.build_folder), "--target", "kvferry_tool")

    def check(self):
        return run(*self.check_words, cwd=self.tree, deadline_s=CHECK_DEADLINE_S)


def try_all(copy, patches):
    """Prints a line for each bug; the names of those that were not found."""
    missed = []
    for patch in patches:
        copy.patch(patch)
        copy.build()
        code, output = copy.check()
        copy.patch(patch, "--reverse")
        print(f"{'found    ' if code else 'NOT FOUND'}  {patch.stem}: {first_line(patch)}")
        if code == 0:
            missed.append(patch.stem)
        else:
            print(f"             {reason(output)}", flush=True)
    return missed


def first_line(patch):
    return patch.read_text().splitlines()[0]


def reason(output):
    """What a check said when it failed: the line that names a pair, or its last one."""
    lines = output.splitlines() or ["(nothing was printed)"]
    told = [line for line in lines if line.startswith("pair ")]
    return (told or lines[-1:])[0][:160]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("patches", type=Path, help="folder of .patch files")
    parser.add_argument("check", nargs="+", help="the check, after --")
    options = parser.parse_args()
    patches = sorted(options.patches.resolve().glob("*.patch"))
    if not patches:
        parser.error(f"no .patch in {options.patches}")
    with tempfile.TemporaryDirectory() as folder:
        try:
            copy = Copy(Path(folder), options.check)
            copy.build()
            code, output = copy.check()
            if code != 0:
                raise Broken(f"the check fails without a bug:\n{output}")
            missed = try_all(copy, patches)
        except Broken as error:
            print(error, file=sys.stderr)
            return 2
    print(f"{len(patches) - len(missed)} of {len(patches)} planted bugs found")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
