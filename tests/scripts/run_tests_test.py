# SPDX-License-Identifier: Apache-2.0
"""Goal: a run is good only when nothing failed and every skip has its reason.
Method: outcomes made by hand, read from what ctest writes."""

import unittest

import planted  # noqa: F401, for the path to scripts/
from run_tests import judge, read_cases, read_skips

JUNIT = """<?xml version="1.0"?><testsuite tests="3">
<testcase name="A.Passes" time="0.5" status="run"/>
<testcase name="A.Fails" time="0.1" status="fail"><failure message=""/></testcase>
<testcase name="A.Skips" time="0" status="notrun">
<skipped message="SKIP_RETURN_CODE=77"/></testcase>
</testsuite>"""


def outcomes(junit):
    return {case.name: case.outcome for case in read_cases(junit)}


class RunTests(unittest.TestCase):
    def test_reads_outcomes(self):
        self.assertEqual(outcomes(JUNIT),
                         {"A.Passes": "passed", "A.Fails": "failed", "A.Skips": "skipped"})

    def test_counts_are_the_last_line(self):
        lines, good = judge(read_cases(JUNIT), [])
        self.assertEqual(lines[-1], "1 passed, 1 failed, 1 skipped")
        self.assertFalse(good)

    def test_a_listed_skip_is_good_and_tells_its_reason(self):
        cases = [case for case in read_cases(JUNIT) if case.outcome != "failed"]
        lines, good = judge(cases, read_skips("# why\nA\\.Sk.* | no device\n"))
        self.assertTrue(good)
        self.assertIn("skipped: A.Skips: no device", lines)

    def test_an_unlisted_skip_fails(self):
        cases = [case for case in read_cases(JUNIT) if case.outcome != "failed"]
        self.assertFalse(judge(cases, read_skips("A.Ski | only a part of the name\n"))[1])

    def test_a_failure_fails(self):
        cases = [case for case in read_cases(JUNIT) if case.outcome == "failed"]
        self.assertFalse(judge(cases, [])[1])

    def test_what_could_not_be_started_has_failed(self):
        for why in ("Fixture dependency failed", "Unable to find executable"):
            junit = ('<testsuite><testcase name="B" status="notrun" time="0">'
                     f'<skipped message="{why}"/></testcase></testsuite>')
            self.assertEqual(outcomes(junit), {"B": "failed"})

    def test_a_disabled_test_is_a_skip(self):
        junit = '<testsuite><testcase name="B" status="disabled" time="0"/></testsuite>'
        self.assertEqual(outcomes(junit), {"B": "skipped"})

    def test_no_tests_fail(self):
        self.assertFalse(judge([], [])[1])

    def test_a_skip_without_reason_is_no_line(self):
        with self.assertRaises(ValueError):
            read_skips("A.Skips |\n")


if __name__ == "__main__":
    unittest.main()
