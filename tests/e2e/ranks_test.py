#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Ranks of a model as workers of their own: pulls from several of them at once, and pushes.

Goal: whatever ranks, orders and pages meet, each byte arrives once and right; what one source
      cannot give any more is bad, and nothing else.
Method: each dump is compared with oracle.py, which knows nothing of kvferry's code; owners are
        killed in the middle of a transfer.

    ranks_test.py PATH_OF_THE_TOOL
"""

import json
import os
import sys
import unittest

import oracle
from workers import Tool

BINARY = ""


def share(rank, ranks, heads):
    """The heads of a rank, from the documented formula."""
    if ranks > heads:
        return (rank * heads // ranks, rank * heads // ranks + 1)
    return (rank * heads // ranks, (rank + 1) * heads // ranks)


class RanksTest(unittest.TestCase):
    def setUp(self):
        self.tool = Tool(BINARY)
        self.addCleanup(self.tool.__exit__)

    def start(self, name, *options):
        blocks = () if "--num-blocks" in options else ("--num-blocks", "8")
        self.tool.start(name, *blocks, *options)
        return name

    def start_ranks(self, ranks, *options, axis="tp"):
        return [
            self.start(f"{axis}{rank}", f"--{axis}", f"{rank}/{ranks}", *options)
            for rank in range(ranks)
        ]

    def pull(self, peers, *options, code=0):
        dump = self.tool.path("dump.bin")
        named = [word for peer in peers for word in ("--peer", peer)]
        found, report, err = self.tool.pull("--dump", dump, *named, *options)
        self.assertEqual(found, code, err)
        if not os.path.exists(dump):
            return report, b"", err
        with open(dump, "rb") as file:
            data = file.read()
        os.unlink(dump)
        return report, data, err

    def assert_right(self, data, geometry, blocks, page, **more):
        shape = oracle.GEOMETRIES[geometry]
        dump = oracle.Dump(shape, blocks, page, more.pop("source_page", shape.page), **more)
        self.assertIsNone(dump.first_wrong(data))

    def test_two_ranks_in_one_order_make_one_cache_in_another(self):
        peers = self.start_ranks(2, "--order", "hnd")
        report, data, _ = self.pull(
            peers, "--order", "nhd", "--page", "32", "--tp", "0/1", "--blocks", "6,1,4,3:1,0"
        )
        self.assertEqual(report["bytes_moved"], len(data))
        self.assertEqual((report["coverage"], report["route"]), (1.0, "shm read"))
        self.assert_right(data, "llama-3.1-8b", (6, 1, 4, 3), 32)

    def test_ranks_that_do_not_divide_heads(self):
        for ranks in (2, 3):
            peers = self.start_ranks(ranks, "--geometry", "smollm2-135m", "--order", "hnd")
            for own in (1, 2, 3):
                for rank in range(own):
                    with self.subTest(ranks=ranks, own=own, rank=rank):
                        report, data, _ = self.pull(
                            *(peers, "--geometry", "smollm2-135m", "--order", "nhd"),
                            *("--page", "32", "--tp", f"{rank}/{own}"),
                            *("--blocks", "2,7,0,1:0,1"),
                        )
                        self.assertEqual(report["bytes_moved"], len(data))
                        heads = share(rank, own, 3)
                        self.assert_right(data, "smollm2-135m", (2, 7, 0, 1), 32, own_heads=heads)
            for peer in peers:
                self.tool.end(peer)

    def test_stages_and_ranks_together(self):
        peers = []
        for stage in range(3):
            for rank in range(2):
                peers.append(
                    self.start(
                        *(f"s{stage}r{rank}", "--geometry", "smollm2-135m", "--layout", "fc"),
                        *("--order", "utp", "--pp", f"{stage}/3", "--tp", f"{rank}/2"),
                    )
                )
        report, data, _ = self.pull(
            *(peers, "--geometry", "smollm2-135m", "--layout", "ls2", "--order", "hnd"),
            *("--pp", "1/2", "--blocks", "3,5:1,0", "--layers", "0:29"),
        )
        self.assertEqual(report["coverage"], 1.0)
        self.assert_right(
            data, "smollm2-135m", (3, 5), 16, own_layers=(15, 30), layers=(0, 29)
        )

    def test_what_the_sources_do_not_hold_is_refused_or_partial(self):
        peers = self.start_ranks(2)[:1]
        own = ("--order", "hnd", "--blocks", "2,1:0,1")
        report, data, err = self.pull(peers, *own, code=3)
        self.assertEqual(data, b"")
        self.assertIn("does not cover heads 4:8", err)
        self.assertEqual((report["bad_blocks"], report["coverage"]), ([0, 1], 0))
        report, data, _ = self.pull(peers, *own, "--partial")
        self.assertEqual((report["coverage"], report["partial_blocks"]), (0.5, [0, 1]))
        self.assertEqual(report["bytes_moved"], len(data) // 2)
        self.assert_right(data, "llama-3.1-8b", (2, 1), 16, moved_heads=(0, 4))

    def test_replicas_share_the_work_and_a_dead_one_spoils_its_blocks_only(self):
        peers = self.start_ranks(2, "--geometry", "deepseek-v3")
        own = ("--geometry", "deepseek-v3", "--blocks", "0-7:0-7")
        report, data, _ = self.pull(peers, *own)
        self.assertEqual(report["bytes_moved"], len(data))
        self.assert_right(data, "deepseek-v3", tuple(range(8)), 64)
        # 8 blocks of 69 pieces: the owner that is read at piece 30 dies.
        report, data, err = self.pull(peers, *own, "--fault", "kill-owner@30", code=4)
        self.assertTrue(0 < report["fault_bytes_moved"] < len(data))
        self.assertTrue(report["bytes_moved"] < len(data))
        self.assertEqual(len(report["bad_blocks"]), 4, report)
        good = [block for block in range(8) if block not in report["bad_blocks"]]
        size = len(data) // 8
        for block in good:
            one = data[block * size : (block + 1) * size]
            self.assert_right(one, "deepseek-v3", (block,), 64)
        self.assertIn("worker=", err)

    def test_a_dead_rank_spoils_every_block_that_it_feeds(self):
        peers = self.start_ranks(2, "--order", "hnd")
        report, data, _ = self.pull(
            *(peers, "--page", "32", "--blocks", "0-7:0-3", "--fault", "kill-owner@70"), code=4
        )
        self.assertTrue(0 < report["fault_bytes_moved"] <= report["bytes_moved"] < len(data))
        self.assertEqual(report["bad_blocks"], [0, 1, 2, 3])

    def test_more_ranks_than_heads_move_no_head_twice(self):
        geometry = "qwen3-235b-a22b"
        peers = [
            self.start(
                *(f"q{rank}", "--geometry", geometry, "--tp", f"{rank}/8", "--num-blocks", "2")
            )
            for rank in range(8)
        ]
        for ranks in (8, 4):
            moved, logical, naive = 0, 0, 0
            for rank in range(ranks):
                heads = share(rank, ranks, 4)
                report, data, _ = self.pull(
                    *(peers, "--geometry", geometry, "--tp", f"{rank}/{ranks}"),
                    *("--blocks", "1,0:0,1"),
                )
                self.assert_right(data, geometry, (1, 0), 16, own_heads=heads)
                moved += report["bytes_moved"]
                logical += len(data)
                # Without a plan, each peer that holds a wanted head gives all of it.
                held = sum(share(peer, 8, 4) == heads for peer in range(8))
                naive += held * len(data)
            print(
                f"{geometry} TP8 -> TP{ranks}: {moved} bytes moved, {logical} logical, "
                f"{naive} where every holder of a head gives it",
                file=sys.stderr,
            )
            self.assertEqual(moved, logical)
            self.assertEqual(naive, 2 * logical)

    def test_push_puts_a_part_into_a_whole_and_a_whole_into_a_part(self):
        whole = self.start("whole", "--fill", "zero")
        for rank in range(2):
            code, out, err = self.tool.run(
                *("push", "--json", "--exchange", self.tool.exchange, "--peer", whole),
                *("--order", "hnd", "--tp", f"{rank}/2", "--page", "32", "--partial"),
                *("--blocks", "1,0:4,6,3,1", "--seed", "9"),
            )
            self.assertEqual(code, 0, err)
            self.assertEqual(json.loads(out)["route"], "shm write")
        # Block 1 of 32 tokens went to blocks 4 and 6, block 0 to 3 and 1.
        _, data, _ = self.pull([whole], "--blocks", "4,6,3,1:0-3", "--verify", "none")
        self.assert_right(data, "llama-3.1-8b", (1, 0), 16, source_page=32, seed=9)
        part = self.start("part", "--fill", "zero", "--tp", "1/2", "--layout", "ls")
        code, _, err = self.tool.run(
            *("push", "--exchange", self.tool.exchange, "--peer", part, "--blocks", "2:7")
        )
        self.assertEqual(code, 0, err)
        _, data, _ = self.pull([part], "--blocks", "7:0", "--tp", "1/2", "--verify", "none")
        self.assert_right(data, "llama-3.1-8b", (2,), 16, own_heads=(4, 8))

    def test_two_models_of_one_shape(self):
        told = ("--publish", "envelope", "--access", "read-write", "--model")
        first = self.start("first", *told, "base@1", "--tp", "0/2")
        other = self.start("other", *told, "base@2", "--tp", "1/2")
        second = self.start("second", *told, "base@1", "--tp", "1/2")
        push = ("push", "--exchange", self.tool.exchange, "--peer", first, "--blocks", "2:1")
        half, whole = ("--tp", "0/2", "--blocks", "2:1"), ("--blocks", "2:1")
        for model, code in (("base@1", 0), ("base@2", 3), (None, 0)):
            own = ("--model", model) if model else ()
            with self.subTest(model=model):
                self.assertEqual(self.tool.run(*push, "--tp", "0/2", *own)[0], code)
                report, data, err = self.pull([first], *half, *own, code=code)
                if code == 0:
                    self.assertEqual(report["bytes_moved"], len(data))
                else:
                    self.assertIn('model "base@1" against "base@2"', err)
                    self.assertEqual(report["bytes_moved"], 0)
        _, data, _ = self.pull([first, second], *whole)
        self.assert_right(data, "llama-3.1-8b", (2,), 16)
        _, _, err = self.pull([first, other], *whole, code=3)
        self.assertIn('model "base@2" against "base@1"', err)

    def test_push_is_refused_where_it_may_not_write_or_does_not_cover(self):
        self.start("readers", "--access", "read")
        self.start("writers")
        base = ("push", "--exchange", self.tool.exchange, "--blocks", "0:0")
        for peer, options, code, text in (
            ("readers", (), 4, "may be read by peers, not written"),
            ("writers", ("--tp", "0/2"), 3, "does not cover heads 4:8"),
            ("nobody", (), 4, "nobody"),
        ):
            with self.subTest(peer=peer):
                found, _, err = self.tool.run(*base, "--peer", peer, *options)
                self.assertEqual(found, code, err)
                self.assertIn(text, err)

    def test_coordinates_that_a_message_cannot_tell_are_not_guessed(self):
        self.start("b-only", "--tp", "1/2", "--publish", "b")
        report, _, err = self.pull(["b-only"], "--tp", "1/2", "--blocks", "0:0", code=3)
        self.assertEqual(report["bytes_moved"], 0)
        self.assertIn("head", err)
        self.start("utp", "--order", "utp", "--publish", "b")
        _, data, _ = self.pull(["utp"], "--order", "hnd", "--blocks", "3:0")
        self.assert_right(data, "llama-3.1-8b", (3,), 16)


if __name__ == "__main__":
    BINARY = sys.argv.pop(1)
    unittest.main(verbosity=2)
