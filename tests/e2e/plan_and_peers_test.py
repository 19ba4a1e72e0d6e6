# SPDX-License-Identifier: Apache-2.0
"""Goal: plan and peers print what the documents say, and end with the code that they say, quickly,
whatever they are given; watching peers misses no change. Method: runs the built tool, given as the
only argument, with good and bad command lines, and beside workers that are killed; what a list of
runs holds is plan_model.py's."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

from workers import Tool

TOOL = sys.argv.pop(1)
VECTORS = pathlib.Path(__file__).resolve().parents[2] / "vectors"
LLAMA = "geometry:llama-3.1-8b"
MESSAGE = VECTORS / "a_model_llama_3_1_8b_fc.bin"
# Refusals take milliseconds; a hang or a huge allocation would take longer than this.
DEADLINE_S = 20

RECORD = {
    "version": 1, "name": "gone", "worker_id": "18446744073709551615",
    "epoch": "000102030405060708090a0b0c0d0e0f", "generation": 3, "boot_id": "another boot",
    "pid": 1, "start_time": 1,
    "formats": {"a": {"bytes": 3, "xxh3_128": "06b05ab6733a618578af5f94892f3950"}},
}


def run(*words, **environment):
    return subprocess.run([TOOL, *map(str, words)], capture_output=True, text=True,
                          timeout=DEADLINE_S, check=False, env={**os.environ, **environment})


def plan(source, destination, blocks, *more):
    return run("plan", "--from", source, "--to", destination, "--blocks", blocks, *more)


class Plan(unittest.TestCase):
    def ends(self, result, code, message):
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertIn(message, result.stderr)

    def test_prints_exactly_the_documented_fields(self):
        result = plan(LLAMA, LLAMA + ",layout=ls", "4,9,2:0,1,2", "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(json.loads(result.stdout), {
            "ok": True, "verdict": "copyable", "reasons": [], "block_pairs": 3,
            "bytes_useful": 6291456, "bytes_moved": 6291456, "runs_before": 192, "runs": 96,
            "smallest_run": 65536, "largest_run": 65536, "coverage": 1.0, "route": "host copy"})

    def test_a_whole_block_is_one_run_between_equal_layouts(self):
        document = json.loads(plan(LLAMA, LLAMA, "4,9,2:0-2", "--json", "--list").stdout)
        self.assertEqual(document["verdict"], "identical")
        self.assertEqual((document["runs_before"], document["runs"]), (192, 3))
        size = 2097152
        self.assertEqual(sorted(document["runs_list"]),
                         sorted([0, source * size, 0, to * size, size, 1, 0, 0]
                                for source, to in ((4, 0), (9, 1), (2, 2))))

    def test_a_list_alone_has_stdout_and_the_summary_stderr(self):
        result = plan(LLAMA, LLAMA, "4:0", "--list")
        self.assertEqual(result.stdout, "0 8388608 0 0 2097152 1 0 0\n")
        self.assertIn("verdict      identical", result.stderr)
        self.assertIn("verdict      identical", plan(LLAMA, LLAMA, "4:0").stdout)

    def test_no_layer_moves_nothing(self):
        result = plan(LLAMA, LLAMA, "4:0", "--layers", "3:3", "--list")
        self.assertEqual((result.returncode, result.stdout), (0, ""))

    def test_a_message_against_another_order_is_impossible_until_heads_are_assumed(self):
        result = plan(MESSAGE, LLAMA + ",order=hnd", "0:0", "--json")
        self.ends(result, 3, "inner_shape NHD against HND: format A tells no heads")
        document = json.loads(result.stdout)
        self.assertEqual((document["ok"], document["verdict"]), (False, "impossible"))
        self.assertEqual([(r["field"], r["left"], r["right"]) for r in document["reasons"]],
                         [("inner_shape", "NHD", "HND")])
        result = plan(MESSAGE, LLAMA + ",order=hnd", "0:0", "--json", "--assume", "heads=8")
        self.assertEqual(result.returncode, 0, result.stderr)
        document = json.loads(result.stdout)
        self.assertEqual((document["verdict"], document["assumed"]),
                         ("needs reordering", "heads=8"))

    def test_the_command_line_alone_is_wrong(self):
        for words in (["--to", LLAMA, "--blocks", "0:0"], ["--from", LLAMA, "--blocks", "0:0"],
                      ["--from", LLAMA, "--to", LLAMA],
                      ["--from", LLAMA, "--to", LLAMA, "--blocks", "0:0", "--colour", "red"]):
            self.ends(run("plan", *words), 2, "kvferry: ")
        self.ends(plan(LLAMA, LLAMA, "0"), 2, "'0' is not SOURCE:DESTINATION")
        self.ends(plan(LLAMA, LLAMA, "0:"), 2, "'0:' is not SOURCE:DESTINATION")
        self.ends(plan(LLAMA, LLAMA, "a:0"), 2, "'a' is not a number")
        self.ends(plan(LLAMA, LLAMA, "0:0", "--layers", "3"), 2, "'3' is not FIRST:END")
        self.ends(plan(LLAMA + ",colour=red", LLAMA, "0:0"), 2, "'colour' is not blocks")
        self.ends(plan(LLAMA, LLAMA, "0:0", "--assume", "heads=8"), 2, "is a message")
        self.ends(plan(MESSAGE, LLAMA, "0:0", "--assume", "page=8"), 2, "'page=8' is not")

    def test_values_that_cannot_be_are_named_with_their_bound(self):
        for source, blocks, more, message in (
                ("geometry:gpt-2", "0:0", (), "'gpt-2' is none of llama-3.1-8b"),
                (LLAMA + ",tp=0/2", "0:0", (),
                 "the source does not cover heads 4:8 of the destination's 0:8"),
                (LLAMA + ",tp=0/12", "0:0", (), "tp 0/12: 12 ranks are more than the 8 heads"),
                (LLAMA + ",pp=2/2", "0:0", (), "pp 2/2: the first of the two is a rank below 2"),
                (LLAMA + ",layout=ls,order=utp", "0:0", (), "needs one region"),
                (LLAMA + ",dtype=3", "0:0", (), "dtype_width_bytes: 3 is not 1, 2, 4 or 8"),
                (LLAMA + ",dtype=4", "0:0", (), "dtype_width_bytes 4 against 2"),
                (LLAMA, "64:0", (), "source block 64 of 64"),
                (LLAMA, "0:64", (), "destination block 64 of 64"),
                (LLAMA, "0,1:0,0", (), "destination block 0"),
                (LLAMA, "0,1:0", (), "2 source blocks"),
                (LLAMA + ",page=32", "0:0", (), "tokens"),
                (LLAMA, "0:0", ("--layers", "0:33"), "32"),
                (LLAMA, "0:0", ("--layers", "2:1"), "first 2 is above the end 1"),
                (f"{MESSAGE}:7", "0:0", (), "layout 7 is none of its 1"),
                (VECTORS / "README.md", "0:0", (), "README.md: ")):
            with self.subTest(message):
                self.ends(plan(source, LLAMA, blocks, *more), 3, message)

    def test_several_sources_are_named_in_the_list_and_give_each_byte_once(self):
        ranks = [f"geometry:qwen3-235b-a22b,tp={rank}/8" for rank in range(8)]
        words = [word for rank in ranks for word in ("--from", rank)]
        target = ("--to", "geometry:qwen3-235b-a22b,tp=1/4,order=hnd", "--blocks", "0-7:0-7")
        done = run("plan", *words, *target, "--json", "--list")
        self.assertEqual(done.returncode, 0, done.stderr)
        document = json.loads(done.stdout)
        # One of four heads: on two of eight ranks, which share the blocks.
        self.assertEqual(document["bytes_moved"], 8 * 94 * 2 * 16 * 128 * 2)
        self.assertEqual(document["coverage"], 1.0)
        self.assertEqual({run[0] for run in document["runs_list"]}, {2, 3})
        done = run("plan", *words[:4], *target)
        self.ends(done, 3, "the sources do not cover heads 1:2 of the destination's 1:2")
        done = run("plan", *words[:4], *target, "--partial", "--json")
        self.assertEqual((done.returncode, json.loads(done.stdout)["coverage"]), (0, 0.0))

    def test_a_latent_is_planned_whatever_its_order_is_called(self):
        tiers = VECTORS / "a_model_deepseek_v3_mla_tiers.bin"
        for layout in (0, 1):
            done = plan(f"{tiers}:{layout}", "geometry:deepseek-v3", "5:0", "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(json.loads(done.stdout)["bytes_moved"], 61 * 64 * 576 * 2)

    def test_diff_says_whether_and_why(self):
        for left, right, code, verdict, field in (
                (LLAMA, LLAMA, 0, "identical", None),
                (MESSAGE, LLAMA, 0, "copyable", None),
                (MESSAGE, LLAMA + ",order=hnd", 1, "impossible", "inner_shape"),
                (LLAMA, LLAMA + ",layout=ls", 0, "copyable", None),
                (LLAMA, LLAMA + ",order=hnd,tp=1/2", 0, "needs reordering", "inner_shape"),
                (LLAMA + ",order=hnd", LLAMA + ",order=utp", 0, "copyable", None),
                (LLAMA + ",tp=0/2", LLAMA + ",tp=1/2", 1, "impossible", "heads"),
                (LLAMA + ",pp=0/2", LLAMA, 0, "copyable", "layers"),
                (LLAMA, LLAMA + ",tp=0/2", 0, "copyable", "heads"),
                (LLAMA, "geometry:llama-3.3-70b", 1, "impossible", "num_layers"),
                (LLAMA, LLAMA + ",dtype=1", 1, "impossible", "dtype_width_bytes")):
            with self.subTest(f"{left} {right}"):
                done = run("diff", left, right, "--json")
                document = json.loads(done.stdout)
                self.assertEqual((done.returncode, document["verdict"]), (code, verdict))
                fields = [reason["field"] for reason in document["reasons"]]
                self.assertEqual(fields[:1], [field] if field else [])
                text = run("diff", left, right)
                self.assertEqual(text.returncode, code)
                self.assertIn(verdict, text.stdout)
        self.ends(run("diff", LLAMA), 2, "RIGHT")
        self.ends(run("diff", LLAMA, "missing.a"), 4, "missing.a")
        self.ends(run("diff", LLAMA, "geometry:nobody"), 3, "'nobody' is none of")

    def test_huge_numbers_are_refused_at_once(self):
        huge = LLAMA + ",blocks=1000000000000"
        for source, destination, blocks, message in (
                (LLAMA, LLAMA, "99999999999999999999:0", "is above 18446744073709551615"),
                (LLAMA, LLAMA, "0-18446744073709551615:0", "of 64"),
                (huge, huge, "0-999999999999:0-999999999999", "more than 16777216 ids"),
                (LLAMA + ",blocks=99999999999999", LLAMA, "0:0", "does not fit into 64 bits"),
                (LLAMA + ",page=1048576,blocks=1", LLAMA + ",page=1,blocks=1048576",
                 "0:0-1048575", "page_size 1048576 against 1")):
            with self.subTest(message):
                self.ends(plan(source, destination, blocks), 3, message)
        self.ends(plan(LLAMA, LLAMA, "0:0", "--layers", "0:18446744073709551615"), 3, "layers: end")

    def test_a_file_that_is_not_there(self):
        self.ends(plan("/no/such/file", LLAMA, "0:0"), 4, "/no/such/file: ")


class Peers(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.path = pathlib.Path(self.directory.name)
        self.exchange = f"dir:{self.path}"

    def test_nobody_is_an_empty_list(self):
        result = run("peers", "--json", "--exchange", self.exchange)
        self.assertEqual((result.returncode, json.loads(result.stdout)), (0, []))
        result = run("peers", KVFERRY_EXCHANGE=self.exchange)
        self.assertEqual((result.returncode, result.stdout), (0, "nobody\n"))

    def test_an_exchange_that_is_not_there_is_nobody_and_is_not_made(self):
        exchange = f"dir:{self.path}/new"
        result = run("peers", "--json", "--exchange", exchange)
        self.assertEqual((result.returncode, json.loads(result.stdout)), (0, []))
        self.assertEqual(list(self.path.iterdir()), [])

    def test_a_dead_worker_is_shown_as_one_and_strangers_are_reported(self):
        (self.path / "gone.json").write_text(json.dumps(RECORD))
        (self.path / "gone.a").write_bytes(b"abc")  # no message, but the record's bytes
        (self.path / "notes\x1b.txt").write_text("hello")
        result = run("peers", "--json", "--exchange", self.exchange)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn('passed over "notes\\u001b.txt"', result.stderr)
        (peer,) = json.loads(result.stdout)
        for field in ("name", "worker_id", "epoch", "generation"):
            self.assertEqual(peer[field], RECORD[field])
        self.assertEqual((peer["alive"], peer["formats"], peer["layouts"]), (False, ["a"], []))
        self.assertIn("at ", peer["error"])
        self.assertIn(peer["age_seconds"], range(0, DEADLINE_S))
        shown = run("peers", "--exchange", self.exchange).stdout.splitlines()
        self.assertEqual(shown[0].split(), ["name", "state", "worker", "agent", "epoch",
                                            "generation", "age", "layouts"])
        self.assertEqual(shown[1].split()[:3], ["gone", "dead", RECORD["worker_id"]])
        self.assertIn("  00010203  3           ", shown[1])

    def test_an_entry_whose_files_disagree_is_shown_with_the_reason(self):
        (self.path / "gone.json").write_text(json.dumps(RECORD))
        (self.path / "gone.a").write_bytes(b"other")
        (peer,) = json.loads(run("peers", "--json", "--exchange", self.exchange).stdout)
        self.assertIn("gone.a: 5 bytes that are not the 3", peer["error"])

    def test_an_exchange_that_is_none(self):
        self.assertEqual(run("peers", "--exchange", "nowhere").returncode, 2)
        self.assertEqual(run("peers", "--exchange", "etcd:http://host").returncode, 3)
        self.assertEqual(run("peers", "--exchange", "dir:/no/such/parent").returncode, 4)
        self.path.chmod(0o770)
        result = run("peers", "--exchange", self.exchange)
        self.assertEqual(result.returncode, 4)
        self.assertIn("group or others may write", result.stderr)


class Watching(unittest.TestCase):
    """peers --watch, beside workers that come, are killed and go."""

    def setUp(self):
        self.tool = Tool(TOOL)
        self.addCleanup(self.tool.directory.cleanup)
        self.watching = []

    def tearDown(self):
        for process in self.watching:
            process.kill()
            process.wait()
            process.stdout.close()
        for name in list(self.tool.workers):
            self.tool.end(name)

    def watch(self, *words):
        command = [TOOL, "peers", "--watch", "--exchange", self.tool.exchange, *words]
        self.watching.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return self.watching[-1]

    def start(self, name):
        return self.tool.start(name, "--num-blocks", "1", "--geometry", "llama-3.1-8b")

    def test_tells_who_came_was_killed_and_went_until_it_is_interrupted(self):
        for ending in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(ending):
                peers = self.watch("--json")
                self.assertEqual(json.loads(peers.stdout.readline()), [])
                self.start("a")
                self.expect(peers, {"a": True})
                killed = self.start("b")
                self.expect(peers, {"a": True, "b": True})
                killed.kill()
                self.expect(peers, {"a": True, "b": False})
                self.assertEqual(self.tool.end("a"), 0)
                self.expect(peers, {"b": False})
                self.tool.end("b")
                for file in pathlib.Path(self.tool.exchange[4:]).iterdir():
                    file.unlink()
                self.expect(peers, {})
                peers.send_signal(ending)
                self.assertEqual(peers.wait(timeout=DEADLINE_S), 0)

    def expect(self, peers, alive):
        """Reads listings until one has exactly these workers."""
        seen = None
        while seen != alive:
            seen = {peer["name"]: peer["alive"] for peer in json.loads(peers.stdout.readline())}

    def test_prints_tables_for_people_with_a_line_between(self):
        peers = self.watch()
        self.assertEqual(peers.stdout.readline(), "nobody\n")
        self.start("a")
        self.assertEqual(peers.stdout.readline(), "\n")
        self.assertEqual(peers.stdout.readline().split()[:2], ["name", "state"])
        self.assertEqual(peers.stdout.readline().split()[:2], ["a", "alive"])

    def test_ends_when_nobody_reads_or_the_exchange_is_removed(self):
        peers = self.watch("--json")
        peers.stdout.readline()
        peers.stdout.close()
        self.assertEqual(peers.wait(timeout=DEADLINE_S), 0)
        peers = self.watch("--json")
        peers.stdout.readline()
        os.rmdir(self.tool.exchange[4:])
        self.assertEqual(json.loads(peers.stdout.readline())["error"]["code"], "Unavailable")
        self.assertEqual(peers.wait(timeout=DEADLINE_S), 4)

    def test_a_worker_leaves_nothing_behind_though_its_record_was_taken_away(self):
        self.start("a")
        folder = pathlib.Path(self.tool.exchange[4:])
        (folder / "a.json").unlink()
        self.assertEqual(self.tool.end("a"), 0)
        self.assertEqual(list(folder.iterdir()), [])


class CommandLine(unittest.TestCase):
    def test_help_does_not_hide_that_there_is_no_such_command(self):
        result = run("bogus", "--help")
        self.assertEqual((result.returncode, result.stdout), (2, ""))
        self.assertIn("unknown word: bogus", result.stderr)

    def test_a_level_of_logging_that_is_none_is_told_once(self):
        result = run("version", KVFERRY_LOG="bogus")
        self.assertEqual(result.returncode, 0)
        self.assertEqual(result.stderr,
                         'kvferry: KVFERRY_LOG: "bogus" is not debug, info, warn or error\n')
        self.assertEqual(run("version", KVFERRY_LOG="debug").stderr, "")


if __name__ == "__main__":
    unittest.main()
