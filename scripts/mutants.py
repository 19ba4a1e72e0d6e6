#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plants one bug after the other in a copy of the tree and says whether a check finds it.

    scripts/mutants.py tests/e2e/mutants/plan -- tests/e2e/plan_model.py {tool} --pairs 300
    scripts/mutants.py tests/mutants/wire --tests wire golden
    scripts/mutants.py tests/mutants/fuzz --preset asan --build-target kvferry_fuzz_format_a -- \\
        scripts/fuzz.py --built {build} --seconds 60 format_a

tests/mutants/fuzz_envelope likewise, with the target envelope.

Each .patch of the folder is one bug; its first line says which. The command after -- is the check:
it finds a bug when it fails, and must pass without one. {tool} stands for the command line built
from the patched copy, {build} for the folder that it is built in. With --tests the check is that
the unit tests of those names pass. Takes some minutes, most of it the first build.

Exit: 0 all found, 1 not, 2 when the tree does not build or the check fails as it is.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = shutil.ignore_patterns(".git", "build", "build-*", "__pycache__")
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

    def __init__(self, folder, preset, targets, check):
        self.tree = folder / "tree"
        self.build_folder = folder / "build"
        self.targets = targets
        stands_for = {"{tool}": self.build_folder / "bin" / "kvferry", "{build}": self.build_folder}
        self.check_words = check
        for name, path in stands_for.items():
            self.check_words = [word.replace(name, str(path)) for word in self.check_words]
        shutil.copytree(ROOT, self.tree, ignore=LEFT_OUT)
        # A bug may leave something unused; that it compiles with warnings says nothing about it.
        self.must("cmake", "--preset", preset, "-B", str(self.build_folder),
                  "-DKVFERRY_DEVELOPER=OFF")

    def must(self, *words):
        code, output = run(*words, cwd=self.tree)
        if code != 0:
            raise Broken(f"{' '.join(words)}:\n{output}")

    def patch(self, file, *more):
        self.must("git", "apply", *more, str(file))

    def build(self):
        self.must("cmake", "--build", str(self.build_folder), "--target", *self.targets)

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
    """What a check said when it failed: the line that names a pair, a test or a target, or its last
    one."""
    lines = output.splitlines() or ["(nothing was printed)"]
    told = [line for line in lines if re.match(r"pair |\[  FAILED  \] |.* FOUND ", line)]
    return (told or lines[-1:])[0][:160]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patches", type=Path, help="folder of .patch files")
    parser.add_argument("--preset", default="release", help="of the build (default: release)")
    parser.add_argument("--build-target", action="append", help="default: kvferry_tool")
    parser.add_argument("--tests", nargs="+", help="test programs, such as wire golden")
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    options = parser.parse_args(words[:end])
    check = words[end + 1:]
    if bool(options.tests) == bool(check):
        parser.error("say either --tests or a check after --")
    targets = options.build_target or ["kvferry_tool"]
    if options.tests:
        targets = [f"kvferry_{name}_test" for name in options.tests]
        check = ["sh", "-c", " && ".join(f"{{build}}/bin/tests/{name}" for name in targets)]
    patches = sorted(options.patches.resolve().glob("*.patch"))
    if not patches:
        parser.error(f"no .patch in {options.patches}")
    with tempfile.TemporaryDirectory() as folder:
        try:
            copy = Copy(Path(folder), options.preset, targets, check)
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
