#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tool in surroundings that are not as they should be.

Goal: whatever its standard streams are, a command moves right bytes or none, ends with its exit
code, and does not hang; what it writes to a file is there whole or not at all.
Method: streams that are closed, full, or a pipe that nobody reads any more; files that are pipes
and devices.

    surroundings_test.py PATH_OF_THE_TOOL
"""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from workers import Tool

BINARY = ""
GEOMETRY = ("--geometry", "smollm2-135m")
VECTOR = os.path.join(os.path.dirname(__file__), "../../vectors/a_agent_ascii.bin")


def read(path):
    with open(path, "rb") as file:
        return file.read()


class Surroundings(unittest.TestCase):
    def setUp(self):
        self.tool = Tool(BINARY)
        self.addCleanup(self.tool.__exit__, None, None, None)

    def shell(self, redirections, *arguments, timeout=20):
        """Exit code of a command whose streams a shell has prepared."""
        return subprocess.run(
            ["sh", "-c", f'exec "$0" "$@" {redirections}', BINARY, *arguments],
            env=self.tool.environment, timeout=timeout, check=False,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ).returncode

    def wait_for_peer(self, name):
        for _ in range(200):
            code, out, _ = self.tool.run("peers", "--exchange", self.tool.exchange)
            if code == 0 and name in out:
                return
            time.sleep(0.05)
        self.fail(f"{name} is not there")

    def test_closed_streams_do_not_become_blocks(self):
        for number, closed in enumerate(("<&- >&-", "<&- 2>&-", "<&- >&- 2>&-", ">&- 2>&-")):
            with self.subTest(closed):
                name = f"closed-{number}"
                options = ["worker", "--name", name, "--exchange", self.tool.exchange,
                           "--num-blocks", "2", *GEOMETRY]
                # With standard output closed nobody could be told that it is ready, so it ends.
                worker = subprocess.Popen(
                    ["sh", "-c", f'exec "$0" "$@" {closed}', BINARY, *options],
                    env={**self.tool.environment, "KVFERRY_LOG": "debug"})
                self.addCleanup(worker.wait, 20)
                if ">&-" in closed.replace("2>&-", ""):
                    self.assertEqual(worker.wait(20), 4)
                    continue
                self.wait_for_peer(name)
                code, report, err = self.tool.pull(
                    "--peer", name, "--blocks", "0-1:0-1", "--verify", "pattern", *GEOMETRY)
                worker.terminate()
                self.assertEqual((code, report["bad_blocks"]), (0, []), err)

    def test_an_error_that_nobody_can_be_told_has_its_exit_code(self):
        for stream in ("2>/dev/full", "2>&-"):
            self.assertEqual(self.shell(stream, "inspect", "missing"), 4, stream)
            self.assertEqual(self.shell(stream, "inspect", "/dev/null"), 3, stream)
            self.assertEqual(
                self.shell(stream, "pull", "--peer", "nobody", "--blocks", "0:0", "--json",
                           "--exchange", self.tool.exchange), 4, stream)
        self.assertEqual(self.shell(">&-", "inspect", VECTOR), 4)
        self.assertEqual(self.shell(">/dev/full", "inspect", VECTOR), 4)

    def test_a_worker_outlives_the_reader_of_its_log(self):
        reading, writing = os.pipe()
        worker = subprocess.Popen(
            [BINARY, "worker", "--name", "unheard", "--exchange", self.tool.exchange,
             "--num-blocks", "2", *GEOMETRY],
            stdout=subprocess.PIPE, stderr=writing, text=True,
            env={**self.tool.environment, "KVFERRY_LOG": "debug"})
        self.addCleanup(worker.stdout.close)
        os.close(writing)
        self.assertEqual(worker.stdout.readline(), "ready unheard\n")
        os.close(reading)
        # What is no message makes it say something, to nobody.
        directory = os.path.join(self.tool.environment["XDG_RUNTIME_DIR"], "kvferry-shm")
        sockets = [os.path.join(directory, name) for name in os.listdir(directory)]
        self.assertEqual(len(sockets), 1)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as caller:
            caller.connect(sockets[0])
            caller.send(b"x" * 10)
        for _ in range(3):
            code, _, err = self.tool.pull("--peer", "unheard", "--blocks", "0-1:0-1", *GEOMETRY)
            self.assertEqual(code, 0, err)
        worker.terminate()
        self.assertEqual(worker.wait(20), 0)

    def test_a_deadline_bounds_the_look_into_the_exchange(self):
        self.tool.start("prefill", "--num-blocks", "2", *GEOMETRY)
        exchange = self.tool.exchange.removeprefix("dir:")
        # A message that does not fit its record makes the reader wait for the writer's lock.
        with open(os.path.join(exchange, "prefill.kvfy"), "ab") as file:
            file.write(b"x")
        holder = subprocess.Popen(["flock", exchange, "sleep", "10"])
        self.addCleanup(holder.wait)
        self.addCleanup(holder.kill)
        time.sleep(0.3)
        begin = time.monotonic()
        code, _, err = self.tool.pull(
            "--peer", "prefill", "--blocks", "0:0", "--deadline", "500ms", *GEOMETRY)
        self.assertEqual(code, 5, err)
        self.assertLess(time.monotonic() - begin, 3)

    def test_an_interruption_ends_the_wait_for_a_peer_that_does_not_answer(self):
        owner = self.tool.start("prefill", "--num-blocks", "2", *GEOMETRY)
        os.kill(owner.pid, signal.SIGSTOP)
        self.addCleanup(os.kill, owner.pid, signal.SIGCONT)
        dump = self.tool.path("dump")
        for command, blocks in (("pull", "0:0"), ("push", "0:0")):
            dumped = ("--dump", dump) if command == "pull" else ()
            move = subprocess.Popen(
                [BINARY, command, "--json", "--exchange", self.tool.exchange, "--peer", "prefill",
                 "--blocks", blocks, *dumped, *GEOMETRY],
                env=self.tool.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            time.sleep(1)
            begin = time.monotonic()
            move.send_signal(signal.SIGINT)
            out, err = move.communicate(timeout=10)
            self.assertLess(time.monotonic() - begin, 1)
            report = json.loads(out)
            self.assertEqual((move.returncode, report["ok"], report["error"]["code"]),
                             (5, False, "Cancelled"), err)
            self.assertIn("before anything was moved", report["error"]["message"])
        self.assertEqual([name for name in os.listdir(os.path.dirname(dump))
                          if name.startswith((".kvferry", "dump"))], [])

    def test_a_file_that_cannot_take_its_name_is_left_alone(self):
        drawing = ("draw", "geometry:llama-3.1-8b", "-o")
        link = self.tool.path("link")
        os.symlink(self.tool.path("nobody"), link)
        code, _, err = self.tool.run(*drawing, link)
        self.assertEqual(code, 4)
        self.assertIn("a link to what is not there", err)
        self.assertTrue(os.path.islink(link))
        os.remove(link)
        os.symlink("/proc/self/fd/1", link)
        with tempfile.TemporaryFile() as out:  # It has no name.
            done = subprocess.run([BINARY, *drawing, link], env=self.tool.environment, stdout=out,
                                  stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(done.returncode, 4)
        self.assertIn("a file that has no name any more", done.stderr)
        self.assertTrue(os.path.islink(link))

    def test_a_pull_says_what_is_wrong_with_its_words_before_it_moves(self):
        self.tool.start("prefill", "--num-blocks", "2", *GEOMETRY)
        for words, code, told in (
                (("--peer", "prefill"), 2, "\"prefill\" is there twice"),
                (("--dump", "-"), 3, "dump: standard output"),
                (("--dump", ""), 4, "dump: the name of a file to write is empty"),
                (("--exchange", "dir:" + self.tool.path("nowhere")), 4, "nowhere\" is not there")):
            exchange = () if "--exchange" in words else ("--exchange", self.tool.exchange)
            got, _, err = self.tool.run("pull", *exchange, "--peer", "prefill", "--blocks", "0:0",
                                        *GEOMETRY, *words)
            self.assertEqual(got, code, err)
            self.assertIn(told, err)
        self.assertFalse(os.path.exists(self.tool.path("nowhere")))

    def test_a_dump_goes_into_a_pipe_that_is_read_and_waits_for_none(self):
        self.tool.start("prefill", "--num-blocks", "2", *GEOMETRY)
        pipe = self.tool.path("pipe")
        os.mkfifo(pipe)
        options = ("--peer", "prefill", "--blocks", "0:0", "--dump", pipe, *GEOMETRY)
        code, _, err = self.tool.pull(*options, timeout=10)
        self.assertEqual(code, 4, err)
        self.assertIn("dump", err)
        got = []
        reader = threading.Thread(target=lambda: got.append(read(pipe)))
        reader.start()
        time.sleep(0.3)
        code, report, err = self.tool.pull(*options, timeout=20)
        reader.join(20)
        self.assertEqual((code, len(got[0])), (0, report["bytes"]), err)

    def test_a_refused_pull_leaves_no_dump_and_the_one_that_was_there(self):
        for before in (None, b"of another pull"):
            dump = self.tool.path("dump")
            if before is not None:
                with open(dump, "wb") as file:
                    file.write(before)
            code, _, _ = self.tool.pull("--peer", "nobody", "--blocks", "0:0", "--dump", dump)
            self.assertEqual(code, 4)
            self.assertEqual(os.path.exists(dump), before is not None)
            if before is not None:
                self.assertEqual(read(dump), before)
        left = [name for name in os.listdir(self.tool.directory.name) if name.startswith(".")]
        self.assertEqual(left, [])

    def test_what_is_no_file_is_written_to_and_not_replaced(self):
        code, version, _ = self.tool.run("version", "--json")
        if code != 0 or '"signatures":true' not in version:
            self.skipTest("a build without signatures")
        key, pipe = self.tool.path("key"), self.tool.path("pipe")
        self.assertEqual(self.tool.run("keygen", key)[0], 0)
        self.tool.start("prefill", "--num-blocks", "2", *GEOMETRY)
        message = os.path.join(self.tool.exchange.removeprefix("dir:"), "prefill.kvfy")
        os.mkfifo(pipe)
        got = []
        reader = threading.Thread(target=lambda: got.append(read(pipe)))
        reader.start()
        time.sleep(0.3)
        code, _, err = self.tool.run("sign", "--key", key, "-o", pipe, message)
        reader.join(20)
        self.assertEqual(code, 0, err)
        self.assertTrue(stat.S_ISFIFO(os.stat(pipe).st_mode))
        self.assertEqual(got[0][:4], b"KVFY")
        self.assertEqual(self.tool.run("sign", "--key", key, "-o", "/dev/null", message)[0], 0)
        self.assertTrue(stat.S_ISCHR(os.stat("/dev/null").st_mode))

    def test_a_word_that_is_there_twice_is_a_wrong_command_line(self):
        plan = ("plan", "--to", "geometry:llama-3.1-8b", "--blocks", "0:0", "--from")
        for arguments, said in (
            ((*plan, "geometry:llama-3.1-8b,layout=fc,layout=ls"), "layout is there twice"),
            ((*plan, VECTOR, "--assume", "order=nhd,order=hnd"), "order is there twice"),
            ((*plan[:4], "-1:0", "--from", "geometry:llama-3.1-8b"), "'-1' is not a number"),
        ):
            code, _, err = self.tool.run(*arguments)
            self.assertEqual(code, 2, err)
            self.assertIn(said, err)


if __name__ == "__main__":
    BINARY = sys.argv.pop()
    unittest.main()
