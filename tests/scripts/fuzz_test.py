# SPDX-License-Identifier: Apache-2.0
"""Goal: a fuzz run is good only when something was executed and nothing was found, and no target
runs without seeds. Method: logs made by hand; the list of the build beside that of the seeds."""

import re
import unittest

import planted  # noqa: F401, for the path to scripts/
import fuzz
import fuzz_seeds
import tree

GOOD = """INFO: Seed: 1
#479\tINITED cov: 1246 ft: 1500 corp: 141/9Kb exec/s: 0 rss: 40Mb
#512\tNEW    cov: 1250 ft: 1510 corp: 142/9Kb lim: 4096 exec/s: 0 rss: 40Mb L: 9/9 MS: 1
#92435\tDONE   cov: 1379 ft: 2000 corp: 465/60Kb lim: 4096 exec/s: 15405 rss: 80Mb
stat::number_of_executed_units: 92435
"""
FOUND = """#479\tINITED cov: 1246 ft: 1500 corp: 141/9Kb exec/s: 0 rss: 40Mb
==7==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x1
SUMMARY: AddressSanitizer: heap-buffer-overflow text.cpp:85
artifact_prefix='findings/'; Test unit written to findings/crash-0a
stat::number_of_executed_units: 600
"""


class ReadLog(unittest.TestCase):
    def test_tells_what_was_done_and_learnt(self):
        report = fuzz.read_log("format_a", GOOD, 6.0, 0)
        self.assertEqual(report.executions, 92435)
        self.assertEqual(report.corpus, (141, 465))
        self.assertEqual(report.coverage, (1246, 1379))
        self.assertEqual(report.finding, "")
        self.assertIn("no finding", fuzz.lines_of(report, "program")[0])

    def test_a_finding_comes_with_the_command_that_shows_it_again(self):
        report = fuzz.read_log("format_a", FOUND, 0.3, 77)
        lines = fuzz.lines_of(report, "build-asan/bin/fuzz/kvferry_fuzz_format_a")
        self.assertIn("FOUND after 0.3 s", lines[0])
        self.assertIn("heap-buffer-overflow", lines[1])
        self.assertEqual(lines[2].strip(), "again: build-asan/bin/fuzz/kvferry_fuzz_format_a "
                                           "findings/crash-0a")

    def test_a_kept_input_is_a_finding_whatever_the_exit_code(self):
        self.assertTrue(fuzz.read_log("format_a", FOUND, 1.0, 0).finding)

    def test_an_exit_without_a_word_is_a_finding(self):
        self.assertEqual(fuzz.read_log("format_a", GOOD, 6.0, 1).finding, "exit code 1")

    def test_nothing_executed_is_a_finding(self):
        self.assertEqual(fuzz.read_log("format_a", "", 6.0, 0).finding, "nothing was executed")


class Seeds(unittest.TestCase):
    def test_every_target_of_the_build_has_seeds(self):
        text = (tree.ROOT / "fuzz/CMakeLists.txt").read_text()
        built = set(re.findall(r"^kvferry_add_fuzz_target\((\w+)", text, re.MULTILINE))
        self.assertEqual(built, set(fuzz_seeds.SEEDS))
        for target in built:
            self.assertGreater(len(fuzz_seeds.seeds(target)), 0, target)

    def test_no_seed_is_too_long(self):
        for target in fuzz_seeds.SEEDS:
            longest = max(len(seed) for seed in fuzz_seeds.seeds(target))
            self.assertLessEqual(longest, fuzz_seeds.SEED_BYTES_MAX, target)

    def test_dictionaries_are_there(self):
        for target, name in fuzz_seeds.DICTIONARIES.items():
            self.assertIn(target, fuzz_seeds.SEEDS)
            self.assertTrue((tree.ROOT / "fuzz/dictionaries" / name).exists(), name)


if __name__ == "__main__":
    unittest.main()
