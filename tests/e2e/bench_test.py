# SPDX-License-Identifier: Apache-2.0
"""Goal: the command line never tells a case that was not measured as passed. Method: runs the built
tool, given as the only argument, without the program that suite wire compares with, and with ones
that are fast, slow and broken."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

TOOL = sys.argv.pop(1)
TAKING = """#!/bin/sh
while read -r command argument; do
  case $command in
    message) echo ok ;;
    *) echo "ns $((argument * {}))" ;;
  esac
done
"""


class Bench(unittest.TestCase):
    def run_wire(self, *words):
        return subprocess.run([TOOL, "bench", "wire", "--quick", *words], capture_output=True,
                              text=True, timeout=120, check=False)

    def run_beside(self, script):
        with tempfile.TemporaryDirectory() as folder:
            program = os.path.join(folder, "program")
            with open(program, "w", encoding="utf-8") as file:
                file.write(script)
            os.chmod(program, 0o700)
            return self.run_wire("--json", "--rust", program)

    def test_without_the_program_every_case_is_skipped_with_the_reason(self):
        for words, reason in ((), "--rust"), (("--rust", "/nowhere/it"), "/nowhere/it: No such"):
            done = self.run_wire("--json", *words)
            self.assertEqual(done.returncode, 0, done.stderr)
            cases = json.loads(done.stdout)["cases"]
            self.assertEqual(len(cases), 6)
            for case in cases:
                self.assertIn(reason, case["skipped"])
                self.assertNotIn("ok", case)
            text = self.run_wire(*words).stdout
            self.assertEqual(text.count("skipped: "), 6)
            self.assertNotIn("ok\n", text)

    def test_a_bar_is_met_beside_a_slow_program_and_missed_beside_a_fast_one(self):
        for nanoseconds, met in (1_000_000_000, True), (1, False):
            done = self.run_beside(TAKING.format(nanoseconds))
            self.assertEqual(done.returncode, 0 if met else 1, done.stderr)
            self.assertEqual([case["ok"] for case in json.loads(done.stdout)["cases"]], [met] * 6)

    def test_the_report_is_one_page_with_every_case(self):
        with tempfile.TemporaryDirectory() as folder:
            page = os.path.join(folder, "page.html")
            done = subprocess.run([TOOL, "bench", "plan", "disk", "--quick", "--json", "--disk",
                                   folder, "--report", page], capture_output=True, text=True,
                                  timeout=300, check=False)
            self.assertIn(done.returncode, (0, 1), done.stderr)
            with open(page, encoding="utf-8") as file:
                html = file.read()
            self.assertEqual(os.listdir(folder), ["page.html"])
        self.assertIn("<h2>Suite disk</h2>", html)
        for case in json.loads(done.stdout)["cases"]:
            self.assertIn(case["case"].replace(">", "&gt;"), html)
        self.assertNotIn("http://", html.replace("http://www.w3.org/2000/svg", ""))

    def test_a_report_that_cannot_be_written_is_an_error(self):
        done = self.run_wire("--report", "/nowhere/page.html")
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn("/nowhere/page.html", done.stderr)

    def test_a_broken_program_is_an_error(self):
        done = self.run_beside("#!/bin/sh\necho 'error no'\nread -r line\nread -r line\n")
        self.assertGreater(done.returncode, 1)
        self.assertIn('the Rust program answers \\"error no\\"', done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
