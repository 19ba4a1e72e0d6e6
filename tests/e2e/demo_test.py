#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demo, the measurements and the version as a user calls them.

Goal: what they print is what the command line promises, and what the demo says is so.
Method: runs them, reads their JSON, compares figures that must agree with each other.

    demo_test.py PATH_OF_THE_TOOL
"""

import json
import sys
import unittest

from workers import Tool

BINARY = ""
BLOCK_BYTES = 2_097_152


class DemoTest(unittest.TestCase):
    def setUp(self):
        self.tool = Tool(BINARY)
        self.addCleanup(self.tool.__exit__)

    def document(self, *arguments):
        code, out, err = self.tool.run(*arguments)
        self.assertEqual(code, 0, err)
        return json.loads(out)

    def test_demo(self):
        demo = self.document("demo", "--json")
        self.assertTrue(demo["ok"])
        pids = {process["pid"] for process in demo["processes"]}
        self.assertEqual(len(pids), 2)
        self.assertEqual([p["role"] for p in demo["processes"]], ["prefill", "decode"])
        self.assertEqual(demo["message"]["format"], "A")
        self.assertGreater(demo["message"]["bytes"], 100)
        self.assertGreater(demo["ratio"], 0)
        self.assertLess(demo["seconds"], 10)
        everything, half, reordered = demo["transfers"]
        self.assertEqual(everything["bytes"], 64 * BLOCK_BYTES)
        self.assertEqual(half["bytes"], 32 * BLOCK_BYTES // 2)
        # 64 blocks x 32 layers x K and V; K and V lie together on both sides.
        self.assertEqual((everything["runs_before"], everything["runs"]), (4096, 2048))
        # Tokens and heads change places: a piece is one head of one token.
        self.assertEqual(reordered["runs"], 64 * 32 * 2 * 16 * 8)
        for transfer in demo["transfers"]:
            self.assertEqual(transfer["verified"], "pattern")
            self.assertEqual(transfer["bad_blocks"], [])
            self.assertEqual(transfer["route"], "shm read")

    def test_demo_for_people(self):
        code, out, _ = self.tool.run("demo")
        self.assertEqual(code, 0)
        for word in ("prefill", "decode", "format A", "GB/s", "every byte checked", "memcpy"):
            self.assertIn(word, out)

    def test_demo_writes_a_page_that_stands_alone(self):
        page = self.tool.path("demo.html")
        code, out, err = self.tool.run("demo", "--json", "--report", page)
        self.assertEqual(code, 0, err)
        demo = json.loads(out)
        with open(page, encoding="utf-8") as file:
            text = file.read()
        for transfer in demo["transfers"]:
            self.assertIn(f"<td>{transfer['title']}</td>", text)
            self.assertIn(f"<td class=\"number\">{transfer['runs']}</td>", text)
        self.assertIn(f"{demo['memcpy_gb_per_s']:.1f} GB/s</text>", text)
        for process in demo["processes"]:
            self.assertIn(f"<td class=\"number\">{process['pid']}</td>", text)
        self.assertEqual(text.count("<rect"), 1 + len(demo["transfers"]))
        self.assertNotRegex(text, r"(src|href)=|@import|url\(")

    def test_demo_says_that_the_page_cannot_be_written(self):
        code, _, err = self.tool.run("demo", "--report", "/no/such/demo.html")
        self.assertEqual(code, 4)
        self.assertIn("/no/such/demo.html", err)

    def test_demo_without_a_place_for_files(self):
        self.tool.environment["TMPDIR"] = "/no/such"
        code, out, err = self.tool.run("demo", "--json")
        self.assertEqual(code, 4, err)
        self.assertEqual(json.loads(out)["error"]["code"], "Unavailable")

    def test_bench_measures_every_case(self):
        code, out, err = self.tool.run("bench", "--quick", "--json", timeout=400)
        self.assertIn(code, (0, 1), err)  # Bars are for `make bench`, on a quiet machine.
        cases = json.loads(out)["cases"]
        suites = {"disk", "host", "latency", "many", "memory", "plan", "shm", "wire"}
        self.assertEqual({case["suite"] for case in cases}, suites)
        # Suite wire has nothing to be compared with here, and says so, as does a file system
        # without direct I/O; plan moves nothing and memory counts bytes.
        judged = [case for case in cases if not case.get("skipped")]
        measured = [case for case in judged if case["suite"] not in ("memory", "plan")]
        self.assertEqual({case["suite"] for case in measured}, suites - {"memory", "plan", "wire"})
        for case in measured:
            self.assertGreater(case["seconds"]["min"], 0)
            self.assertLessEqual(case["seconds"]["min"], case["seconds"]["median"])
            self.assertGreater(case["baseline_gb_per_s"], 0)
        self.assertEqual(code == 0, all(case["ok"] for case in judged))
        self.assertEqual(sum("overhead_us" in case for case in cases), 2)

    def test_bench_refuses_an_unknown_suite(self):
        code, _, err = self.tool.run("bench", "no-such")
        self.assertEqual(code, 2)
        self.assertIn("no-such", err)

    def test_version(self):
        version = self.document("version", "--json")
        self.assertRegex(version["version"], r"^\d+\.\d+\.\d+$")
        self.assertIn("shm", version["agents"])

    def test_worker_refuses_odd_input(self):
        for options, code, text in (
            (("--name", ""), 3, "name"),
            (("--name", "a/b"), 3, "name"),
            (("--name", "w", "--num-blocks", "0"), 3, "num_blocks"),
            (("--name", "w", "--num-blocks", "99999999999999999999"), 3, "is above"),
            (("--name", "w", "--num-blocks", "9000000000000"), 3, "64 bits"),
            (("--name", "w", "--num-blocks", "1000000000"), 4, "bytes"),
            (("--name", "w", "--num-blocks", "x"), 2, "x"),
            (("--name", "w", "--page", "0"), 3, "page_size"),
            (("--name", "w", "--dtype", "3"), 3, "dtype"),
            (("--name", "w", "--layout", "xy"), 2, "xy"),
            (("--name", "w", "--order", "utp", "--layout", "ls"), 3, "needs one region"),
            (("--name", "w", "--publish", "z"), 2, "is none of a, b and envelope"),
            (("--name", "w", "--publish", "a,"), 2, "is none of a, b and envelope"),
            (("--name", "w", "--exchange", "dir:/no/such/place"), 4, "/no/such"),
            (("--name", "w", "--exchange", "carrier-pigeon"), 2, "carrier-pigeon"),
        ):
            with self.subTest(options=options):
                arguments = ("worker", *options)
                if "--exchange" not in options:
                    arguments += ("--exchange", self.tool.exchange)
                found, _, err = self.tool.run(*arguments)
                self.assertEqual(found, code, err)
                self.assertIn(text, err)


if __name__ == "__main__":
    BINARY = sys.argv.pop(1)
    unittest.main(verbosity=2)
