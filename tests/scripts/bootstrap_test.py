# SPDX-License-Identifier: Apache-2.0
"""Goal: the set-up installs what is missing and nothing else, says so first, and is honest where
it cannot.
Method: scripts/bootstrap.sh with a PATH in which dpkg-query, apt-get, id and sudo are small
programs that write down what they were asked."""

import os
import shutil
import subprocess
import unittest

import planted
import tree

SCRIPT = tree.ROOT / "scripts" / "bootstrap.sh"


class Bootstrap(planted.PlantedTree):
    def program(self, name, body):
        self.write(f"bin/{name}", f'#!/bin/sh\necho "{name} $*" >> "{self.root}/calls"\n{body}\n')
        (self.root / "bin" / name).chmod(0o755)

    def setUp(self):
        super().setUp()
        self.write("calls", "")
        self.program("apt-get", "exit 0")
        self.program("id", "echo 0")
        os.symlink(shutil.which("env"), self.root / "bin" / "env")
        self.missing()

    def missing(self, *packages):
        missing = "|".join(packages) or "nothing"
        self.program("dpkg-query", f'case "$3" in {missing}) exit 1;; '
                     "*) echo 'install ok installed';; esac")

    def run_script(self, *words):
        done = subprocess.run([shutil.which("bash"), SCRIPT, *words], capture_output=True,
                              text=True, env={"PATH": str(self.root / "bin")}, check=False)
        calls = (self.root / "calls").read_text().splitlines()
        self.changes = [line for line in calls if line.startswith(("apt-get", "sudo"))]
        return done

    def test_does_nothing_when_nothing_is_missing(self):
        done = self.run_script()
        self.assertEqual(done.returncode, 0)
        self.assertEqual(self.changes, [])
        self.assertIn("all 15 packages are there", done.stdout)

    def test_installs_only_what_is_missing_and_says_so_first(self):
        self.missing("ccache", "libfmt-dev")
        done = self.run_script()
        self.assertEqual(done.returncode, 0)
        self.assertEqual(done.stdout.splitlines()[0],
                         "set-up: will install with apt-get: ccache libfmt-dev")
        self.assertTrue(self.changes[0].startswith("apt-get update"))
        self.assertTrue(self.changes[1].endswith("ccache libfmt-dev"))
        self.assertEqual(len(self.changes), 2)

    def test_clang_is_installed_only_for_check(self):
        self.missing("clang-14")
        self.run_script()
        self.assertEqual(self.changes, [])
        self.run_script("--check")
        self.assertTrue(self.changes[1].endswith(" clang-14"))

    def test_uses_sudo_when_it_is_not_root(self):
        self.program("id", "echo 1000")
        self.program("sudo", 'exec "$@"')
        self.missing("ccache")
        done = self.run_script()
        self.assertEqual(done.returncode, 0)
        self.assertIn("(through sudo)", done.stdout)
        self.assertTrue(self.changes[0].startswith("sudo apt-get update"))

    def test_says_what_to_do_with_neither_root_nor_sudo(self):
        self.program("id", "echo 1000")
        self.missing("ccache")
        done = self.run_script()
        self.assertEqual(done.returncode, 1)
        self.assertEqual(self.changes, [])
        self.assertIn("neither root nor is there sudo", done.stderr)
        self.assertIn("apt-get install -y --no-install-recommends ccache", done.stderr)

    def test_says_what_is_needed_where_it_is_no_debian(self):
        (self.root / "bin" / "apt-get").unlink()
        done = self.run_script()
        self.assertEqual(done.returncode, 1)
        self.assertIn("not a Debian", done.stderr)

    def test_fails_when_apt_fails(self):
        self.program("apt-get", "exit 100")
        self.missing("ccache")
        self.assertNotEqual(self.run_script().returncode, 0)

    def test_refuses_unknown_words(self):
        self.assertEqual(self.run_script("--all").returncode, 2)


if __name__ == "__main__":
    unittest.main()
