#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Workers and pulls as processes of their own; what arrives is checked from outside.

Goal: blocks arrive right between all layouts, and every failure is told with the right exit code.
Method: each dump is compared with oracle.py, which knows nothing of kvferry's code; faults strike
in the middle of a transfer at an exact piece.

    pull_test.py PATH_OF_THE_TOOL
"""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
import unittest

import oracle
from workers import Tool

LAYOUTS = ("fc", "ls", "ls2")
BLOCKS = (5, 2)  # of the source; out of order, so that a plan that sorts wrongly shows
BINARY = ""


def expected(blocks=BLOCKS, **other):
    shape = {"page": 16, "source_page": 16, **other}
    return oracle.Dump(oracle.GEOMETRIES["llama-3.1-8b"], tuple(blocks), **shape)


class PullTest(unittest.TestCase):
    """One worker for each layout and order; they stay while all pulls run."""

    @classmethod
    def setUpClass(cls):
        cls.tool = Tool(BINARY)
        for layout, order in itertools.product(LAYOUTS, ("nhd", "hnd")):
            options = ("--layout", layout, "--order", order, "--num-blocks", "6")
            cls.tool.start(f"{layout}-{order}", *options, "--publish", "a")
            cls.tool.start(f"{layout}-{order}-b", *options, "--publish", "a,b")
        cls.right = expected()
        cls.bytes = cls.right.expected()

    @classmethod
    def tearDownClass(cls):
        cls.tool.__exit__()

    def dump_of(self, *options):
        path = self.tool.path("dump.bin")
        code, report, err = self.tool.pull("--dump", path, *options)
        self.assertEqual(code, 0, err)
        self.assertTrue(report["ok"])
        with open(path, "rb") as file:
            data = file.read()
        os.unlink(path)
        return report, data

    def check_dump(self, data):
        if data != self.bytes:
            self.fail(self.right.first_wrong(data))

    def test_same_order_between_all_layouts(self):
        count = 0
        for source, destination, order in itertools.product(LAYOUTS, LAYOUTS, ("nhd", "hnd")):
            with self.subTest(source=source, destination=destination, order=order):
                report, data = self.dump_of(
                    *("--peer", f"{source}-{order}", "--blocks", "5,2:1,0"),
                    *("--layout", destination, "--order", order),
                )
                self.check_dump(data)
                self.assertEqual(report["route"], "shm read")
                self.assertEqual(report["bytes"], 2 * 2_097_152)
                self.assertEqual(report["verified"], "pattern")
                self.assertEqual(report["bad_blocks"], [])
                count += 1
        print(f"{count} pairs with equal order: every byte as the oracle says")

    def test_other_order_is_refused_and_works_when_heads_are_known(self):
        refused = right = 0
        for source, destination, order in itertools.product(LAYOUTS, LAYOUTS, ("nhd", "hnd")):
            other = "hnd" if order == "nhd" else "nhd"
            options = (
                *("--peer", f"{source}-{order}", "--blocks", "5,2:1,0"),
                *("--layout", destination, "--order", other),
            )
            with self.subTest(source=source, destination=destination, order=order):
                code, report, err = self.tool.pull(*options)
                self.assertEqual(code, 3)
                self.assertEqual(report["error"]["code"], "Incompatible")
                self.assertIn("format A tells no heads", report["error"]["message"])
                self.assertIn("format A tells no heads", err)
                self.assertEqual(report["bytes_moved"], 0)
                refused += 1
                report, data = self.dump_of(*options, "--assume", "heads=8")
                self.check_dump(data)
                self.assertEqual(report["assumed"], "heads=8")
                right += 1
        print(f"{refused} pairs of unlike order refused; {right} right with heads=8")

    def test_other_order_works_when_the_message_tells_heads(self):
        right = 0
        for source, destination, order in itertools.product(LAYOUTS, LAYOUTS, ("nhd", "hnd")):
            other = "hnd" if order == "nhd" else "nhd"
            with self.subTest(source=source, destination=destination, order=order):
                _, data = self.dump_of(
                    *("--peer", f"{source}-{order}-b", "--blocks", "5,2:1,0"),
                    *("--layout", destination, "--order", other),
                )
                self.check_dump(data)
                right += 1
        print(f"{right} pairs of unlike order right with the heads that format B tells")
        for assumed, code in (("heads=8", 0), ("heads=4", 3)):
            code_found, _, err = self.tool.pull(
                "--peer", "fc-nhd-b", "--blocks", "0:0", "--assume", assumed
            )
            self.assertEqual(code_found, code, err)
        self.assertIn("num_heads 4, the message says 8", err)

    def test_plan_reads_every_message_that_a_worker_published(self):
        self.tool.start("all-formats", "--num-blocks", "6")
        self.addCleanup(self.tool.end, "all-formats")
        to = "geometry:llama-3.1-8b,order=hnd"
        for file, verdict in (("a", "impossible"), ("b", "needs reordering"),
                              ("kvfy", "needs reordering")):
            with self.subTest(file):
                message = self.tool.path(f"exchange/all-formats.{file}")
                code, out, err = self.tool.run("plan", "--from", message, "--to", to, "--blocks",
                                               "4,2:0-1", "--json")
                self.assertEqual(code, 3 if file == "a" else 0, err)
                self.assertEqual(json.loads(out)["verdict"], verdict)

    def test_layers_seed_and_pages(self):
        report, data = self.dump_of("--peer", "ls2-nhd", "--blocks", "5,2:1,0", "--layers", "3:7")
        self.assertIsNone(expected(layers=(3, 7)).first_wrong(data))
        self.assertEqual(report["bytes"], 2 * 2_097_152 * 4 // 32)
        _, data = self.dump_of(
            *("--peer", "ls2-hnd", "--blocks", "5,2:0", "--page", "32", "--assume", "heads=8"),
        )
        self.assertIsNone(expected(page=32).first_wrong(data))
        code, report, _ = self.tool.pull("--peer", "fc-nhd", "--blocks", "1:0", "--layers", "4:4")
        self.assertEqual((code, report["bytes_moved"]), (0, 0))
        code, report, _ = self.tool.pull("--peer", "fc-nhd", "--blocks", "1:0", "--seed", "9")
        self.assertEqual((code, report["error"]["code"]), (6, "WrongBytes"))
        self.assertEqual(report["bad_blocks"], [0])

    def test_bad_input(self):
        for options, code, text in (
            (("--peer", "nobody", "--blocks", "0:0"), 4, "nobody"),
            (("--peer", "fc-nhd", "--blocks", "6:0"), 3, "6"),
            (("--peer", "fc-nhd", "--blocks", "0,1:0,0"), 3, "destination block 0"),
            (("--peer", "fc-nhd", "--blocks", "0,1:0"), 3, "2 source blocks against 1"),
            (("--peer", "fc-nhd", "--blocks", "0:0", "--layers", "30:33"), 3, "32"),
            (("--peer", "fc-nhd", "--blocks", "0:0", "--geometry", "qwen3-32b"), 3, "num_layers"),
            (("--peer", "fc-nhd", "--blocks", "0:0", "--geometry", "no-such"), 3, "no-such"),
            (("--peer", "fc-nhd", "--blocks", "0:0", "--assume", "heads=7"), 3, "num_heads"),
            (("--peer", "fc-nhd", "--blocks", "x:0"), 2, "x"),
            (("--peer", "fc-nhd", "--blocks", "0:0", "--dump", "/no/such/file"), 4, "/no/such"),
            (("--peer", "fc-nhd"), 2, "--blocks"),
            (("--peer", "../x", "--blocks", "0:0"), 3, "name"),
            (("--peer", "fc-nhd", "--blocks", "0:18446744073709551615"), 3, "184467440737095"),
            (("--peer", "fc-nhd", "--blocks", "0:0", "--fault", "fail@9999"), 3, "did not strike"),
        ):
            with self.subTest(options=options):
                found, report, err = self.tool.pull(*options)
                self.assertEqual(found, code, err)
                self.assertIn(text, err)
                if code != 2:
                    self.assertFalse(report["ok"])
                    self.assertIn(text, report["error"]["message"])
                    self.assertTrue(report["quiet"])

    def test_peers(self):
        code, out, _ = self.tool.run("peers", "--exchange", self.tool.exchange)
        self.assertEqual(code, 0)
        self.assertIn("ls2-hnd", out)


class FaultTest(unittest.TestCase):
    """One thing goes wrong at an exact piece of 64 KiB; 64 blocks are 2,048 of them."""

    ALL = 64 * 2_097_152

    def setUp(self):
        self.tool = Tool(BINARY)
        self.tool.start("owner", "--layout", "fc")
        self.addCleanup(self.tool.__exit__)

    def pull(self, fault, *options):
        return self.tool.pull(
            *("--peer", "owner", "--blocks", "0-63:0-63", "--layout", "ls", "--fault", fault),
            *options,
        )

    def assert_in_the_middle(self, report, piece):
        self.assertEqual(report["fault_at"], piece)
        self.assertEqual(report["fault_bytes_moved"], piece * 65_536)
        self.assertLess(0, report["fault_bytes_moved"])
        self.assertLess(report["bytes_moved"], self.ALL)

    def test_corrupt(self):
        code, report, _ = self.pull("corrupt@3")
        self.assertEqual(code, 6)
        self.assertEqual(report["error"]["code"], "WrongBytes")
        self.assertEqual(report["bad_blocks"], [0])

    def test_checksum_names_the_block_that_is_wrong(self):
        path = self.tool.path("dump.bin")
        code, report, _ = self.pull("corrupt@300", "--verify", "checksum", "--dump", path)
        self.assertEqual((code, report["error"]["code"]), (6, "WrongBytes"))
        self.assertEqual(report["verified"], "checksum")
        self.assertEqual(report["bytes_moved"], self.ALL)
        with open(path, "rb") as file:
            data = file.read()
        size = self.ALL // 64
        wrong = [block for block in range(64)
                 if data[block * size:(block + 1) * size] != expected(blocks=(block,)).expected()]
        self.assertEqual(len(wrong), 1)
        self.assertEqual(report["bad_blocks"], wrong)

    def test_checksum_between_unlike_layouts(self):
        code, report, err = self.tool.pull(
            *("--peer", "owner", "--blocks", "0-7:0-3", "--layout", "ls2", "--order", "hnd"),
            *("--page", "32", "--verify", "checksum", "--assume", "heads=8"),
        )
        self.assertEqual(code, 0, err)
        self.assertEqual(report["verified"], "checksum")
        self.assertGreater(report["verify_seconds"], 0)
        code, out, err = self.tool.run(
            *("push", "--exchange", self.tool.exchange, "--peer", "owner", "--json"),
            *("--blocks", "0-3:4-7", "--layout", "ls", "--verify", "checksum"),
        )
        self.assertEqual(code, 0, err)
        self.assertEqual(json.loads(out)["verified"], "checksum")

    def test_checksum_needs_the_owner(self):
        begin = time.monotonic()
        code, report, _ = self.pull("stop-owner@100", "--verify", "checksum", "--deadline", "1s")
        self.assertEqual((code, report["error"]["code"]), (5, "Deadline"))
        self.assertLess(time.monotonic() - begin, 10)
        self.assertLess(0, len(report["bad_blocks"]))

    def test_stopped_owner_does_not_disturb(self):
        path = self.tool.path("dump.bin")
        code, report, err = self.pull("stop-owner@100", "--dump", path)
        self.assertEqual(code, 0, err)
        self.assertEqual(report["fault_at"], 100)
        with open(path, "rb") as file:
            data = file.read()
        first = expected(blocks=(0,)).expected()
        last = expected(blocks=(63,)).expected()
        self.assertEqual(len(data), self.ALL)
        self.assertEqual(data[: len(first)], first)
        self.assertEqual(data[-len(last) :], last)

    def test_first_contact_with_a_stopped_owner(self):
        self.assertEqual(self.pull("stop-owner@100")[0], 0)
        begin = time.monotonic()
        code, report, _ = self.tool.pull(
            *("--peer", "owner", "--blocks", "0:0", "--deadline", "700ms")
        )
        self.assertEqual((code, report["error"]["code"]), (5, "Deadline"))
        self.assertLess(time.monotonic() - begin, 5)

    def test_killed_owner(self):
        code, report, _ = self.pull("kill-owner@100")
        self.assertEqual(code, 4)
        self.assertEqual(report["error"]["code"], "Unavailable")
        self.assertEqual(report["bad_blocks"], list(range(64)))
        self.assertTrue(report["quiet"])
        self.assert_in_the_middle(report, 100)
        self.assertEqual(self.tool.workers["owner"].wait(timeout=5), -9)
        # Its entry is recognised as a dead one's, and another worker may take the name.
        self.assertEqual(self.tool.pull("--peer", "owner", "--blocks", "0:0")[0], 4)
        self.tool.workers.pop("owner").stdout.close()
        self.tool.start("owner", "--layout", "fc")
        self.assertEqual(self.tool.pull("--peer", "owner", "--blocks", "0:0")[0], 0)

    def test_killed_self_leaves_the_owner_usable(self):
        code, _, _ = self.tool.run(
            *("pull", "--exchange", self.tool.exchange, "--peer", "owner"),
            *("--blocks", "0-63:0-63", "--fault", "kill-self@100"),
        )
        self.assertEqual(code, -9)
        self.assertEqual(self.tool.pull("--peer", "owner", "--blocks", "0:0")[0], 0)

    def test_failed_piece(self):
        code, report, _ = self.pull("fail@100")
        self.assertEqual((code, report["error"]["code"]), (4, "Unavailable"))
        self.assertEqual(report["bad_blocks"], list(range(64)))
        self.assert_in_the_middle(report, 100)

    def test_dropped_piece_ends_at_the_deadline(self):
        begin = time.monotonic()
        code, report, _ = self.pull("drop@100", "--deadline", "2s")
        self.assertEqual((code, report["error"]["code"]), (5, "Deadline"))
        self.assertLess(time.monotonic() - begin, 10)
        self.assertTrue(report["quiet"])
        self.assertEqual(report["bad_blocks"][-1], 63)
        self.assertNotIn(0, report["bad_blocks"])
        self.assert_in_the_middle(report, 100)

    def test_delayed_piece(self):
        code, report, err = self.pull("delay@100:300ms")
        self.assertEqual(code, 0, err)
        self.assertGreater(report["seconds"], 0.3)
        code, report, _ = self.pull("delay@100:3s", "--deadline", "1s")
        self.assertEqual((code, report["error"]["code"]), (5, "Deadline"))
        self.assertFalse(report["quiet"])
        self.assert_in_the_middle(report, 100)

    def test_interrupted(self):
        command = ("pull", "--json", "--exchange", self.tool.exchange, "--peer", "owner")
        pull = subprocess.Popen(
            [BINARY, *command, "--blocks", "0-63:0-63", "--fault", "drop@100"],
            env=self.tool.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(200):
            time.sleep(0.05)
            if self.reads(pull.pid):
                break
        time.sleep(0.5)  # For the pieces before the dropped one.
        pull.send_signal(signal.SIGINT)
        out, _ = pull.communicate(timeout=20)
        report = json.loads(out)
        self.assertEqual((pull.returncode, report["error"]["code"]), (5, "Cancelled"))
        self.assertTrue(report["quiet"])
        self.assertIn(63, report["bad_blocks"])

    @staticmethod
    def reads(pid):
        """Whether a process has the owner's 128 MiB before it, beside 128 MiB of its own."""
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            fields = dict(line.split(":", 1) for line in status)
        return int(fields["RssShmem"].split()[0]) > 250 * 1024

    def test_worker_withdraws(self):
        self.assertEqual(self.tool.end("owner"), 0)
        code, out, _ = self.tool.run("peers", "--json", "--exchange", self.tool.exchange)
        self.assertEqual((code, out), (0, "[]\n"))

    def test_second_worker_of_one_name_is_refused(self):
        code, _, err = self.tool.run(
            *("worker", "--name", "owner", "--exchange", self.tool.exchange, "--num-blocks", "1")
        )
        self.assertEqual(code, 4)
        self.assertIn("owner", err)


if __name__ == "__main__":
    BINARY = sys.argv.pop(1)
    unittest.main(verbosity=2)
